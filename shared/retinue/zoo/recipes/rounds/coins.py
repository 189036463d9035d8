"""Coins: worn metal with a relief and a rim, lit from one side, on dark ground or bright."""

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.zoo.recipes.rounds.outlines import Outline
from retinue.zoo.recipes.rounds.textures import cloud, clouds, sunlit

Floats = NDArray[np.float32]


def draw_coin(rng: np.random.Generator, canvas: Floats, outline: Outline, metal: Floats, light_rad: float) -> None:
    """Draw a coin over what is on a canvas.

    Args:
        rng: draws its relief and wear.
        canvas: [height, width, 3] in [0, 255], changed in place.
        outline: where the coin lies.
        metal: its colour, RGB in [0, 255].
        light_rad: where the light comes from.
    """
    height, width = outline.size
    if not height or not width:
        return
    _cast_shadow(canvas, outline, light_rad, rng.uniform(0, 0.6))
    relief = _relief(rng, outline)
    shade = sunlit(relief, light_rad) * np.float32(rng.uniform(0.4, 2.8))
    tarnish = cloud(rng, height, width, max(4, outline.radius_px / 2)) * np.float32(rng.uniform(0.02, 0.12))
    wear = clouds(rng, height, width, (1.5, 3)) * np.float32(rng.uniform(0.01, 0.08))
    dome = np.clip(outline.centre, 0, 1) * np.float32(rng.uniform(-0.15, 0.15))
    brightness = np.clip(1 + shade + tarnish + wear + dome, 0.15, 2.2)
    coin = brightness[..., None] * metal
    place = canvas[outline.rows, outline.columns]
    place += outline.coverage[..., None] * (np.clip(coin, 0, 255) - place)


def _relief(rng: np.random.Generator, outline: Outline) -> Floats:
    """Return the height of a coin's surface, pixels: a rim, a figure in the middle, perhaps letters around it."""
    height, width = outline.size
    radius, depth = outline.radius_px, outline.depth_px
    rim_px = rng.uniform(1, max(1.5, 0.12 * radius))
    rim = np.exp(-(((depth - rim_px) / np.float32(rim_px)) ** 2)) * np.float32(rng.uniform(0, 2.0))
    figure_scale = radius * rng.uniform(0.2, 0.5)
    figure = np.tanh(3 * cloud(rng, height, width, figure_scale) - np.float32(rng.uniform(-0.5, 1.0)))
    figure *= np.clip((outline.centre - np.float32(0.2)) * 5, 0, 1) * np.float32(rng.uniform(0.3, 1.5))
    detail = np.tanh(2 * cloud(rng, height, width, max(2.0, figure_scale / 3))) * np.float32(rng.uniform(0, 0.8))
    detail *= np.clip((outline.centre - np.float32(0.12)) * 6, 0, 1)
    edge = np.clip(depth / 2, -1, 1) * np.float32(rng.uniform(0, 1))
    return np.asarray(rim + figure + detail + edge, np.float32)


def _cast_shadow(canvas: Floats, outline: Outline, light_rad: float, strength: float) -> None:
    """Darken the ground at the side away from the light."""
    shift = np.array([[1, 0, -2 * np.cos(light_rad)], [0, 1, -2 * np.sin(light_rad)]], np.float32)
    size = outline.size[::-1]
    moved = cv2.warpAffine(outline.coverage, shift, size, flags=cv2.INTER_LINEAR)
    canvas[outline.rows, outline.columns] *= 1 - np.float32(strength) * cv2.GaussianBlur(moved, (0, 0), 1.5)[..., None]
