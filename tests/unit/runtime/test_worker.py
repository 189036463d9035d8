"""A worker settles every ticket of a batch: an item's failure stays its own, a batch's is looked into one by one."""

import gc
import weakref
from collections.abc import Callable, Hashable, Sequence

import pytest

from retinue.runtime.batcher import Batcher
from retinue.runtime.caller import Caller
from retinue.runtime.engine_size import EngineSize
from retinue.runtime.errors import BackendFailed, Cancelled, DeadlineExceeded, InvalidImage, InvalidInput
from retinue.runtime.ticket import Ticket
from retinue.runtime.worker import Worker
from tests.unit.runtime.numbers_read import Clock, Fault, Ledger, NumberPipeline, Written


class Bench:
    """A worker without a thread, and everything around it."""

    def __init__(self, max_batch_size: int = 8, pipeline: NumberPipeline | None = None) -> None:
        self.clock = Clock()
        self.ledger = Ledger()
        self.pipeline = pipeline or NumberPipeline()
        self.batcher: Batcher[Written, int] = Batcher(
            EngineSize(1, max_batch_size, 100, 1000),
            on_drop=self.ledger.on_drop,
            clock=self.clock,
        )
        self.worker = Worker(self.pipeline, self.batcher, self.ledger, clock=self.clock)

    def submit(self, *faults: Fault) -> list[Ticket[Written, int]]:
        """Queue one item per fault; its number is its place."""
        return [self.batcher.submit(Written(number, fault), Caller()) for number, fault in enumerate(faults)]

    def work(self) -> None:
        """Answer all that waits."""
        self.batcher.close()
        self.worker()


def outcomes(tickets: list[Ticket[Written, int]]) -> list[int | type[BaseException]]:
    """Return each ticket's answer or kind of error; all must be settled."""
    assert all(ticket.is_settled for ticket in tickets)
    return [ticket.wait() if (error := ticket.wait_error()) is None else type(error) for ticket in tickets]


def test_each_item_gets_its_own_answer() -> None:
    bench = Bench()
    tickets = bench.submit("", "", "", "")
    bench.work()

    assert outcomes(tickets) == [0, 1, 2, 3]
    assert bench.pipeline.runs == [[0, 1, 2, 3]]
    assert bench.ledger.batch_sizes == [4]
    assert len(bench.ledger.answers) == bench.ledger.item_count == 4


@pytest.mark.parametrize("fault", ["decode", "prepare"])
def test_item_that_fails_before_the_run_is_left_out_of_it(fault: Fault) -> None:
    bench = Bench()
    tickets = bench.submit("", fault, "", fault)
    bench.work()

    refusal = InvalidImage if fault == "decode" else InvalidInput
    assert outcomes(tickets) == [0, refusal, 2, refusal]
    assert bench.pipeline.runs == [[0, 2]]
    assert (len(bench.ledger.answers), len(bench.ledger.failures)) == (2, 2)


def test_item_that_fails_after_the_run_fails_alone() -> None:
    bench = Bench()
    tickets = bench.submit("finish", "", "finish", "")
    bench.work()

    assert outcomes(tickets) == [InvalidInput, 1, InvalidInput, 3]
    assert bench.pipeline.runs == [[0, 1, 2, 3], [0], [1], [2], [3]]


def test_batch_of_bad_items_is_not_run() -> None:
    bench = Bench()
    tickets = bench.submit("decode", "prepare")
    bench.work()

    assert outcomes(tickets) == [InvalidImage, InvalidInput]
    assert bench.pipeline.runs == []


def test_poison_item_is_isolated() -> None:
    """The batch fails as a whole, so each item is run once more, alone: once, and no more."""
    bench = Bench()
    tickets = bench.submit("", "run", "")
    bench.work()

    assert outcomes(tickets) == [0, BackendFailed, 2]
    assert bench.pipeline.runs == [[0, 1, 2], [0], [1], [2]]
    assert (len(bench.ledger.answers), len(bench.ledger.failures)) == (2, 1)


