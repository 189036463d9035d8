"""An engine: warmed before the first caller, many workers at work, drained at the end."""

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import pytest

from retinue.runtime.caller import Caller
from retinue.runtime.engine import Engine, EngineSize
from retinue.runtime.errors import BackendFailed, InvalidImage, ModelNotReady, Overloaded
from tests.unit.runtime.numbers_read import Fault, Ledger, NumberPipeline, Written, manifest_of


def engine_of(
    pipeline: NumberPipeline, *, workers: int = 1, max_batch_size: int = 4, max_queue_items: int = 1000
) -> Engine[Written, int]:
    """Return an engine that is not started yet."""
    size = EngineSize(workers, max_batch_size, max_queue_items, 1000)
    return Engine(manifest_of("reader"), pipeline, size, Ledger())


@contextmanager
def started(engine: Engine[Written, int]) -> Iterator[Engine[Written, int]]:
    """Start an engine and close it at the end."""
    engine.start()
    try:
        yield engine
    finally:
        assert engine.close(timeout_s=30)


def caller() -> Caller:
    """Return a caller who would rather fail than hang."""
    return Caller(time.monotonic() + 30)


def test_item_is_answered() -> None:
    with started(engine_of(NumberPipeline())) as engine:
        assert engine.submit(Written(7), caller(), byte_count=3).wait() == 7
        with pytest.raises(InvalidImage):
            engine.submit(Written(8, "decode"), caller()).wait()


@pytest.mark.parametrize(
    ("largest", "sizes"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8]), (9, [1, 2, 4, 8, 9])]
)
def test_every_bucket_is_warmed_at_every_power_of_two(largest: int, sizes: list[int]) -> None:
    pipeline = NumberPipeline()
    with started(engine_of(pipeline, max_batch_size=largest)):
        pass

    assert [len(numbers) for numbers in pipeline.runs] == sizes * 2


class OnDevice(NumberPipeline):
    """A pipeline that says it runs elsewhere than on the CPU."""

    provider = "cuda"


class Sized(NumberPipeline):
    """A pipeline whose bucket b has large rows."""

    def row_pixels(self, bucket: Hashable) -> int:
        return 1000 if bucket == "b" else 10


def test_batches_on_a_device_have_only_sizes_that_were_warmed() -> None:
    pipeline = OnDevice()
    engine = engine_of(pipeline, max_batch_size=8)
    tickets = [engine.submit(Written(number, "", "a"), caller()) for number in range(7)]
    with started(engine):
        assert [ticket.wait() for ticket in tickets] == list(range(7))

    assert [len(numbers) for numbers in pipeline.runs] == [1, 2, 4, 8] * 2 + [4, 2, 1]


def test_pixel_budget_bounds_batches_and_warm_up() -> None:
    pipeline = Sized()
    size = EngineSize(1, 4, 100, 1000, max_batch_pixels=2500)
    engine = Engine(manifest_of(), pipeline, size, Ledger())
    tickets = [engine.submit(Written(number, "", bucket), caller()) for bucket in "ab" for number in range(3)]
    with started(engine):
        for ticket in tickets:
            ticket.wait()

    assert [len(numbers) for numbers in pipeline.runs] == [1, 2, 4, 1, 2, 3, 2, 1]


def test_pixel_budget_of_a_pipeline_that_knows_no_pixels_bounds_nothing() -> None:
    pipeline = NumberPipeline()
    with started(Engine(manifest_of(), pipeline, EngineSize(1, 4, 100, 1000, max_batch_pixels=1), Ledger())):
        pass
    assert [len(numbers) for numbers in pipeline.runs] == [1, 2, 4] * 2


def test_engine_learns_what_its_batches_cost_and_refuses_what_would_be_late() -> None:
    pipeline = NumberPipeline()
    with started(engine_of(pipeline, max_batch_size=1)) as engine:
        for number in range(20):
            engine.submit(Written(number, "", "a"), caller()).wait()
        hold, running = threading.Event(), threading.Event()

        def wait_for_all(_: list[int]) -> None:
            running.set()
            hold.wait()

        pipeline.on_run = wait_for_all
        waiting = [engine.submit(Written(1, "", "a"), caller()) for _ in range(900)]
        running.wait()
        try:
            with pytest.raises(Overloaded) as raised:
                engine.submit(Written(2, "", "a"), Caller(time.monotonic() + 1e-3))
        finally:
            hold.set()
        assert [ticket.wait() for ticket in waiting] == [1] * 900
    assert raised.value.cause == "deadline_unmet"
    assert engine.statistics.snapshot().failure.count == 1


def test_failing_warm_up_starts_nothing() -> None:
    def fail(_: list[int]) -> None:
        raise BackendFailed("broken")

    engine = engine_of(NumberPipeline(fail))
    with pytest.raises(BackendFailed):
        engine.start()
    assert engine.close()


def test_warm_up_is_not_counted() -> None:
    with started(engine_of(NumberPipeline())) as engine:
        assert engine.statistics.snapshot().execution_count == 0


def test_full_queue_refuses() -> None:
    engine = engine_of(NumberPipeline(), max_queue_items=1)
    waiting = engine.submit(Written(1), caller())
    with pytest.raises(Overloaded):
        engine.submit(Written(2), caller())
    assert engine.statistics.snapshot().failure.count == 1
    assert engine.queue_length == 1
    with started(engine):
        assert waiting.wait() == 1
    assert engine.queue_length == 0


