"""The totals of a model: they only grow, and a snapshot stands still."""

import threading

from retinue.runtime.statistics import Statistics, Total
from retinue.runtime.timings import Timings
from tests.unit.runtime.numbers_read import Clock

TIMINGS = Timings(queue_s=1.0, decode_s=2.0, preprocess_s=4.0, infer_s=8.0, postprocess_s=16.0, batch_size=3)


def test_nothing_has_happened_at_first() -> None:
    snapshot = Statistics().snapshot()

    assert snapshot.success == snapshot.failure == snapshot.queue == Total()
    assert (snapshot.inference_count, snapshot.execution_count, snapshot.last_inference_s) == (0, 0, 0.0)
    assert snapshot.batches == {}


def test_answer_adds_its_stages() -> None:
    statistics = Statistics()
    statistics.on_answer(TIMINGS)
    statistics.on_answer(TIMINGS)
    snapshot = statistics.snapshot()

    assert snapshot.queue == Total(2, 2.0)
    assert snapshot.input == Total(2, 12.0)
    assert snapshot.infer == Total(2, 16.0)
    assert snapshot.output == Total(2, 32.0)
    assert snapshot.success == Total(2, 62.0)
    assert snapshot.failure == Total()


def test_failures_and_drops_are_failures() -> None:
    statistics = Statistics()
    statistics.on_failure()
    statistics.on_drop("deadline")

    assert statistics.snapshot().failure == Total(2, 0.0)


def test_runs_are_counted_by_batch_size_smallest_first() -> None:
    clock = Clock(100.0)
    statistics = Statistics(clock)
    for batch_size, infer_s in ((4, 1.0), (1, 0.5), (4, 2.0)):
        statistics.on_batch(batch_size, infer_s)
        clock.now_s += 1
    snapshot = statistics.snapshot()

    assert list(snapshot.batches.items()) == [(1, Total(1, 0.5)), (4, Total(2, 3.0))]
    assert (snapshot.inference_count, snapshot.execution_count) == (9, 3)
    assert snapshot.last_inference_s == 102.0


def test_snapshot_stands_still() -> None:
    statistics = Statistics()
    statistics.on_answer(TIMINGS)
    statistics.on_batch(1, 1.0)
    before = statistics.snapshot()
    statistics.on_answer(TIMINGS)
    statistics.on_batch(1, 1.0)
    statistics.on_failure()

    assert before.success.count == 1
    assert before.batches == {1: Total(1, 1.0)}
    assert before.failure.count == 0


def test_nothing_is_lost_while_threads_report() -> None:
    statistics, start = Statistics(), threading.Barrier(4)

    def report() -> None:
        start.wait()
        for _ in range(500):
            statistics.on_batch(2, 1.0)
            statistics.on_answer(TIMINGS)
            statistics.on_failure()

    threads = [threading.Thread(target=report) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = statistics.snapshot()

    assert snapshot.batches == {2: Total(2000, 2000.0)}
    assert (snapshot.success.count, snapshot.failure.count, snapshot.inference_count) == (2000, 2000, 4000)
