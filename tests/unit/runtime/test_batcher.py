"""The queue from which workers pull: bounded, work-conserving, one bucket to a batch, the dead dropped."""

import threading
import time
from typing import Any

import pytest

from retinue.runtime.batcher import Batcher
from retinue.runtime.caller import Caller
from retinue.runtime.engine_size import EngineSize
from retinue.runtime.errors import Cancelled, DeadlineExceeded, ModelNotReady, Overloaded
from tests.unit.runtime.numbers_read import Clock


def batcher_of(**changes: Any) -> Batcher[str, int]:
    """Return a batcher with room for everything, but for the changes."""
    limits: dict[str, Any] = {"workers": 1, "max_batch_size": 4, "max_queue_items": 100, "max_queue_bytes": 1000}
    size = EngineSize(**{name: changes.pop(name, limit) for name, limit in limits.items()})
    return Batcher(size, **changes)


def take(batcher: Batcher[str, int]) -> str:
    """Return the items of the next batch, which must be there, as one word."""
    assert len(batcher) > 0
    batch = batcher.take()
    assert batch is not None
    return "".join(ticket.item for ticket in batch)


def submit(batcher: Batcher[str, int], items: str, bucket: str = "x") -> None:
    """Queue one item for each letter."""
    for item in items:
        batcher.submit(item, Caller(), bucket=bucket)


def test_lone_item_is_handed_out_at_once() -> None:
    batcher = batcher_of()
    ticket = batcher.submit("a", Caller())

    assert batcher.take() == [ticket]
    assert len(batcher) == 0


def test_what_waits_shares_a_batch_up_to_the_limit() -> None:
    batcher = batcher_of()
    submit(batcher, "abcdefghi")

    assert [take(batcher), take(batcher), take(batcher)] == ["abcd", "efgh", "i"]


def test_batch_holds_one_bucket_and_the_oldest_item_goes_first() -> None:
    batcher = batcher_of()
    for item, bucket in zip("abcdef", "xyxzyx", strict=True):
        batcher.submit(item, Caller(), bucket=bucket)

    assert [take(batcher), take(batcher), take(batcher)] == ["acf", "be", "d"]


def test_bucket_larger_than_a_batch_waits_its_turn_again() -> None:
    batcher = batcher_of(max_batch_size=2)
    submit(batcher, "ab", "x")
    submit(batcher, "c", "y")
    submit(batcher, "de", "x")

    assert [take(batcher), take(batcher), take(batcher)] == ["ab", "c", "de"]


def test_empty_bucket_is_forgotten() -> None:
    """Buckets are shapes that callers choose: a server meets ever new ones."""
    batcher = batcher_of()
    for number in range(50):
        batcher.submit("a", Caller(), bucket=number)
        batcher.take()

    assert not batcher._backlog.buckets()


@pytest.mark.parametrize(("idle_workers", "sizes"), [(1, [4]), (2, [4, 4]), (3, [3, 3, 2]), (8, [1] * 8)])
def test_idle_workers_share_a_burst(idle_workers: int, sizes: list[int]) -> None:
    batcher = batcher_of()
    submit(batcher, "abcdefgh")
    taken = []
    for others in reversed(range(idle_workers)):
        batcher._idle_workers = others  # they wait beside the one that takes
        if len(batcher):
            taken.append(len(take(batcher)))

    assert taken == sizes


def test_queue_is_bounded_by_items() -> None:
    batcher = batcher_of(max_queue_items=2)
    submit(batcher, "ab")

    with pytest.raises(Overloaded, match="2 items") as raised:
        batcher.submit("c", Caller())
    assert raised.value.retry_after_s > 0
    assert raised.value.cause == "queue_full"
    assert len(batcher) == 2
    assert take(batcher) == "ab"
    submit(batcher, "c")


def test_queue_is_bounded_by_bytes() -> None:
    batcher = batcher_of(max_queue_bytes=10)
    batcher.submit("a", Caller(), byte_count=4)
    batcher.submit("b", Caller(), byte_count=6)

    with pytest.raises(Overloaded, match="10 bytes"):
        batcher.submit("c", Caller(), byte_count=1)
    batcher.submit("d", Caller(), byte_count=0)
    assert take(batcher) == "abd"
    batcher.submit("c", Caller(), byte_count=10)


def test_item_above_the_byte_limit_is_let_into_an_empty_queue_only() -> None:
    batcher = batcher_of(max_queue_bytes=10)
    batcher.submit("a", Caller(), byte_count=11)

    with pytest.raises(Overloaded):
        batcher.submit("b", Caller(), byte_count=0)
    assert take(batcher) == "a"
    batcher.submit("b", Caller(), byte_count=99)


