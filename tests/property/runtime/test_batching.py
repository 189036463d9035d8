"""Laws of batching: whatever is submitted, cancelled, late, poisoned or closed, every item ends once, and rightly."""

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from retinue.runtime.batcher import Batcher
from retinue.runtime.caller import Caller, Priority
from retinue.runtime.engine_size import EngineSize
from retinue.runtime.errors import (
    BackendFailed,
    Cancelled,
    DeadlineExceeded,
    InvalidImage,
    InvalidInput,
    ModelNotReady,
    Overloaded,
)
from retinue.runtime.ticket import Ticket
from retinue.runtime.worker import Worker
from tests.unit.runtime.numbers_read import Clock, Fault, Ledger, NumberPipeline, Written

ERRORS: dict[Fault, type[Exception]] = {
    "decode": InvalidImage,
    "prepare": InvalidInput,
    "finish": InvalidInput,
    "run": BackendFailed,
    "decode bug": ValueError,
    "finish bug": KeyError,
}
# Most items are good, else no batch of several is ever run to its end.
FAULTS = st.sampled_from(["", "", "", "", "", "", *ERRORS])
PRIORITIES: list[Priority] = ["high", "normal"]
_LATER_S = 1e12  # far from the real clock, on which `wait` would time out: nothing here may wait


@dataclass(eq=False)
class Queued:
    """An item as the model of the batcher sees it."""

    ticket: Ticket[Written, int]
    byte_count: int
    errors: list[type[Exception]] = field(default_factory=list)  # one at most


