"""Random surfaces: cloudy at a chosen scale, or sloped as uneven light is."""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def cloud(rng: np.random.Generator, height: int, width: int, scale_px: float) -> Floats:
    """Return smooth noise, about normal with mean 0 and deviation 1, whose features are ``scale_px`` wide.

    >>> cloud(np.random.default_rng(0), 40, 60, 8).shape
    (40, 60)
    """
    rows, columns = (max(2, round(side / scale_px) + 1) for side in (height, width))
    coarse = rng.standard_normal((rows, columns)).astype(np.float32)
    # Interpolation between the cells takes about a quarter of the deviation.
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 1.3, np.float32)


def clouds(rng: np.random.Generator, height: int, width: int, scales_px: tuple[float, ...]) -> Floats:
    """Return the mean of clouds of several scales."""
    return np.asarray(sum(cloud(rng, height, width, scale) for scale in scales_px) / len(scales_px), np.float32)


def slope(rng: np.random.Generator, height: int, width: int, strength: float) -> Floats:
    """Return uneven light: a plane and a bowl around 1, rarely more than ``strength`` away from it."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    plane = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    centre_x, centre_y = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    bowl = (x - centre_x) ** 2 + (y - centre_y) ** 2
    a, b = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    return np.asarray(1 + strength * (a * plane + b * (bowl - 0.7)), np.float32)


def sunlit(height_map: Floats, angle_rad: float) -> Floats:
    """Return how bright a relief is where light falls in flat from one side, around 0."""
    down = cv2.Sobel(height_map, cv2.CV_32F, 0, 1, ksize=3) / 8
    right = cv2.Sobel(height_map, cv2.CV_32F, 1, 0, ksize=3) / 8
    return np.asarray(np.cos(angle_rad) * right + np.sin(angle_rad) * down, np.float32)