@pytest.mark.parametrize(("is_patient", "told"), [(False, ["queue_full"]), (True, [])])
def test_refusal_is_told_unless_the_item_will_be_brought_again(is_patient: bool, told: list[str]) -> None:  # noqa: FBT001
    drops: list[str] = []
    batcher = batcher_of(max_queue_items=1, on_drop=drops.append)
    submit(batcher, "a")

    with pytest.raises(Overloaded):
        batcher.submit("b", Caller(), is_patient=is_patient)
    assert drops == told


def test_refused_item_is_not_kept_by_its_caller() -> None:
    batcher, caller = batcher_of(max_queue_items=1), Caller()
    batcher.submit("a", Caller())

    with pytest.raises(Overloaded):
        batcher.submit("b", caller)
    assert not caller._cancellers


@pytest.mark.parametrize("limit", ["workers", "max_batch_size", "max_queue_items", "max_queue_bytes"])
def test_limit_below_one_is_refused(limit: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        batcher_of(**{limit: 0})


def test_cancelled_item_is_dropped_and_its_neighbours_are_not() -> None:
    drops: list[str] = []
    batcher, caller = batcher_of(max_batch_size=2, on_drop=drops.append), Caller()
    submit(batcher, "a")
    ticket = batcher.submit("b", caller, bucket="x")
    submit(batcher, "cd")
    caller.cancel()

    assert [take(batcher), take(batcher)] == ["ac", "d"]
    assert drops == ["cancelled"]
    with pytest.raises(Cancelled):
        ticket.wait()


def test_item_is_dropped_from_its_deadline_on() -> None:
    drops: list[str] = []
    clock = Clock(10.0)
    batcher = batcher_of(on_drop=drops.append, clock=clock)
    late = batcher.submit("a", Caller(11.0))
    batcher.submit("b", Caller(11.1))
    clock.now_s = 11.0

    assert take(batcher) == "b"
    assert drops == ["deadline"]
    with pytest.raises(DeadlineExceeded):
        late.wait()


def test_late_caller_who_was_let_go_counts_as_late() -> None:
    """A gRPC server cancels a call whose deadline passes; that is no caller who changed his mind."""
    drops: list[str] = []
    clock = Clock(10.0)
    batcher, caller = batcher_of(on_drop=drops.append, clock=clock), Caller(11.0)
    batcher.submit("a", caller)
    clock.now_s = 11.0
    caller.cancel()
    submit(batcher, "b")

    assert take(batcher) == "b"
    assert drops == ["deadline"]


def test_item_of_a_caller_who_has_gone_is_settled_before_any_worker_sees_it() -> None:
    batcher, caller = batcher_of(), Caller()
    caller.cancel()
    ticket = batcher.submit("a", caller)

    assert ticket.is_settled
    submit(batcher, "b")
    assert take(batcher) == "b"


def test_dropped_items_give_their_places_back() -> None:
    batcher, caller = batcher_of(max_queue_items=3, max_queue_bytes=30), Caller()
    for item in "abc":
        batcher.submit(item, caller, byte_count=10)
    caller.cancel()
    batcher.close()

    assert batcher.take() is None
    assert (len(batcher), batcher._backlog.byte_count) == (0, 0)


def test_closed_batcher_refuses_and_still_hands_out_what_waits() -> None:
    batcher = batcher_of()
    submit(batcher, "ab", "x")
    submit(batcher, "c", "y")
    batcher.close()

    with pytest.raises(ModelNotReady):
        batcher.submit("d", Caller())
    assert [take(batcher), take(batcher)] == ["ab", "c"]
    assert batcher.take() is None
    assert batcher.take() is None


def test_close_wakes_every_idle_worker() -> None:
    batcher, results = batcher_of(), []
    threads = [threading.Thread(target=lambda: results.append(batcher.take())) for _ in range(5)]
    for thread in threads:
        thread.start()
    batcher.close()
    for thread in threads:
        thread.join()

    assert results == [None] * 5
    assert batcher._idle_workers == 0


def test_idle_worker_wakes_for_each_of_many_items() -> None:
    """One item at a time, so that a wake-up that is missed once leaves an item unanswered."""
    batcher = batcher_of()

    def work() -> None:
        while (batch := batcher.take()) is not None:
            for ticket in batch:
                ticket.resolve(ord(ticket.item))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            assert batcher.submit("a", Caller(time.monotonic() + 30)).wait() == ord("a")
    finally:
        batcher.close()
        for thread in threads:
            thread.join()
