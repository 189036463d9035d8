from collections.abc import Callable

import numpy as np
import pytest

from retinue.zoo.recipes.rounds.cells import draw_platelet, draw_red_cell, draw_white_cell
from retinue.zoo.recipes.rounds.outlines import random_outline

Draw = Callable[..., None]


@pytest.mark.parametrize("draw", [draw_red_cell, draw_white_cell, draw_platelet])
def test_a_cell_takes_light_where_it_lies_and_nowhere_else(draw: Draw) -> None:
    rng = np.random.default_rng(0)
    canvas = np.full((60, 60, 3), 230, np.float32)
    outline = random_outline(rng, (60, 60), (30, 30), 14, flattening=0, dents=0)
    draw(rng, canvas, outline, 1.0)
    assert (canvas <= 230).all()
    assert canvas[18:42, 18:42].mean() < 220
    assert (canvas[:10] == 230).all()


def test_red_cells_are_red_and_white_cells_have_a_blue_nucleus() -> None:
    rng = np.random.default_rng(0)
    outline = random_outline(rng, (60, 60), (30, 30), 20, flattening=0, dents=0)
    red, white = np.full((60, 60, 3), 230, np.float32), np.full((60, 60, 3), 230, np.float32)
    draw_red_cell(rng, red, outline, 1.0)
    draw_white_cell(rng, white, outline, 1.0)
    assert red[20:40, 20:40, 0].mean() > red[20:40, 20:40, 1].mean() + 20
    darkest = white.reshape(-1, 3)[white.sum(2).argmin()]
    assert darkest[2] > darkest[0]
    assert darkest[2] > darkest[1]


def test_what_overlaps_is_darker() -> None:
    rng = np.random.default_rng(0)
    canvas = np.full((60, 60, 3), 230, np.float32)
    outline = random_outline(rng, (60, 60), (30, 30), 20, flattening=0, dents=0)
    draw_red_cell(rng, canvas, outline, 1.0)
    once = canvas.copy()
    draw_red_cell(rng, canvas, outline, 1.0)
    assert canvas[15:45, 15:45].mean() < once[15:45, 15:45].mean() - 10


def test_the_nucleus_of_a_cell_at_the_edge_lies_where_the_cells_middle_is() -> None:
    canvas = np.full((60, 60, 3), 230, np.float32)
    outline = random_outline(np.random.default_rng(0), (60, 60), (2, 30), 20, flattening=0, dents=0)
    draw_white_cell(np.random.default_rng(4), canvas, outline, 1.0)  # a nucleus of one lobe
    dark = canvas[30].mean(1) < 130
    assert dark[:14].all()
    assert not dark[19:].any()
