"""Scenes of round things: coins on a ground, or cells on a smear, with the box, class and mask of each."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.zoo.recipes.rounds.cells import draw_platelet, draw_red_cell, draw_white_cell
from retinue.zoo.recipes.rounds.coins import draw_coin
from retinue.zoo.recipes.rounds.outlines import Outline, random_outline
from retinue.zoo.recipes.rounds.textures import cloud, clouds, slope

Floats = NDArray[np.float32]
CLASSES = ("coin", "red cell", "white cell", "platelet")
COIN, RED_CELL, WHITE_CELL, PLATELET = range(1, len(CLASSES) + 1)

# What is seen of a thing must be this share of it, and so many pixels, for it to count: less, and nobody could tell.
_LEAST_SEEN = 0.15
_LEAST_PX = 12
_SMEAR = {RED_CELL: draw_red_cell, WHITE_CELL: draw_white_cell, PLATELET: draw_platelet}


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and what is on it."""

    picture: NDArray[np.uint8]
    """[height, width, 3] RGB."""
    instances: NDArray[np.int32]
    """[height, width], 0 for the ground, i + 1 where the i-th thing lies on top."""
    boxes: Floats
    """[things, 4], x1, y1, x2, y2 of what is seen, half-open, pixels; cells are seen through those on top of them."""
    labels: NDArray[np.int64]
    """[things], 1 for the first of `CLASSES`."""
    pieces: NDArray[np.int32]
    """[height, width], 0 for the ground, otherwise a number of its own for each thing that lies on top anywhere: those
    that are too little seen to count among ``instances`` too."""
    classes: NDArray[np.uint8]
    """[height, width], 0 for the ground, otherwise the label of what lies on top, counted or not."""


def random_scene(rng: np.random.Generator, height: int = 256, width: int = 256) -> Scene:
    """Return a scene of coins or of cells, now and then of neither.

    >>> scene = random_scene(np.random.default_rng(3), 96, 128)
    >>> scene.picture.shape, len(scene.boxes) == len(scene.labels) == int(scene.instances.max())
    ((96, 128, 3), True)
    """
    if rng.uniform() < 0.5:
        return coin_scene(rng, height, width)
    return smear_scene(rng, height, width)


def coin_scene(rng: np.random.Generator, height: int = 256, width: int = 256) -> Scene:
    """Return coins of about one size, apart or touching, on plain or cloudy ground among things that are no coins."""
    light_rad = rng.uniform(0, 2 * np.pi)
    is_dark_ground = rng.uniform() < 0.6
    ground = rng.uniform(15, 110) if is_dark_ground else rng.uniform(130, 240)
    metal = rng.uniform(max(90.0, ground + 35), 230) if is_dark_ground else rng.uniform(40, ground - 45)
    tint = _tint(rng, 0.12)
    canvas = _ground(rng, height, width, ground, coarse=0.12, fine=0.3)
    _clutter(rng, canvas)
    typical = rng.uniform(11, 44)
    spread = rng.uniform(0.0, 0.3)
    count = (
        0 if rng.uniform() < 0.08 else int(rng.integers(1, max(2, int(0.5 * height * width / (typical * 2.2) ** 2))))
    )
    things: list[tuple[int, Outline]] = []
    middles: list[tuple[float, float, float]] = []
    nearest = rng.choice([0.75, 1.0, 1.08], p=[0.1, 0.45, 0.45])
    for _ in range(count):
        radius = float(np.clip(typical * np.exp(rng.normal(0, spread)), 9, 60))
        middle = _free_place(rng, (height, width), radius, middles, nearest)
        if middle is None:
            continue
        middles.append((*middle, radius))
        outline = random_outline(
            rng, (height, width), middle, radius, flattening=0.16, dents=rng.choice([0.004, 0.015, 0.03])
        )
        own = np.float32(metal * rng.uniform(0.85, 1.15)) * tint * _tint(rng, 0.04)
        draw_coin(rng, canvas, outline, own, light_rad)
        things.append((COIN, outline))
    canvas *= slope(rng, height, width, rng.uniform(0, 0.8))[..., None]
    return _seen(rng, canvas, things, grey_share=0.65, is_translucent=False)


