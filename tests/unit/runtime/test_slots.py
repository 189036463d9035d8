"""Leave to hold a decoded picture: few at a time, and nobody waits for it who has gone."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled, DeadlineExceeded
from retinue.runtime.slots import Slots

PATIENCE_S = 20


def take(slots: Slots, caller: Caller, work: Callable[[], object] = lambda: None) -> None:
    with slots.held(caller):
        work()


def test_no_more_are_held_than_there_are() -> None:
    slots, lock, counts = Slots(2), threading.Lock(), [0, 0]

    def work() -> None:
        with lock:
            counts[0] += 1
            counts[1] = max(counts)
        time.sleep(0)  # lets others run
        with lock:
            counts[0] -= 1

    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(take, slots, Caller(), work) for _ in range(200)]:
            one.result(PATIENCE_S)
    assert counts[0] == 0
    assert 1 <= counts[1] <= 2


def test_a_slot_is_free_again_however_its_block_ends() -> None:
    slots = Slots(1)
    for _ in range(3):
        with pytest.raises(KeyError), slots.held(Caller()):
            raise KeyError
    take(slots, Caller(deadline_s=0.0))


def test_a_passed_deadline_ends_the_wait() -> None:
    slots = Slots(1)
    with slots.held(Caller()), pytest.raises(DeadlineExceeded):
        take(slots, Caller(deadline_s=time.monotonic() - 1))
    take(slots, Caller())


def test_a_caller_who_has_left_gets_none() -> None:
    slots, caller = Slots(1), Caller()
    caller.cancel()
    with pytest.raises(Cancelled):
        take(slots, caller)


def test_a_caller_who_leaves_waits_no_longer_and_the_next_still_gets_it() -> None:
    slots, leaver, stayer = Slots(1), Caller(), Caller(time.monotonic() + PATIENCE_S)
    with ThreadPoolExecutor(2) as pool:
        with slots.held(Caller()):
            first = pool.submit(take, slots, leaver)
            second = pool.submit(take, slots, stayer)
            leaver.cancel()
            assert isinstance(first.exception(PATIENCE_S), Cancelled)
            assert not second.done()
        second.result(PATIENCE_S)


def test_nobody_is_kept_by_a_caller_who_has_had_a_slot() -> None:
    caller = Caller()
    take(Slots(1), caller)
    assert not caller._cancellers