def test_lone_item_is_not_tried_again() -> None:
    bench = Bench()
    tickets = bench.submit("run")
    bench.work()

    assert outcomes(tickets) == [BackendFailed]
    assert bench.pipeline.runs == [[0]]


def test_surprise_in_decoding_takes_nobody_else_down() -> None:
    bench = Bench()
    tickets = bench.submit("", "decode bug", "")
    bench.work()

    assert outcomes(tickets) == [0, ValueError, 2]


def test_surprise_in_finishing_takes_nobody_else_down_and_nobody_is_answered_twice() -> None:
    bench = Bench()
    tickets = bench.submit("", "finish bug", "")
    bench.work()

    assert outcomes(tickets) == [0, KeyError, 2]
    assert bench.ledger.item_count == 3


def test_worker_goes_on_after_a_batch_has_failed() -> None:
    bench = Bench(max_batch_size=2)
    tickets = bench.submit("run", "run", "", "")
    bench.work()

    assert outcomes(tickets) == [BackendFailed, BackendFailed, 2, 3]


def test_failed_batch_that_then_succeeds_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench()
    bench.submit("", "run")
    bench.work()

    assert "batch_retried" in capsys.readouterr().out


@pytest.mark.parametrize("surplus", [-1, 1])
def test_answers_of_another_number_than_items_are_given_to_nobody(surplus: int) -> None:
    class Miscounting(NumberPipeline):
        def finish(self, items: Sequence[Written], outputs: list[int]) -> list[int]:
            answers = [*super().finish(items, outputs), 99]
            return answers[: len(items) + surplus] if len(items) > 1 else answers[:1]

    bench = Bench(pipeline=Miscounting())
    tickets = bench.submit("", "", "")
    bench.work()

    assert outcomes(tickets) == [0, 1, 2]
    assert bench.pipeline.runs == [[0, 1, 2], [0], [1], [2]]


def test_caller_who_leaves_during_the_run_does_not_leave_the_others_hanging() -> None:
    """The bug of other batchers: the missing one's answer raises, and those behind it are never answered."""
    bench, caller = Bench(), Caller()
    a = bench.batcher.submit(Written(1), Caller())
    b = bench.batcher.submit(Written(2), caller)
    c = bench.batcher.submit(Written(3), Caller())
    bench.pipeline.on_run = lambda _: caller.cancel()
    bench.work()

    assert outcomes([a, b, c]) == [1, Cancelled, 3]
    assert bench.pipeline.runs == [[1, 2, 3]]
    assert len(bench.ledger.answers) == 2
    assert bench.ledger.drops == ["cancelled"]


def test_caller_who_leaves_while_the_batch_fails_does_not_leave_the_others_hanging() -> None:
    bench, caller = Bench(), Caller()
    a = bench.batcher.submit(Written(1), Caller())
    b = bench.batcher.submit(Written(2), caller)
    c = bench.batcher.submit(Written(3, "run"), Caller())
    bench.pipeline.on_run = lambda _: caller.cancel()
    bench.work()

    assert outcomes([a, b, c]) == [1, Cancelled, BackendFailed]
    assert bench.pipeline.runs == [[1, 2, 3], [1], [3]]


@pytest.mark.parametrize("reason", ["cancelled", "deadline"])
def test_item_that_nobody_waits_for_any_more_is_not_decoded(reason: str) -> None:
    """Its batch is taken already, and its turn has not come."""
    bench = Bench()
    caller = Caller(bench.clock.now_s + 5)
    first, second = Written(1, "decode"), Written(2)
    batch = [bench.batcher.submit(first, Caller()), bench.batcher.submit(second, caller)]

    def let_go() -> None:
        if reason == "cancelled":
            caller.cancel()
        else:
            bench.clock.now_s += 5

    bench.pipeline.on_decode = let_go
    bench.work()

    assert outcomes(batch) == [InvalidImage, Cancelled if reason == "cancelled" else DeadlineExceeded]
    assert bench.pipeline.decoded == [1]
    assert bench.ledger.drops == [reason]
    assert len(bench.ledger.failures) == 1


