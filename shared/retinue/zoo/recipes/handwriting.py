"""Handwritten digits as pictures that someone would send: scanned, photographed, light on dark or dark on light.

The data are scikit-learn's bundled digits, 1797 of them, 8x8 pixels of 17 shades of ink, written by 13 people: the test
part of the UCI set "Optical Recognition of Handwritten Digits" (CC BY 4.0).
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

Part = Literal["train", "validation", "test"]

SPLIT_SEED = 20261124
CELLS = 8  # a digit is so many cells high and wide
_MARGIN = 4  # empty cells laid around a digit, so that the interpolation runs out into paper
_MOST_INK = 16


@dataclass(frozen=True, slots=True)
class Digits:
    """One part of the data."""

    ink: NDArray[np.float32]
    """(n, 8, 8) share of ink, 0 to 1."""
    labels: NDArray[np.int64]
    """(n,) which digit, 0 to 9."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a digit is written on paper and how the paper is photographed."""

    size_px: int = 64
    ink_rgb: tuple[float, float, float] = (255.0, 255.0, 255.0)
    paper_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    """Side of the digit's 8x8 cells as a share of the picture's."""
    shift_xy: tuple[float, float] = (0.0, 0.0)
    """Of the digit's centre from the picture's, as a share of its side."""
    angle_rad: float = 0.0
    slant: float = 0.0
    """How far a stroke leans, as a share of its height."""
    crispness: float = 1.0
    """Contrast of a stroke's edge; 1 leaves the interpolated ink as it is."""
    shading_xy: tuple[float, float] = (0.0, 0.0)
    """Change of the light from the picture's centre to its edge, as a share."""
    blur_px: float = 0.0
    """Standard deviation of the blur."""
    noise: float = 0.0
    """Standard deviation of the sensor's noise, in grey levels."""
    noise_seed: int = 0
    jpeg_quality: int | None = None
    """If given, the picture has been a JPEG of this quality, 1 to 100."""


LIGHT_ON_DARK = Style()
DARK_ON_LIGHT = Style(ink_rgb=(0.0, 0.0, 0.0), paper_rgb=(255.0, 255.0, 255.0))


def read_digits(part: Part) -> Digits:
    """Return one part of the data: 60 % train, 15 % validation, 25 % test, stratified by digit, by a fixed seed.

    The same people wrote in all three parts: figures say how well their hands are read, not those of strangers.

    >>> [len(read_digits(part).labels) for part in ("train", "validation", "test")]
    [1077, 270, 450]
    """
    bunch = load_digits()
    rest, test = train_test_split(
        np.arange(len(bunch.target)), test_size=0.25, stratify=bunch.target, random_state=SPLIT_SEED
    )
    train, validation = train_test_split(rest, test_size=0.2, stratify=bunch.target[rest], random_state=SPLIT_SEED)
    chosen = np.sort({"train": train, "validation": validation, "test": test}[part])
    ink = (bunch.images[chosen] / _MOST_INK).astype(np.float32)
    return Digits(ink, bunch.target[chosen].astype(np.int64))


def random_style(rng: np.random.Generator, strength: float = 1.0) -> Style:
    """Return a style that a real picture might have, in either polarity.

    Args:
        rng: where its numbers come from.
        strength: how far from a plain one it may be, 0 to 1; at 0 it is light on dark, in any size and shades.
    """
    dark, light = rng.uniform(0, 90), rng.uniform(150, 255)
    ink, paper = (dark, light) if rng.random() < 0.5 * strength else (light, dark)
    return Style(
        size_px=int(rng.integers(24, 97)),
        ink_rgb=_tinted(ink, rng),
        paper_rgb=_tinted(paper, rng),
        scale=1 + strength * rng.uniform(-0.5, 0.05),
        shift_xy=_pair(0.08 * strength, rng),
        angle_rad=strength * rng.normal(0, np.deg2rad(7)),
        slant=strength * rng.normal(0, 0.1),
        crispness=1 + strength * rng.uniform(0, 2),
        shading_xy=_pair(0.2 * strength, rng),
        blur_px=strength * rng.uniform(0, 1.0),
        noise=strength * rng.uniform(0, 12),
        noise_seed=int(rng.integers(2**31)),
        jpeg_quality=int(rng.integers(30, 96)) if rng.random() < 0.5 * strength else None,
    )


def write_digit(ink: NDArray[np.float32], style: Style) -> NDArray[np.uint8]:
    """Return the picture of one digit.

    Args:
        ink: (8, 8) share of ink, 0 to 1.
        style: how it is written and photographed.

    Returns:
        (size_px, size_px, 3) RGB.

    >>> dot = np.zeros((8, 8), dtype=np.float32)
    >>> dot[3:5, 3:5] = 1
    >>> picture = write_digit(dot, DARK_ON_LIGHT)
    >>> picture.shape, int(picture[32, 32, 0]), int(picture[0, 0, 0])
    ((64, 64, 3), 0, 255)
    """
    size = style.size_px
    coverage = cv2.warpAffine(
        np.pad(ink, _MARGIN), _cells_of_pixels(style), (size, size), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    )
    coverage = np.clip((coverage - 0.5) * style.crispness + 0.5, 0, 1)[..., None]
    paper, stroke = np.array(style.paper_rgb, np.float32), np.array(style.ink_rgb, np.float32)
    return photograph(paper + (stroke - paper) * coverage, style)


def photograph(scene: NDArray[np.float32], style: Style) -> NDArray[np.uint8]:
    """Return a scene (h, w, 3), RGB from 0 to 255, with the style's light, blur, noise and compression, as 8 bits."""
    height, width = scene.shape[:2]
    across, down = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    light = 1 + style.shading_xy[0] * across[None, :] + style.shading_xy[1] * down[:, None]
    picture = np.asarray(scene * light[..., None], np.float32)
    if style.blur_px > 0:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), style.blur_px), np.float32)
    if style.noise > 0:
        picture += np.random.default_rng(style.noise_seed).normal(0, style.noise, picture.shape).astype(np.float32)
    pixels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    if style.jpeg_quality is not None:
        _, encoded = cv2.imencode(".jpg", pixels[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, style.jpeg_quality))
        pixels = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.uint8)
    return pixels


def _cells_of_pixels(style: Style) -> NDArray[np.float64]:
    """Return the affine map (2, 3) from a pixel of the picture to a cell of the padded digit."""
    cells_per_pixel = CELLS / (style.scale * style.size_px)
    cos, sin = np.cos(style.angle_rad), np.sin(style.angle_rad)
    turn = np.array([[cos, sin], [-sin, cos]])
    lean = np.array([[1.0, style.slant], [0.0, 1.0]])
    linear = cells_per_pixel * lean @ turn
    middle_px = (style.size_px - 1) / 2 + np.array(style.shift_xy) * style.size_px
    middle_cell = np.full(2, _MARGIN + (CELLS - 1) / 2)
    return np.column_stack([linear, middle_cell - linear @ middle_px])


def _tinted(grey: float, rng: np.random.Generator) -> tuple[float, float, float]:
    red, green, blue = np.clip(grey + rng.normal(0, 12, 3), 0, 255)
    return float(red), float(green), float(blue)


def _pair(spread: float, rng: np.random.Generator) -> tuple[float, float]:
    x, y = rng.uniform(-spread, spread, 2)
    return float(x), float(y)
