"""Pictures of no digit: crops of photographs to measure on, drawn patterns to train on.

The photographs are those that the scikit-image and scikit-learn packages bundle. Validation and test take different
ones, and training sees none of them: it sees only patterns drawn here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import skimage.data
import sklearn.datasets
from numpy.typing import NDArray

from retinue.zoo.recipes.handwriting import Style, photograph, random_style

# Left out of scikit-image's: pictures with writing (page, text, logo, clock, no_time_for_that_tiny), drawings and
# masks (phantom, horse, chessboards, color, multipage), faces of a known data set (lfw), a disparity map.
PHOTOGRAPHS: dict[Literal["validation", "test"], tuple[str, ...]] = {
    "validation": ("grass.png", "coffee.png", "camera.png", "moon.png", "ihc.png", "motorcycle_left.png", "china.jpg"),
    "test": (
        "brick.png",
        "gravel.png",
        "coins.png",
        "astronaut.png",
        "chelsea.png",
        "cell.png",
        "retina.jpg",
        "rocket.jpg",
        "hubble_deep_field.jpg",
        "flower.jpg",
    ),
}
_FOLDERS = (Path(skimage.data.__file__).parent, Path(sklearn.datasets.__file__).parent / "images")


def read_photograph(name: str) -> NDArray[np.uint8]:
    """Return a bundled photograph, (h, w, 3) RGB.

    Raises:
        FileNotFoundError: neither package bundles it.
    """
    for folder in _FOLDERS:
        pixels = cv2.imread(str(folder / name), cv2.IMREAD_COLOR_RGB) if (folder / name).is_file() else None
        if pixels is not None:
            return pixels.astype(np.uint8, copy=False)
    raise FileNotFoundError(f"neither scikit-image nor scikit-learn bundles {name}")


def crop_photographs(part: Literal["validation", "test"], *, per_photograph: int, seed: int) -> list[NDArray[np.uint8]]:
    """Return square crops of the part's photographs, sides from 32 pixels up to the picture's, log-uniform."""
    rng = np.random.default_rng(seed)
    crops = []
    for name in PHOTOGRAPHS[part]:
        pixels = read_photograph(name)
        height, width = pixels.shape[:2]
        for _ in range(per_photograph):
            side = int(np.exp(rng.uniform(np.log(32), np.log(min(height, width)))))
            top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
            crops.append(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return crops


def draw_pattern(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture of no digit, (48, 48, 3) RGB: blank paper, noise of some grain, stripes, discs or scribble."""
    drawing = _DRAWINGS[int(rng.integers(len(_DRAWINGS)))]
    amount = np.clip(drawing(rng), 0, 1).astype(np.float32)[..., None]
    # Mostly in the colours of ink and paper: the colour alone must not give a stranger away.
    like = random_style(rng)
    low, high = rng.uniform(0, 255, (2, 3)) if rng.random() < 0.3 else (like.paper_rgb, like.ink_rgb)
    paper, stroke = np.array(low, np.float32), np.array(high, np.float32)
    style = Style(
        shading_xy=(float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.3, 0.3))),
        blur_px=float(rng.uniform(0, 1)),
        noise=float(rng.uniform(0, 15)),
        noise_seed=int(rng.integers(2**31)),
        jpeg_quality=int(rng.integers(30, 96)) if rng.random() < 0.5 else None,
    )
    return photograph(paper + (stroke - paper) * amount, style)


_SIDE = 48


def _blank(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.full((_SIDE, _SIDE), rng.random())


def _grain(rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of one grain size, grey or cut into two shades."""
    cells = int(np.exp(rng.uniform(np.log(3), np.log(_SIDE))))
    grain = cv2.resize(rng.random((cells, cells)), (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    return (grain > rng.uniform(0.3, 0.7)).astype(np.float64) if rng.random() < 0.4 else grain.astype(np.float64)


def _clouds(rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of all grain sizes, coarse ones stronger, as natural textures have it."""
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None, :])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.normal(size=(_SIDE, _SIDE))) / frequency ** rng.uniform(0.5, 2)
    clouds: NDArray[np.float64] = np.fft.irfft2(spectrum, s=(_SIDE, _SIDE))
    return 0.5 + clouds * (0.25 / float(clouds.std()))


def _stripes(rng: np.random.Generator) -> NDArray[np.float64]:
    """One wave or two crossing ones, round or square."""
    y, x = np.mgrid[:_SIDE, :_SIDE] / _SIDE
    wave = np.zeros((_SIDE, _SIDE))
    for _ in range(int(rng.integers(1, 3))):
        angle, cycles = rng.uniform(0, np.pi), rng.uniform(2, 14)
        phase = 2 * np.pi * (cycles * (x * np.cos(angle) + y * np.sin(angle)) + rng.random())
        wave += np.sin(phase + rng.uniform(0, 2) * np.sin(2 * np.pi * (y * np.cos(angle) - x * np.sin(angle))))
    return (0.5 + np.sign(wave) / 2) if rng.random() < 0.5 else 0.5 + wave / 4


def _discs(rng: np.random.Generator) -> NDArray[np.float64]:
    """Many filled ellipses of several shades."""
    canvas = np.full((_SIDE, _SIDE), rng.random())
    for _ in range(int(rng.integers(4, 25))):
        centre = tuple(map(int, rng.integers(0, _SIDE, 2)))
        axes = tuple(map(int, rng.integers(2, 14, 2)))
        cv2.ellipse(canvas, centre, axes, rng.uniform(0, 180), 0, 360, rng.random(), -1, cv2.LINE_AA)
    return canvas


def _scribble(rng: np.random.Generator) -> NDArray[np.float64]:
    """So many lines crossing that they make no digit."""
    canvas = np.zeros((_SIDE, _SIDE))
    for _ in range(int(rng.integers(6, 20))):
        start, end = (tuple(map(int, point)) for point in rng.integers(-8, _SIDE + 8, (2, 2)))
        cv2.line(canvas, start, end, rng.uniform(0.5, 1), int(rng.integers(1, 5)), cv2.LINE_8)
    return canvas


_DRAWINGS: tuple[Callable[[np.random.Generator], NDArray[np.float64]], ...] = (
    _blank,
    _grain,
    _clouds,
    _stripes,
    _discs,
    _scribble,
)
