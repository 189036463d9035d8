"""Figures of answers, and an engine that is asked."""

import pytest

from retinue.runtime.engine import Engine
from retinue.runtime.engine_size import EngineSize
from retinue.runtime.errors import BackendFailed, InvalidImage
from retinue.runtime.picture import Picture
from retinue.runtime.statistics import Statistics
from retinue.runtime.tuning.drive import drive, figures_of
from tests.unit.serving.tiny_engine import MeanPipeline, grey, manifest_of


def test_the_ramp_does_not_count_where_enough_comes_later() -> None:
    slow = [(0.1, 0.1), (0.2, 0.1)]
    steady = [(0.2 + 0.01 * number, 0.01) for number in range(1, 81)]
    figures = figures_of(slow + steady, 0.0, 1.0, 8.2, 1)

    assert figures.answers_per_s == pytest.approx(100.0)
    assert (figures.p50_ms, figures.p99_ms) == (10.0, 10.0)
    assert figures.cpu_ms == 100.0
    assert figures.in_flight == 1


def test_of_a_slow_model_every_answer_counts() -> None:
    figures = figures_of([(2.0, 2.0), (2.0, 2.0), (4.0, 2.0)], 0.0, 3.0, 3.0, 2)

    assert figures.answers_per_s == 0.75
    assert figures.p99_ms == 2000.0


def test_the_99th_percentile_is_no_mean() -> None:
    ends = [(1.0 + 0.01 * number, 0.5 if number == 50 else 0.01) for number in range(101)]
    figures = figures_of(ends, 0.0, 1.0, 1.0, 1)

    assert (figures.p50_ms, figures.p99_ms) == (10.0, 10.0)
    assert figures_of([*ends, (2.1, 0.5), (2.2, 0.5)], 0.0, 1.0, 1.0, 1).p99_ms == 500.0


@pytest.fixture
def engine() -> Engine[Picture, float]:
    size = EngineSize(workers=2, max_batch_size=4, max_queue_items=64, max_queue_bytes=1 << 20)
    engine: Engine[Picture, float] = Engine(manifest_of(), MeanPipeline(), size, Statistics())
    engine.start()
    return engine


def test_engine_is_asked_by_as_many_as_are_said(engine: Engine[Picture, float]) -> None:
    figures = drive(engine, [grey(1), grey(2)], in_flight=3, seconds=0.02)
    engine.close()

    assert figures.in_flight == 3
    assert figures.answers_per_s > 0
    assert figures.p50_ms <= figures.p99_ms


def test_item_that_is_not_answered_is_an_error(engine: Engine[Picture, float]) -> None:
    class Broken:
        info = grey(1).info

        def pixels(self) -> object:
            raise InvalidImage("image.encoded", "is broken")

    with pytest.raises(InvalidImage):
        drive(engine, [Broken()], in_flight=2, seconds=0.02)
    engine.close()


def test_a_fault_ends_no_caller_unheard(engine: Engine[Picture, float]) -> None:
    class Faulty:
        info = grey(1).info

        def pixels(self) -> object:
            raise ZeroDivisionError("by nought")

    with pytest.raises(BackendFailed, match="by nought"):
        drive(engine, [grey(1), Faulty()], in_flight=2, seconds=0.02)
    engine.close()
