import numpy as np

from retinue.zoo.recipes.rounds.coins import draw_coin
from retinue.zoo.recipes.rounds.outlines import random_outline


def test_a_coin_has_its_metals_brightness_and_leaves_the_ground_alone() -> None:
    rng = np.random.default_rng(0)
    canvas = np.full((80, 80, 3), 30, np.float32)
    outline = random_outline(rng, (80, 80), (40, 40), 15, flattening=0, dents=0)
    draw_coin(rng, canvas, outline, np.full(3, 180, np.float32), 0.5)
    assert 120 < np.median(canvas[30:50, 30:50]) < 240
    assert (canvas[:10] == 30).all()
    assert (canvas >= 0).all()
    assert (canvas <= 255).all()


def test_a_coin_beside_the_canvas_is_not_drawn() -> None:
    rng = np.random.default_rng(0)
    canvas = np.full((20, 20, 3), 30, np.float32)
    outline = random_outline(rng, (20, 20), (200, 5), 9, flattening=0, dents=0)
    draw_coin(rng, canvas, outline, np.full(3, 180, np.float32), 0.5)
    assert (canvas == 30).all()
