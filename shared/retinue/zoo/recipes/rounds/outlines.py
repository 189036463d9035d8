"""Outlines of round things: a circle, flattened and dented a little."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_HARMONICS = np.arange(2, 7, dtype=np.float32)
_MARGIN_PX = 3


@dataclass(frozen=True, slots=True)
class Outline:
    """Where a round thing lies on a canvas, as far as it lies on it."""

    rows: slice
    columns: slice
    depth_px: Floats
    """[rows, columns], how far each pixel lies within the outline, negative outside."""
    radius_px: float
    middle_xy_px: tuple[float, float]
    """Where its middle is, also where that is beside the canvas."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns; none of either where it lies beside the canvas."""
        return self.depth_px.shape[0], self.depth_px.shape[1]

    @property
    def coverage(self) -> Floats:
        """How much of each pixel is covered, in [0, 1]."""
        return np.asarray(np.clip(self.depth_px + 0.5, 0, 1), np.float32)

    @property
    def centre(self) -> Floats:
        """How near each pixel is to the middle: 1 there, 0 at the outline, negative outside."""
        return np.asarray(self.depth_px / np.float32(self.radius_px), np.float32)


def random_outline(
    rng: np.random.Generator,
    canvas: tuple[int, int],
    middle_xy_px: tuple[float, float],
    radius_px: float,
    *,
    flattening: float,
    dents: float,
) -> Outline:
    """Return an outline around a point.

    Args:
        rng: draws the shape.
        canvas: height and width, pixels.
        middle_xy_px: its middle; may lie outside.
        radius_px: half its longer diameter.
        flattening: at most this share is lacking of the shorter diameter.
        dents: deviation of the radius, as a share, by waves of two to six a turn.
    """
    x, y = middle_xy_px
    reach = radius_px * (1 + 3 * dents) + _MARGIN_PX
    rows, columns = _span(y, reach, canvas[0]), _span(x, reach, canvas[1])
    dy, dx = np.mgrid[rows, columns].astype(np.float32)
    dx, dy = dx - np.float32(x), dy - np.float32(y)
    angle = np.float32(rng.uniform(0, np.pi))
    along, across = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
    across = across / np.float32(1 - rng.uniform(0, flattening))
    distance = np.sqrt(along**2 + across**2)
    radius = np.full_like(distance, radius_px)
    if dents > 0:
        turn = np.arctan2(across, along)
        for k, size, phase in zip(
            _HARMONICS, rng.standard_normal(5) * dents / _HARMONICS**0.5, rng.uniform(0, 6.3, 5), strict=True
        ):
            radius += np.float32(radius_px * size) * np.cos(k * turn + np.float32(phase))
    return Outline(rows, columns, np.asarray(radius - distance, np.float32), radius_px, middle_xy_px)


def _span(middle: float, reach: float, limit: int) -> slice:
    """Return the pixels of an axis that lie within reach of a place on it; none if it lies too far beside."""
    start = min(limit, max(0, int(middle - reach)))
    return slice(start, max(start, min(limit, int(middle + reach) + 1)))