def test_totals_and_observer_are_both_told() -> None:
    pipeline, ledger = NumberPipeline(), Ledger()
    engine = Engine(manifest_of(), pipeline, EngineSize(1, 4, 100, 1000), ledger)
    gone = caller()
    gone.cancel()
    faults: list[Fault] = ["", "decode", "prepare", ""]
    tickets = [engine.submit(Written(number, fault), caller()) for number, fault in enumerate(faults)]
    engine.submit(Written(9), gone)
    with started(engine):
        for ticket in tickets:
            ticket.wait_error()

    totals = engine.statistics.snapshot()
    assert (totals.success.count, totals.failure.count) == (2, 3)
    assert (totals.inference_count, totals.execution_count) == (2, 1)
    assert (len(ledger.answers), len(ledger.failures), ledger.drops) == (2, 2, ["cancelled"])
    assert ledger.batch_sizes == [2]


def test_close_answers_what_waits_and_refuses_what_comes() -> None:
    engine = engine_of(NumberPipeline(), max_batch_size=2)
    tickets = [engine.submit(Written(number), caller()) for number in range(5)]
    engine.start()
    assert engine.close()

    assert [ticket.wait() for ticket in tickets] == list(range(5))
    with pytest.raises(ModelNotReady):
        engine.submit(Written(9), caller())
    assert engine.close()


def test_close_of_an_engine_that_never_started_leaves_nobody_waiting() -> None:
    engine = engine_of(NumberPipeline(), max_batch_size=2)
    tickets = [engine.submit(Written(number), Caller()) for number in range(5)]

    assert engine.close()
    assert all(isinstance(ticket.wait_error(), ModelNotReady) for ticket in tickets)


def test_close_says_that_a_worker_is_stuck_and_waits_once_for_all_of_them() -> None:
    release = threading.Event()
    pipeline = NumberPipeline()
    engine = engine_of(pipeline, workers=4, max_batch_size=1)
    engine.start()
    running = threading.Semaphore(0)

    def hang(_: list[int]) -> None:
        running.release()
        release.wait()

    pipeline.on_run = hang
    tickets = [engine.submit(Written(number), caller()) for number in range(4)]
    for _ in tickets:
        running.acquire()
    before = time.monotonic()
    assert not engine.close(timeout_s=0.2)
    assert time.monotonic() - before < 0.7  # four times the timeout would be 0.8
    release.set()
    assert engine.close(timeout_s=30)
    assert [ticket.wait() for ticket in tickets] == list(range(4))


def test_items_gather_into_batches_while_the_worker_is_busy() -> None:
    release, running = threading.Event(), threading.Event()

    def hold(numbers: list[int]) -> None:
        if numbers == [100]:
            running.set()
            release.wait()

    pipeline = NumberPipeline(hold)
    with started(engine_of(pipeline)) as engine:
        tickets = [engine.submit(Written(100), caller())]
        running.wait()
        tickets += [engine.submit(Written(number), caller()) for number in range(6)]
        release.set()
        assert [ticket.wait() for ticket in tickets] == [100, *range(6)]

    assert pipeline.runs[-3:] == [[100], [0, 1, 2, 3], [4, 5]]


def test_workers_run_at_the_same_time() -> None:
    pipeline = NumberPipeline()
    with started(engine_of(pipeline, workers=3, max_batch_size=1)) as engine:
        together = threading.Barrier(3)
        pipeline.on_run = lambda _: together.wait(timeout=30)  # passes only if all three run
        tickets = [engine.submit(Written(number), caller()) for number in range(3)]
        assert [ticket.wait() for ticket in tickets] == [0, 1, 2]


@pytest.mark.parametrize("workers", [1, 4])
def test_hundreds_of_items_from_many_threads_each_get_their_own_answer(workers: int) -> None:
    """Buckets, bad items, poison and callers who leave, all at once: nothing lost, nothing swapped, nothing twice."""
    ledger = Ledger()
    engine = Engine(manifest_of(), NumberPipeline(), EngineSize(workers, 8, 10_000, 1_000_000), ledger)
    faults: list[Fault] = ["", "", "", "decode", "", "finish", "", "run", "decode bug"]
    start = threading.Barrier(8)
    wrong: list[tuple[int, object]] = []

    def client(first: int, submit: Callable[..., object]) -> None:
        start.wait()
        mine = []
        for number in range(first, first + 100):
            who = caller()
            item = Written(number, faults[number % len(faults)], "ab"[number % 2])
            mine.append((item, who, engine.submit(item, who)))
            if number % 10 == 9:
                who.cancel()
        for item, who, ticket in mine:
            error = ticket.wait_error()
            is_right = (ticket.wait() == item.number and item.fault == "") if error is None else True
            is_expected = (item.fault != "") or who.is_cancelled or error is None
            if not (is_right and is_expected):
                wrong.append((item.number, error))

    with started(engine):
        threads = [threading.Thread(target=client, args=(1000 * number, engine.submit)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert wrong == []
    assert engine.queue_length == 0
    # One who leaves while his batch fails as a whole is in none of the columns.
    assert 800 - 80 <= ledger.item_count <= 800
    assert max(ledger.batch_sizes) <= 8