def smear_scene(rng: np.random.Generator, height: int = 256, width: int = 256) -> Scene:
    """Return red cells, apart or overlapping, some white cells and platelets among them, as a microscope shows them."""
    canvas = _ground(rng, height, width, rng.uniform(205, 250), coarse=0.03, fine=0.15) * _tint(rng, 0.05)
    red_px, stain = rng.uniform(8, 24), rng.uniform(0.6, 1.25)
    area = height * width / (2 * red_px) ** 2
    counts = {
        WHITE_CELL: int(rng.integers(0, 5)),
        RED_CELL: int(area * rng.uniform(0, 0.75)),
        PLATELET: int(rng.integers(0, 9)),
    }
    if rng.uniform() < 0.06:
        counts = dict.fromkeys(counts, 0)
    sizes = {RED_CELL: (1.0, 0.07), WHITE_CELL: (1.65, 0.14), PLATELET: (0.36, 0.2)}
    shapes = {RED_CELL: (0.22, 0.012), WHITE_CELL: (0.15, 0.02), PLATELET: (0.35, 0.06)}
    things, middles = [], list[tuple[float, float, float]]()
    nearest = rng.choice([0.75, 0.95, 1.05])
    # The largest come first, or there would be no place left for them. Light falls through all: no order is seen.
    for label in [label for label, count in counts.items() for _ in range(count)]:
        ratio, spread = sizes[label]
        radius = max(3.5, red_px * ratio * float(np.exp(rng.normal(0, spread))))
        middle = _free_place(rng, (height, width), radius, middles, nearest)
        if middle is None:
            continue
        middles.append((*middle, radius))
        flattening, dents = shapes[label]
        outline = random_outline(rng, (height, width), middle, radius, flattening=flattening, dents=dents)
        if not outline.depth_px.size:
            continue
        _SMEAR[label](rng, canvas, outline, stain * rng.uniform(0.85, 1.15))
        things.append((label, outline))
    canvas *= slope(rng, height, width, rng.uniform(0, 0.35))[..., None]
    return _seen(rng, canvas, things, grey_share=0.35, is_translucent=True)


def _ground(rng: np.random.Generator, height: int, width: int, level: float, *, coarse: float, fine: float) -> Floats:
    """Return a ground of one brightness, cloudy at large and at small scale."""
    large = cloud(rng, height, width, rng.uniform(30, 120)) * np.float32(rng.uniform(0, coarse))
    small = clouds(rng, height, width, (2, rng.uniform(4, 16))) * np.float32(rng.uniform(0, fine) ** 2)
    return np.asarray(np.float32(level) * (1 + large + small)[..., None] * np.ones(3, np.float32), np.float32)


def _clutter(rng: np.random.Generator, canvas: Floats) -> None:
    """Draw things that are not round: strips, corners, scratches, crumbs."""
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(0, 5)) if rng.uniform() < 0.6 else 0):
        colour = tuple(float(x) for x in rng.uniform(10, 245) * _tint(rng, 0.2))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        kind = rng.integers(0, 4)
        if kind == 0:
            box = cv2.boxPoints(((x, y), tuple(rng.uniform(6, 90, 2)), rng.uniform(0, 90)))
            cv2.fillConvexPoly(canvas, box.astype(np.int32), colour, cv2.LINE_AA)
        elif kind == 1:
            corners = np.stack([rng.uniform(-40, 40, 3) + x, rng.uniform(-40, 40, 3) + y], 1)
            cv2.fillConvexPoly(canvas, corners.astype(np.int32), colour, cv2.LINE_AA)
        elif kind == 2:
            end = (int(x + rng.uniform(-90, 90)), int(y + rng.uniform(-90, 90)))
            cv2.line(canvas, (int(x), int(y)), end, colour, int(rng.integers(1, 4)), cv2.LINE_AA)
        else:
            for _ in range(int(rng.integers(3, 30))):
                cv2.circle(
                    canvas, (int(rng.uniform(0, width)), int(rng.uniform(0, height))), 1, colour, -1, cv2.LINE_AA
                )


