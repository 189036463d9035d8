"""Blood cells on a stained smear, seen by the light that they let through: what overlaps is darker."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retinue.zoo.recipes.rounds.outlines import Outline, random_outline
from retinue.zoo.recipes.rounds.textures import clouds

Floats = NDArray[np.float32]
# What each dye takes of red, green and blue light, at full strength.
_EOSIN = np.array([0.12, 0.42, 0.36], np.float32)
_AZURE = np.array([0.55, 0.72, 0.25], np.float32)
_CYTOPLASM = np.array([0.22, 0.20, 0.08], np.float32)


def draw_red_cell(rng: np.random.Generator, canvas: Floats, outline: Outline, stain: float) -> None:
    """Draw a red cell: a disc that is thin in the middle.

    Args:
        rng: draws what differs from cell to cell.
        canvas: [height, width, 3] in [0, 255], changed in place.
        outline: where the cell lies.
        stain: strength of the dye, about 1.
    """
    pallor, width = rng.uniform(0, 0.85), rng.uniform(0.3, 0.7)
    dip = np.float32(pallor) * np.exp(-(((1 - outline.centre) / np.float32(width)) ** 2))
    edge = np.float32(rng.uniform(0, 0.3)) * np.exp(-((outline.depth_px - 1.5) ** 2))
    grain = clouds(rng, *outline.size, (3, 8)) * np.float32(0.04)
    _let_through(canvas, outline, np.float32(stain) * (1 - dip + edge + grain), _EOSIN)


def draw_white_cell(rng: np.random.Generator, canvas: Floats, outline: Outline, stain: float) -> None:
    """Draw a white cell: pale, with a dark nucleus of one to four lobes. Arguments as `draw_red_cell`."""
    grain = clouds(rng, *outline.size, (2, 5))
    rim = np.float32(0.4) * np.exp(-((outline.depth_px - 1) ** 2) / 2)
    _let_through(canvas, outline, np.float32(stain * rng.uniform(0.6, 1.5)) * (1 + rim + 0.25 * grain), _CYTOPLASM)
    lobe_count = int(rng.integers(1, 5))
    share = 0.78 if lobe_count == 1 else 0.5
    x, y = outline.middle_xy_px
    turn = rng.uniform(0, 2 * np.pi)
    nucleus = np.full(canvas.shape[:2], -np.inf, np.float32)
    for lobe in range(lobe_count):
        radius = outline.radius_px * share * rng.uniform(0.8, 1.05)
        away = 0 if lobe_count == 1 else outline.radius_px * 0.4
        angle = turn + lobe * rng.uniform(1.2, 1.9)
        middle = (x + away * float(np.cos(angle)), y + away * float(np.sin(angle)))
        part = random_outline(rng, (canvas.shape[0], canvas.shape[1]), middle, radius, flattening=0.3, dents=0.04)
        place = nucleus[part.rows, part.columns]
        np.maximum(place, part.depth_px, out=place)
    inside = np.minimum(nucleus[outline.rows, outline.columns], outline.depth_px)
    part = replace(outline, depth_px=inside)
    _let_through(canvas, part, np.float32(stain) * (1.05 + 0.12 * grain), _AZURE)


def draw_platelet(rng: np.random.Generator, canvas: Floats, outline: Outline, stain: float) -> None:
    """Draw a platelet: small, grainy, purple. Arguments as `draw_red_cell`."""
    grain = clouds(rng, *outline.size, (1.5, 3)) * np.float32(0.25)
    body = np.clip(outline.centre * 2, 0.4, 1)
    _let_through(canvas, outline, np.float32(stain * rng.uniform(0.55, 0.95)) * (body + grain), _AZURE)


def _let_through(canvas: Floats, outline: Outline, thickness: Floats, dye: Floats) -> None:
    """Take from a canvas's light what a dyed layer takes."""
    taken = np.clip(thickness, 0, 1.6)[..., None] * dye * outline.coverage[..., None]
    canvas[outline.rows, outline.columns] *= np.clip(1 - taken, 0.03, 1)
