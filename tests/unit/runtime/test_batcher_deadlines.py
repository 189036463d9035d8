"""The queue and the clock: what is refused, given up, kept small or held back for the sake of deadlines."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from retinue.runtime.batch_sizes import BatchSizes
from retinue.runtime.batcher import Batcher
from retinue.runtime.caller import Caller, Priority
from retinue.runtime.engine_size import EngineSize
from retinue.runtime.errors import DeadlineExceeded, Overloaded
from tests.unit.runtime.numbers_read import Clock


class Bench:
    """A batcher whose batches take a second for each item and two for themselves, and all around it.

    Args:
        is_taught: whether the batcher knows that.
        size: other limits than four items to a batch and one worker.
        sizes: other sizes of batches.
    """

    def __init__(
        self, *, is_taught: bool = True, sizes: BatchSizes | None = None, batch_s: float = 2.0, **size: Any
    ) -> None:
        self.clock = Clock(100.0)
        self.drops: list[str] = []
        self.waits: list[float | None] = []
        self.on_wait: list[Callable[[], object]] = []
        limits: dict[str, Any] = {
            "workers": 1,
            "max_batch_size": 4,
            "max_queue_items": 100,
            "max_queue_bytes": 1000,
        }
        self.batcher: Batcher[str, int] = Batcher(
            EngineSize(**limits | size), sizes=sizes, on_drop=self.drops.append, clock=self.clock, wait=self._wait
        )
        if is_taught:
            self.teach("x", batch_s)

    def teach(self, bucket: str, batch_s: float) -> None:
        """Let the batcher see many batches of a bucket."""
        for _ in range(500):
            for count in (1, 2, 4, 8):
                self.batcher.costs.observe(bucket, count, count + batch_s)

    def submit(self, items: str, patience_s: float | None = None, priority: Priority = "normal") -> None:
        """Queue one item for each letter, one after the other."""
        for item in items:
            deadline_s = None if patience_s is None else self.clock.now_s + patience_s
            self.batcher.submit(item, Caller(deadline_s, priority), bucket="x")

    def take(self, seat: int = 0) -> str:
        """Return the next batch as a word."""
        batch = self.batcher.take(seat)
        assert batch is not None
        return "".join(ticket.item for ticket in batch)

    def _wait(self, condition: threading.Condition, timeout_s: float | None) -> None:
        """Let the time pass, or what is to happen meanwhile happen."""
        self.waits.append(timeout_s)
        if self.on_wait:
            condition.release()
            self.on_wait.pop(0)()
            condition.acquire()
        else:
            assert timeout_s is not None, "nothing would ever happen"
            self.clock.now_s += timeout_s


def near(seconds: float) -> Any:
    """Return what is equal to that but for what holds the learned line near 0."""
    return pytest.approx(seconds, rel=0.04)


def test_item_that_would_be_late_after_all_that_waits_is_refused_at_once() -> None:
    """Four items take 6 s and their own batch another 3: nine in all, and eight are left."""
    bench = Bench()
    bench.submit("abcd")
    bench.submit("e", patience_s=20.0)
    with pytest.raises(Overloaded, match="ms after the deadline") as raised:
        bench.submit("f", patience_s=8.0)
    assert raised.value.cause == "deadline_unmet"
    assert bench.drops == ["deadline_unmet"]
    assert len(bench.batcher) == 5


def test_refusal_says_when_it_would_fit() -> None:
    bench = Bench()
    bench.submit("abcd")
    with pytest.raises(Overloaded) as raised:
        bench.submit("e", patience_s=5.0)
    patience_s, queue_s, own_s = 5.0, 6.0, 3.0
    assert raised.value.retry_after_s == pytest.approx(queue_s + own_s - patience_s, rel=0.1)
    bench.clock.now_s += raised.value.retry_after_s
    bench.take()  # the queue was worked off meanwhile
    bench.batcher.costs.observe("x", 4, 6.0)
    bench.clock.now_s += 6.0
    bench.batcher._ends.clear()
    bench.submit("e", patience_s=5.0)


def test_running_batches_are_waited_for() -> None:
    bench = Bench()
    bench.submit("abcd")
    bench.take()
    bench.clock.now_s += 2.0  # four more seconds to go, and three for its own
    bench.submit("e", patience_s=7.5)
    with pytest.raises(Overloaded):
        bench.submit("f", patience_s=6.5)


def test_more_workers_are_sooner_done() -> None:
    bench = Bench(workers=2)
    bench.submit("abcd")
    bench.submit("e", patience_s=7.0)
    with pytest.raises(Overloaded):
        bench.submit("f", patience_s=5.0)


def test_idle_worker_is_not_waited_for() -> None:
    bench = Bench(workers=2)
    bench.submit("abcd")
    bench.take()
    bench.batcher._idle_workers = 1  # the other one
    bench.submit("e", patience_s=3.2)


def test_high_item_does_not_wait_for_normal_ones() -> None:
    bench = Bench()
    bench.submit("abcdefgh")
    with pytest.raises(Overloaded):
        bench.submit("i", patience_s=10.0)
    bench.submit("A", patience_s=10.0, priority="high")
    assert bench.take() == "Aabc"


@pytest.mark.parametrize("patience_s", [0.001, 5.0])
def test_cold_model_refuses_nothing(patience_s: float) -> None:
    bench = Bench(is_taught=False)
    bench.submit("abcdefgh")
    bench.submit("i", patience_s=patience_s)
    bench.clock.now_s += patience_s / 2
    assert bench.take() == "abcd"


def test_model_that_has_not_run_for_long_refuses_nothing() -> None:
    """Else a model that once seemed too slow for everybody would never be seen again."""
    bench = Bench()
    with pytest.raises(Overloaded):
        bench.submit("a", patience_s=2.0)
    bench.clock.now_s += 1000.0
    bench.submit("a", patience_s=2.0)
    assert bench.take() == "a"


def test_caller_without_deadline_is_refused_by_a_full_queue_only() -> None:
    bench = Bench(max_queue_items=30)
    bench.submit("a" * 30)
    with pytest.raises(Overloaded) as raised:
        bench.submit("b")
    assert raised.value.cause == "queue_full"


def test_full_queue_says_when_a_place_is_free() -> None:
    bench = Bench(max_queue_items=40)
    bench.submit("a" * 40)
    with pytest.raises(Overloaded) as raised:
        bench.submit("b")
    assert raised.value.retry_after_s == near(6.0)  # a batch: one fortieth of the queue would be less


def test_full_queue_of_bytes_says_when_there_is_room() -> None:
    bench = Bench()
    for _ in range(40):
        bench.batcher.submit("a", Caller(), bucket="x", byte_count=25)
    with pytest.raises(Overloaded) as raised:
        bench.batcher.submit("b", Caller(), bucket="x", byte_count=500)
    assert raised.value.retry_after_s == near(60.0 * 500 / 1000)


def test_full_queue_of_a_cold_model_guesses() -> None:
    bench = Bench(is_taught=False, max_queue_items=1)
    bench.submit("a")
    with pytest.raises(Overloaded) as raised:
        bench.submit("b")
    assert raised.value.retry_after_s == 0.1


def test_item_that_is_late_already_is_told_that_and_not_that_there_is_no_room() -> None:
    bench = Bench()
    ticket = bench.batcher.submit("a", Caller(bench.clock.now_s), bucket="x")
    bench.submit("b")
    assert bench.take() == "b"
    assert isinstance(ticket.wait_error(), DeadlineExceeded)
    assert bench.drops == ["deadline"]


def test_item_that_can_no_longer_be_in_time_is_given_up() -> None:
    """Even alone it takes three seconds."""
    bench = Bench()
    lost = bench.batcher.submit("a", Caller(bench.clock.now_s + 4.0), bucket="x")
    bench.submit("b", patience_s=12.0)
    bench.clock.now_s += 1.2
    assert bench.take() == "b"
    assert bench.drops == ["deadline"]
    assert isinstance(lost.wait_error(), DeadlineExceeded)


def test_batch_is_kept_small_where_a_larger_one_would_be_late() -> None:
    bench = Bench()
    bench.submit("a", patience_s=7.0)
    bench.submit("bcd")
    bench.clock.now_s += 2.8  # 4.2 s are left: two items take 4
    assert [bench.take(), bench.take()] == ["ab", "cd"]


def test_batch_does_not_grow_by_one_whom_that_makes_late() -> None:
    bench = Bench(workers=2)
    bench.submit("ab")
    bench.submit("c", patience_s=5.5)
    bench.clock.now_s += 0.7  # three items take five seconds
    assert [bench.take(0), bench.take(1)] == ["ab", "c"]


def test_when_more_waits_than_a_batch_holds_small_batches_are_not_made_for_the_nearly_late() -> None:
    """They would make everybody behind them late."""
    bench = Bench()
    lost = bench.batcher.submit("a", Caller(bench.clock.now_s + 16.0), bucket="x")
    bench.submit("bcdef")
    bench.clock.now_s += 10.5  # alone or in pairs it could still be done
    assert bench.take() == "bcde"
    assert isinstance(lost.wait_error(), DeadlineExceeded)


def test_caller_whose_patience_is_too_short_for_a_full_batch_gets_a_smaller_one() -> None:
    """Half of eight seconds is for the batch: two items; a full one would take six."""
    bench = Bench()
    bench.submit("a", patience_s=8.0)
    bench.submit("bcdef")
    bench.clock.now_s += 3.8
    assert bench.take() == "ab"


@pytest.mark.parametrize("is_rounded", [False, True])
def test_sizes_are_rounded_down_to_warmed_ones_where_that_matters(is_rounded: bool) -> None:  # noqa: FBT001
    bench = Bench(sizes=BatchSizes(8, is_rounded=is_rounded))
    bench.submit("abcdefg")
    taken = [bench.take() for _ in range(3 if is_rounded else 1)]
    assert taken == (["abcd", "ef", "g"] if is_rounded else ["abcdefg"])
    assert len(bench.batcher) == 0


def test_batch_on_a_device_is_not_shared_out_among_idle_workers() -> None:
    """All of them run on the one device."""
    bench = Bench(sizes=BatchSizes(8, is_rounded=True))
    bench.submit("abcd")
    bench.batcher._idle_workers = 3
    assert bench.take() == "abcd"


def test_pixel_budget_bounds_batches_by_bucket() -> None:
    bench = Bench(
        is_taught=False, sizes=BatchSizes(4, max_pixels=8, row_pixels=lambda bucket: 4 if bucket == "x" else 1)
    )
    bench.submit("abc")
    for item in "defgh":
        bench.batcher.submit(item, Caller(), bucket="small")
    assert [bench.take() for _ in range(4)] == ["ab", "c", "defg", "h"]


def test_without_delay_nothing_is_held_back() -> None:
    bench = Bench()
    bench.submit("a")
    assert bench.take() == "a"
    assert bench.waits == []


def test_delay_holds_a_batch_back_until_it_is_full() -> None:
    bench = Bench(max_delay_s=3.0)
    bench.submit("a")
    bench.on_wait = [lambda: bench.submit("b"), lambda: bench.submit("cd")]
    assert bench.take() == "abcd"
    assert bench.waits == [3.0, 3.0]


def test_delay_ends() -> None:
    bench = Bench(max_delay_s=3.0)
    bench.submit("a")
    bench.clock.now_s += 1.0
    bench.submit("b")
    assert bench.take() == "ab"
    assert bench.waits == [2.0]


def test_delay_is_never_longer_than_a_deadline_allows() -> None:
    """In a batch with another one it takes four seconds; six are left."""
    bench = Bench(max_delay_s=100.0)
    bench.submit("a")
    bench.submit("b", patience_s=7.0)
    assert bench.take() == "ab"
    assert bench.waits == [near(2.0)]


def test_cold_model_does_not_hold_back_who_has_a_deadline() -> None:
    bench = Bench(is_taught=False, max_delay_s=3.0)
    bench.submit("a", patience_s=50.0)
    assert bench.take() == "a"
    assert bench.waits == []


def test_full_bucket_overtakes_one_that_is_held_back() -> None:
    bench = Bench(max_delay_s=3.0)
    bench.submit("a")
    for item in "bcde":
        bench.batcher.submit(item, Caller(), bucket="y")
    assert [bench.take(), bench.take()] == ["bcde", "a"]
    assert bench.waits == [3.0]


def test_closing_ends_every_delay() -> None:
    bench = Bench(max_delay_s=3.0)
    bench.submit("a")
    bench.on_wait = [bench.batcher.close]
    assert bench.take() == "a"
    assert bench.waits == [3.0]


def test_what_a_full_batch_leaves_behind_is_looked_after_by_another_worker() -> None:
    """The one who watched the clock for it may be the one who took the batch."""
    batcher: Batcher[str, int] = Batcher(EngineSize(2, 4, 100, 1000, max_delay_s=0.05))
    taken: list[int] = []
    release = threading.Event()

    def work() -> None:
        while (batch := batcher.take(threading.get_ident())) is not None:
            taken.append(len(batch))
            for ticket in batch:
                ticket.resolve(1)
            if len(batch) == 4:
                release.wait()  # busy until the other one has done the rest

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    left = batcher.submit("a", Caller(), bucket="x")
    for _ in range(4):
        batcher.submit("b", Caller(), bucket="y")
    assert left.wait() == 1
    release.set()
    batcher.close()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [1, 4]


def test_lateness_of_one_who_is_not_let_in_yet_is_that_of_his_refusal() -> None:
    bench = Bench()
    bench.submit("abcd")
    late_s = bench.batcher.late_s(5.0, "normal")
    with pytest.raises(Overloaded) as raised:
        bench.submit("e", patience_s=5.0)
    assert raised.value.retry_after_s == late_s
    assert bench.batcher.late_s(5.0, "high") < late_s
    assert bench.batcher.late_s(50.0, "normal") <= 0


def test_those_who_were_told_that_they_are_in_time_count_until_they_come() -> None:
    """Else all who come at once are let in for the one place that there is."""
    bench = Bench()
    bench.submit("abcd")
    first_s = bench.batcher.late_s(11.5, "normal")
    second_s = bench.batcher.late_s(11.5, "normal")
    assert first_s <= 0 < second_s
    assert second_s == near(first_s + 1.0)
    bench.batcher.submit("e", Caller(), bucket="x")
    assert not bench.batcher._coming  # it waits now, and is expected no more


def test_those_who_never_come_are_forgotten() -> None:
    bench = Bench()
    for _ in range(5):
        bench.batcher.late_s(1e6, "normal")
    bench.clock.now_s += 0.2
    assert bench.batcher.late_s(10.0, "normal") == near(3.0 - 10.0)


def test_lateness_is_not_known_where_there_are_several_buckets() -> None:
    """Which of them it is in is not known before the picture is read."""
    bench = Bench()
    bench.submit("abcd")
    bench.teach("y", 0.0)
    assert bench.batcher.late_s(0.1, "normal") == 0.0
    assert Bench(is_taught=False).batcher.late_s(0.1, "normal") == 0.0
