"""What a batch costs: learned quickly, moved little by outliers, forgotten when it is old."""

import threading

import numpy as np
import pytest

from retinue.runtime.cost_model import CostModel, Line
from tests.unit.runtime.numbers_read import Clock

FIRST = 8  # batches until something is claimed


def taught(
    *batches: tuple[int, float], times: int = 1, clock: Clock | None = None, bucket: str = "x"
) -> tuple[CostModel, Clock]:
    """Return a model that has seen these batches, all of them so many times, and its clock."""
    clock = clock or Clock()
    model = CostModel(clock)
    for _ in range(times):
        for item_count, seconds in batches:
            model.observe(bucket, item_count, seconds)
    return model, clock


def line_of(model: CostModel, bucket: str = "x") -> Line:
    """Return a line that must be there."""
    line = model.line(bucket)
    assert line is not None
    return line


def test_unknown_bucket_has_no_line() -> None:
    assert CostModel(Clock()).line("x") is None


def test_few_batches_make_no_line() -> None:
    model, _ = taught((1, 1.0), times=FIRST - 1)
    assert model.line("x") is None
    model.observe("x", 1, 1.0)
    assert model.line("x") is not None
    assert model.line("y") is None


def test_line_is_learned_from_batches_of_several_sizes() -> None:
    model, _ = taught(*((size, 0.25 * size + 2.0) for size in (1, 2, 4, 8)), times=100)
    line = line_of(model)
    assert line.seconds(1) == pytest.approx(2.25, rel=0.03)  # b is held near 0 a little
    assert line.seconds(8) == pytest.approx(4.0, rel=0.03)


def test_batches_of_one_size_cost_their_items() -> None:
    """Of what a larger batch would save, nothing is known; that it saves nothing is the careful guess."""
    model, _ = taught((4, 1.0), times=20)
    assert line_of(model).seconds(4) == pytest.approx(1.0, rel=0.01)
    assert line_of(model).seconds(8) == pytest.approx(2.0, rel=0.1)


def test_costs_are_never_negative() -> None:
    falling, _ = taught((1, 4.0), (2, 3.0), (4, 2.0), times=20)
    assert line_of(falling).per_item_s == 0.0
    assert line_of(falling).per_batch_s == pytest.approx(3.0, rel=0.05)
    steep, _ = taught((1, 1.0), (2, 3.0), (4, 7.0), times=20)
    assert line_of(steep).per_batch_s == 0.0


@pytest.mark.parametrize("hiccup_s", [100.0, 0.0])
def test_one_outlier_moves_the_line_little(hiccup_s: float) -> None:
    model, _ = taught((1, 1.0), (2, 2.0), times=100)
    model.observe("x", 2, hiccup_s)
    assert line_of(model).seconds(2) == pytest.approx(2.0, rel=0.09)


def test_first_batches_may_hold_outliers() -> None:
    """The first run after the warm-up still meets cold caches."""
    model, _ = taught((1, 100.0), (1, 50.0), *[(1, 1.0)] * (FIRST - 2))
    assert line_of(model).seconds(1) == pytest.approx((3 + 3 + FIRST - 2) / FIRST, rel=0.05)


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_change_for_good_is_believed_soon(factor: float) -> None:
    model, _ = taught((2, 1.0), times=200)
    for _ in range(250):
        model.observe("x", 2, factor)
    assert line_of(model).seconds(2) == pytest.approx(factor, rel=0.1)


def test_batches_that_took_no_time_do_not_stay_free_for_ever() -> None:
    model, _ = taught((1, 0.0), times=50)
    for _ in range(1000):
        model.observe("x", 1, 1.0)
    assert line_of(model).seconds(1) == pytest.approx(1.0, rel=0.1)


def test_line_follows_noise_to_its_middle() -> None:
    generator = np.random.default_rng(3)
    model = CostModel(Clock())
    for _ in range(500):
        size = int(generator.integers(1, 9))
        model.observe("x", size, (1.0 * size + 3.0) * generator.uniform(0.8, 1.2))
    assert line_of(model).seconds(4) == pytest.approx(7.0, rel=0.1)


def test_line_is_not_trusted_when_nothing_has_come_for_a_second() -> None:
    model, clock = taught((1, 0.01), times=FIRST)
    clock.now_s += 0.99
    assert model.line("x") is not None
    clock.now_s += 0.02
    assert model.line("x") is None
    model.observe("x", 1, 0.01)
    assert model.line("x") is not None


def test_long_batches_are_trusted_for_longer() -> None:
    model, clock = taught((1, 2.0), times=FIRST)
    clock.now_s += 19.0
    assert model.line("x") is not None
    clock.now_s += 2.0
    assert model.line("x") is None


def test_buckets_learn_apart_and_those_longest_unseen_are_forgotten() -> None:
    clock = Clock()
    model = CostModel(clock)
    for number in range(300):
        for _ in range(FIRST):
            model.observe(number, 1, number + 1.0)
    assert line_of(model, 299).seconds(1) == pytest.approx(300.0)  # type: ignore[arg-type]  # any key will do
    assert len(model._fits) == 256
    assert model.line(0) is None


def test_threads_teach_at_once() -> None:
    model = CostModel(Clock())

    def teach() -> None:
        for number in range(200):
            model.observe("x", 1 + number % 4, 1.0 + number % 4)

    threads = [threading.Thread(target=teach) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert line_of(model).seconds(3) == pytest.approx(3.0, rel=0.05)


def test_lone_bucket_is_known_with_its_line() -> None:
    model, clock = taught((1, 1.0), times=FIRST - 1)
    assert model.lone() is None
    model.observe("x", 1, 1.0)
    assert model.lone() == ("x", model.line("x"))
    clock.now_s += 100.0
    assert model.lone() is None
    model.observe("x", 1, 1.0)
    model.observe("y", 1, 1.0)
    assert model.lone() is None