@pytest.mark.parametrize("fault", ["decode", "finish", "run"])
def test_item_that_fails_after_its_caller_left_counts_as_dropped(fault: Fault) -> None:
    bench, caller = Bench(), Caller()
    ticket = bench.batcher.submit(Written(1, fault), caller)
    bench.pipeline.on_decode = caller.cancel
    bench.work()

    assert outcomes([ticket]) == [Cancelled]
    assert (bench.ledger.failures, bench.ledger.drops) == ([], ["cancelled"])


def test_stages_are_timed() -> None:
    bench = Bench()

    def takes(seconds: float) -> Callable[..., None]:
        return lambda *_: setattr(bench.clock, "now_s", bench.clock.now_s + seconds)

    bench.pipeline.on_decode = takes(1.0)
    bench.pipeline.on_prepare = takes(0.25)
    bench.pipeline.on_run = takes(8.0)
    bench.pipeline.on_finish = takes(0.5)
    first, second, third = bench.submit("", "decode", "")
    bench.clock.now_s += 16.0
    bench.work()

    assert first.timings.queue_s == 16.0
    assert third.timings.queue_s == 16.0 + 1.25 + 1.0  # it waits for its turn while the others are decoded
    for ticket in (first, third):
        timings = ticket.timings
        assert (timings.decode_s, timings.preprocess_s) == (1.0, 0.25)
        assert (timings.infer_s, timings.postprocess_s, timings.batch_size) == (8.0, 0.5, 2)
    assert second.timings.batch_size == 0


def test_rows_are_packed_and_the_buffer_is_reused() -> None:
    bench = Bench(max_batch_size=2)
    tickets = bench.submit("", "", "decode", "", "")
    bench.work()

    assert outcomes(tickets) == [0, 1, InvalidImage, 3, 4]
    assert bench.pipeline.runs == [[0, 1], [3], [4]]
    assert bench.pipeline.allocated == [None]


def test_worker_keeps_few_buffers_and_those_used_last() -> None:
    bench = Bench()
    for bucket in "abcdaeabf":
        bench.worker.answer([bench.batcher.submit(Written(1, "", bucket), Caller())])

    assert bench.pipeline.allocated == list("abcdebf")  # e put out b, the longest unused, and not a
    assert len(bench.worker._buffers) == 4


@pytest.mark.parametrize("fault", ["", "decode", "prepare", "finish", "run", "decode bug"])
def test_neither_worker_nor_error_keeps_the_pictures_of_a_batch(fault: Fault) -> None:
    """A traceback would: it holds its frames, those their variables, pictures and the ticket with the error."""
    bench = Bench()
    tickets = bench.submit("", fault, "")
    items = [weakref.ref(ticket.item) for ticket in tickets]
    gc.disable()  # so that a cycle would stay
    try:
        bench.work()
        kept = tickets[1]
        del tickets
        assert [item() is None for item in items] == [True, False, True]
        error = kept.wait_error()
        del kept
        assert items[1]() is None
    finally:
        gc.enable()
    assert (error is None) is (fault == "")


def test_fault_still_says_where_it_happened() -> None:
    bench = Bench()
    (ticket,) = bench.submit("decode bug")
    bench.work()

    with pytest.raises(ValueError, match="a surprise") as raised:
        ticket.wait()
    (note,) = raised.value.__notes__
    assert "in decode" in note


def test_idle_worker_keeps_no_picture() -> None:
    """A batch that is answered is let go before the next one is waited for."""
    items: list[weakref.ref[Written]] = []

    class Watched(Batcher[Written, int]):
        def take(self, seat: Hashable = None) -> list[Ticket[Written, int]] | None:
            assert all(item() is None for item in items)
            batch = super().take(seat)
            items.extend(weakref.ref(ticket.item) for ticket in batch or ())
            return batch

    batcher = Watched(EngineSize(1, 1, 2, 1))
    for number in range(2):
        batcher.submit(Written(number), Caller())
    batcher.close()
    Worker(NumberPipeline(), batcher, Ledger())()

    assert len(items) == 2