class BatcherMachine(RuleBasedStateMachine):
    """A batcher and its worker beside a naive model, one step at a time, on a clock that only the rules move."""

    @initialize(
        max_batch_size=st.integers(1, 4),
        max_queue_items=st.integers(1, 8),
        max_queue_bytes=st.integers(1, 30),
    )
    def begin(self, max_batch_size: int, max_queue_items: int, max_queue_bytes: int) -> None:
        self.limits = max_batch_size, max_queue_items, max_queue_bytes
        self.clock = Clock(_LATER_S)
        self.ledger = Ledger()
        self.pipeline = NumberPipeline()
        self.batcher: Batcher[Written, int] = Batcher(
            EngineSize(1, max_batch_size, max_queue_items, max_queue_bytes),
            on_drop=self.ledger.on_drop,
            clock=self.clock,
        )
        self.worker = Worker(self.pipeline, self.batcher, self.ledger, clock=self.clock)
        self.waiting: deque[Queued] = deque()
        self.taken: list[list[Queued]] = []
        self.all: list[Queued] = []
        self.refusals = 0
        self.high_turns = 0
        self.is_closed = False

    @rule(
        fault=FAULTS,
        bucket=st.sampled_from("xy"),
        byte_count=st.integers(0, 12),
        patience_s=st.sampled_from([None, None, -1, 0, 2, 8]),
        is_gone=st.sampled_from([False, False, False, True]),
        priority=st.sampled_from(PRIORITIES),
    )
    def submit(
        self,
        fault: Fault,
        bucket: str,
        byte_count: int,
        patience_s: int | None,
        priority: Priority,
        *,
        is_gone: bool,
    ) -> None:
        caller = Caller(None if patience_s is None else self.clock.now_s + patience_s, priority)
        if is_gone:
            caller.cancel()
        item = Written(len(self.all), fault, bucket)
        _, max_items, max_bytes = self.limits
        used = sum(one.byte_count for one in self.waiting)
        if self.is_closed:
            refusal: type[Exception] | None = ModelNotReady
        elif len(self.waiting) >= max_items or (self.waiting and used + byte_count > max_bytes):
            refusal = Overloaded
        else:
            refusal = None
        if refusal is not None:
            with pytest.raises(refusal):
                self.batcher.submit(item, caller, bucket=bucket, byte_count=byte_count)
            assert not caller._cancellers
            self.refusals += refusal is Overloaded
            return
        ticket = self.batcher.submit(item, caller, bucket=bucket, byte_count=byte_count)
        one = Queued(ticket, byte_count)
        self.all.append(one)
        self.waiting.append(one)
        if is_gone:
            one.errors = [Cancelled]

    @rule(data=st.data())
    @precondition(lambda self: self.all)
    def cancel(self, data: st.DataObject) -> None:
        """A caller goes away: before, while or after the item is worked on."""
        one = data.draw(st.sampled_from(self.all))
        was_settled = one.ticket.is_settled
        one.ticket.caller.cancel()
        if not was_settled:
            one.errors = [Cancelled]

    @rule(seconds=st.sampled_from([1, 2, 4]))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.now_s += seconds

    @rule()
    @precondition(lambda self: self.is_closed or any(self._is_live(one) for one in self.waiting))  # else it would wait
    def take(self) -> None:
        """Compare what is handed out with what the model says: the oldest bucket, in order, the dead left out."""
        expected: list[Queued] = []
        while self.waiting and not expected:
            leader = self._leader()
            same_bucket = [one for one in self.waiting if one.ticket.item.bucket == leader.ticket.item.bucket]
            leading = leader.ticket.caller.priority
            for one in sorted(same_bucket, key=lambda one: one.ticket.caller.priority != leading):
                if len(expected) == self.limits[0]:
                    break
                self.waiting.remove(one)
                if not self._is_dropped(one):
                    expected.append(one)
        batch = self.batcher.take()
        if not expected:
            assert batch is None
            return
        assert batch == [one.ticket for one in expected]
        assert len(batch) <= self.limits[0]
        self.taken.append(expected)

    @rule()
    @precondition(lambda self: self.taken)
    def work(self) -> None:
        """Answer the oldest batch that is taken."""
        batch = self.taken.pop(0)
        decoded_before = len(self.pipeline.decoded)
        live = [one for one in batch if not self._is_dropped(one)]
        self.worker.answer([one.ticket for one in batch])
        for one in live:
            if (fault := one.ticket.item.fault) != "":
                one.errors = [ERRORS[fault]]

        assert all(one.ticket.is_settled for one in batch)
        decoded = set(self.pipeline.decoded[decoded_before:])
        assert decoded == {one.ticket.item.number for one in live}
        per_item = {number: self.pipeline.decoded.count(number) for number in decoded}
        assert all(count <= (2 if len(batch) > 1 else 1) for count in per_item.values())

    @rule()
    def close(self) -> None:
        self.batcher.close()
        self.is_closed = True

    def _leader(self) -> Queued:
        """Return the oldest of the high, or at every fourth turn of the normal where there are both."""
        first = {
            priority: next((one for one in self.waiting if one.ticket.caller.priority == priority), None)
            for priority in PRIORITIES
        }
        high, normal = first["high"], first["normal"]
        if high is None or normal is None:
            self.high_turns = 0
            return self.waiting[0]
        if self.high_turns == 3:
            self.high_turns = 0
            return normal
        self.high_turns += 1
        return high

    def _is_live(self, one: Queued) -> bool:
        deadline_s = one.ticket.caller.deadline_s
        return not one.errors and (deadline_s is None or self.clock.now_s < deadline_s)

    def _is_dropped(self, one: Queued) -> bool:
        """Whether nobody waits for it any more; the model settles it as the batcher will."""
        if self._is_live(one):
            return False
        one.errors = one.errors or [DeadlineExceeded]
        return True

    @invariant()
    def queue_is_what_the_model_says_and_within_its_bounds(self) -> None:
        used = sum(one.byte_count for one in self.waiting)
        assert len(self.batcher) == len(self.waiting) <= self.limits[1]
        assert self.batcher._backlog.byte_count == used
        assert used <= self.limits[2] or len(self.waiting) == 1

    @invariant()
    def settled_tickets_are_kept_by_nobody(self) -> None:
        for one in self.all:
            assert len(one.ticket.caller._cancellers) == (0 if one.ticket.is_settled else 1)

    def teardown(self) -> None:
        """After the end, every ticket is settled, once, and with what the model says."""
        if not hasattr(self, "batcher"):
            return
        self.close()
        while self.waiting:
            self.take()
        while self.taken:
            self.work()
        assert self.batcher.take() is None
        for one in self.all:
            assert one.ticket.is_settled
            error = one.ticket.wait_error()
            assert [type(error)] == one.errors if error is not None else one.errors == []
            if error is None:
                assert one.ticket.wait() == one.ticket.item.number
            assert not one.ticket.cancel()
        assert self.ledger.item_count == len(self.all) + self.refusals
        assert len(self.ledger.answers) == sum(not one.errors for one in self.all)


TestBatcherMachine = BatcherMachine.TestCase
TestBatcherMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


@dataclass(frozen=True)
class Sent:
    """What one client sends and does."""

    fault: Fault
    bucket: str
    is_late: bool
    is_left: bool  # its caller goes away right after


SENT = st.builds(
    Sent,
    FAULTS,
    st.sampled_from("xy"),
    st.sampled_from([False, False, False, False, True]),
    st.sampled_from([False, False, False, True]),
)


