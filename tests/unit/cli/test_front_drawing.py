"""The chart of a search: what lies where, and that nothing that can come out of a search breaks it."""

import numpy as np
import pytest

from retinue.cli.front_drawing import draw_front
from retinue.client.palette import BLACK
from retinue.runtime.setup import Setup, default_setup
from retinue.runtime.tuning.halving import Trial
from retinue.runtime.tuning.tuner import Tuned
from retinue.runtime.tuning_file import Figures

DEFAULT = default_setup(2)
BEST = Setup(providers=("openvino",), workers=2, max_batch_size=8)
WINE = (136, 34, 85)


def figures(rate: float, p99_ms: float, in_flight: int = 8) -> Figures:
    return Figures(answers_per_s=rate, p50_ms=p99_ms / 2, p99_ms=p99_ms, cpu_ms=1, in_flight=in_flight)


def found(best: Setup, scale: float = 1.0) -> Tuned:
    mine = [figures(100 * scale, 5, 1), figures(300 * scale, 20, 8), figures(320 * scale, 60, 16)]
    other = [figures(90 * scale, 6, 1), figures(200 * scale, 30, 8), figures(210 * scale, 90, 16)]
    trials = [Trial(BEST, mine[1], 1), Trial(DEFAULT, other[1], 0)]
    return Tuned(best, 8, mine if best == BEST else other, other, trials, {})


def has(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((pixels[70:660, 100:900] == colour).all(axis=2).sum() > 200)


def test_both_curves_are_drawn() -> None:
    pixels = draw_front(found(BEST), DEFAULT, title="pets@1 on Testing 1", slo_ms=50.0)

    assert pixels.shape == (760, 1280, 3)
    assert pixels.dtype == np.uint8
    assert has(pixels, BLACK)
    assert has(pixels, WINE)


def test_default_that_nothing_beats_is_drawn_alone() -> None:
    alone = draw_front(found(DEFAULT), DEFAULT, title="pets@1", slo_ms=50.0)
    both = draw_front(found(BEST), DEFAULT, title="pets@1", slo_ms=50.0)
    assert (alone == WINE).all(axis=2).sum() < (both == WINE).all(axis=2).sum()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("slo_ms", [1e-3, 50.0, 1e7])
def test_any_speed_and_latency_finds_its_place(scale: float, slo_ms: float) -> None:
    assert has(draw_front(found(BEST, scale), DEFAULT, title="x" * 500, slo_ms=slo_ms), BLACK)


def test_models_that_answered_nothing_are_drawn_as_well() -> None:
    nothing = figures(0.0, 0.0)
    assert draw_front(Tuned(DEFAULT, 8, [nothing], [nothing], [], {}), DEFAULT, title="", slo_ms=50.0).any()