def _free_place(
    rng: np.random.Generator,
    size: tuple[int, int],
    radius: float,
    taken: list[tuple[float, float, float]],
    nearest: float,
) -> tuple[float, float] | None:
    """Return a place whose distance to all others is ``nearest`` sums of radii at least; None if none is found."""
    others = np.array(taken, np.float64).reshape(-1, 3)
    for _ in range(12):
        x, y = rng.uniform(-0.2 * radius, size[1] + 0.2 * radius), rng.uniform(-0.2 * radius, size[0] + 0.2 * radius)
        if (np.hypot(others[:, 0] - x, others[:, 1] - y) >= nearest * (others[:, 2] + radius)).all():
            return float(x), float(y)
    return None


def _tint(rng: np.random.Generator, strength: float) -> Floats:
    """Return a colour near white, factors of red, green and blue."""
    return np.asarray(1 + rng.uniform(-strength, strength, 3), np.float32)


def _seen(
    rng: np.random.Generator,
    canvas: Floats,
    things: list[tuple[int, Outline]],
    *,
    grey_share: float,
    is_translucent: bool,
) -> Scene:
    """Return a scene as a camera sees it, and what is seen of each thing."""
    top = np.zeros(canvas.shape[:2], np.int32)
    for number, (_, outline) in enumerate(things, start=1):
        top[outline.rows, outline.columns][outline.depth_px > 0] = number
    instances, boxes, labels = np.zeros_like(top), [], []
    for number, (label, outline) in enumerate(things, start=1):
        is_inside = outline.depth_px > 0
        is_top = top[outline.rows, outline.columns] == number
        is_seen = is_inside if is_translucent else is_top
        # An outline that reaches beyond the canvas has fewer pixels on it than the whole thing has.
        whole = max(int(is_inside.sum()), int(0.8 * np.pi * outline.radius_px**2))
        if int(is_seen.sum()) < max(_LEAST_PX, _LEAST_SEEN * whole) or not is_top.any():
            continue
        y, x = (
            np.flatnonzero(is_seen.any(1)) + outline.rows.start,
            np.flatnonzero(is_seen.any(0)) + outline.columns.start,
        )
        boxes.append((x[0], y[0], x[-1] + 1, y[-1] + 1))
        labels.append(label)
        instances[outline.rows, outline.columns][is_top] = len(labels)
    classes = np.array([0, *(label for label, _ in things)], np.uint8)[top]
    picture = _photographed(rng, canvas, grey_share)
    return Scene(
        picture,
        instances,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        pieces=top,
        classes=classes,
    )


def _photographed(rng: np.random.Generator, canvas: Floats, grey_share: float) -> NDArray[np.uint8]:
    """Return a canvas blurred, noisy and perhaps grey, as bytes."""
    if rng.uniform() < grey_share:
        canvas = np.repeat((canvas @ np.array([0.299, 0.587, 0.114], np.float32))[..., None], 3, 2)
    blur_px = rng.uniform(0, 1.3)
    if blur_px > 0.35:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), blur_px), np.float32)
    contrast, level = rng.uniform(0.7, 1.2), rng.uniform(-15, 15)
    canvas = (canvas - 128) * np.float32(contrast) + np.float32(128 + level)
    noise = rng.standard_normal(canvas.shape[:2], np.float32)[..., None] * np.float32(rng.uniform(0, 9))
    return np.clip(canvas + noise, 0, 255).astype(np.uint8)