@given(
    clients=st.lists(st.lists(SENT, min_size=1, max_size=12), min_size=1, max_size=4),
    worker_count=st.integers(1, 3),
    max_batch_size=st.integers(1, 5),
    max_queue_items=st.sampled_from([2, 1000]),
)
@settings(max_examples=60, deadline=None)
def test_threads_lose_nothing_swap_nothing_and_answer_once(
    clients: list[list[Sent]], worker_count: int, max_batch_size: int, max_queue_items: int
) -> None:
    ledger, pipeline = Ledger(), NumberPipeline()
    batcher: Batcher[Written, int] = Batcher(
        EngineSize(worker_count, max_batch_size, max_queue_items, 1000), on_drop=ledger.on_drop
    )
    start = threading.Barrier(worker_count + len(clients))
    sent: list[tuple[Sent, Ticket[Written, int]]] = []
    refusals: list[None] = []

    def work() -> None:
        start.wait()
        Worker(pipeline, batcher, ledger)()

    def send(client: int, items: list[Sent]) -> None:
        start.wait()
        mine = []
        for number, one in enumerate(items):
            caller = Caller(0.0 if one.is_late else time.monotonic() + 60)
            written = Written(client * 100 + number, one.fault, one.bucket)
            try:
                mine.append((one, batcher.submit(written, caller, bucket=one.bucket)))
            except Overloaded:
                assert max_queue_items == 2
                refusals.append(None)
            if one.is_left:
                caller.cancel()
        for _, ticket in mine:
            ticket.wait_error()
        sent.extend(mine)

    with ThreadPoolExecutor(worker_count) as workers, ThreadPoolExecutor(len(clients)) as senders:
        working = [workers.submit(work) for _ in range(worker_count)]
        list(senders.map(send, range(len(clients)), clients))
        batcher.close()
        for worker in working:
            worker.result()

    for one, ticket in sent:
        _assert_settled_rightly(one, ticket)
    decoded = set(pipeline.decoded)
    assert not any(one.is_late and ticket.item.number in decoded for one, ticket in sent)
    assert len(batcher) == batcher._backlog.byte_count == batcher._idle_workers == 0
    assert all(len(run) <= max_batch_size for run in pipeline.runs)
    _assert_counted_once(ledger, sent, len(refusals))
    if worker_count == 1:
        _assert_kept_in_order(pipeline, clients)


def _assert_counted_once(ledger: Ledger, sent: list[tuple[Sent, Ticket[Written, int]]], refusals: int) -> None:
    answered = sum(ticket.wait_error() is None for _, ticket in sent)
    assert len(ledger.answers) == answered
    # One whose caller leaves while his batch fails as a whole is in none of the columns.
    assert answered + refusals <= ledger.item_count <= len(sent) + refusals
    if not any(one.is_left for one, _ in sent):
        assert ledger.item_count == len(sent) + refusals


def _assert_settled_rightly(one: Sent, ticket: Ticket[Written, int]) -> None:
    error = ticket.wait_error()
    allowed: set[type[object]] = {ERRORS[one.fault] if one.fault else type(None)}
    if one.is_late:
        allowed = {DeadlineExceeded}
    if one.is_left:
        allowed.add(Cancelled)
    assert type(error) in allowed
    if error is None:
        assert ticket.wait() == ticket.item.number
    assert not ticket.caller._cancellers


def _assert_kept_in_order(pipeline: NumberPipeline, clients: list[list[Sent]]) -> None:
    """Items of one client and bucket are first decoded in the order sent; a batch that failed decodes some again."""
    first_seen = list(dict.fromkeys(pipeline.decoded))
    for client, items in enumerate(clients):
        for bucket in "xy":
            numbers = {client * 100 + number for number, one in enumerate(items) if one.bucket == bucket}
            mine = [number for number in first_seen if number in numbers]
            assert mine == sorted(mine)


@given(
    faults=st.lists(FAULTS, min_size=2, max_size=8),
    leavers=st.sets(st.integers(0, 7)),
    moment=st.sampled_from(["decode", "run", "finish"]),
)
def test_callers_who_leave_at_any_stage_leave_nobody_hanging(
    faults: list[Fault], leavers: set[int], moment: str
) -> None:
    """Some batchers never answer those behind one who left."""
    pipeline, ledger = NumberPipeline(), Ledger()
    batcher: Batcher[Written, int] = Batcher(EngineSize(1, 8, 8, 1))
    tickets = [batcher.submit(Written(number, fault), Caller()) for number, fault in enumerate(faults)]

    def leave(_: object = None) -> None:
        for number in leavers & set(range(len(tickets))):
            tickets[number].caller.cancel()

    setattr(pipeline, f"on_{moment}", leave)
    batcher.close()
    Worker(pipeline, batcher, ledger)()

    for number, (fault, ticket) in enumerate(zip(faults, tickets, strict=True)):
        assert ticket.is_settled
        error = ticket.wait_error()
        allowed = {ERRORS[fault] if fault else type(None)} | ({Cancelled} if number in leavers else set())
        assert type(error) in allowed
        assert error is not None or ticket.wait() == number
