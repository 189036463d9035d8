import numpy as np
import pytest

from retinue.zoo.recipes.rounds.outlines import random_outline


def test_a_circle_covers_its_area() -> None:
    outline = random_outline(np.random.default_rng(0), (60, 60), (30, 30), 20, flattening=0, dents=0)
    assert outline.coverage.sum() == pytest.approx(np.pi * 400, rel=0.01)  # pixels at the edge are approximate
    assert outline.centre.max() == pytest.approx(1, abs=0.05)


def test_dents_and_flattening_change_the_area_a_little() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        outline = random_outline(rng, (99, 99), (50, 50), 20, flattening=0.2, dents=0.02)
        assert 0.7 < outline.coverage.sum() / (np.pi * 400) < 1.1


@pytest.mark.parametrize("middle", [(-500.0, 5.0), (5.0, 500.0), (500.0, -500.0)])
def test_what_lies_beside_the_canvas_covers_nothing(middle: tuple[float, float]) -> None:
    outline = random_outline(np.random.default_rng(0), (20, 30), middle, 9, flattening=0, dents=0)
    assert 0 in outline.size
