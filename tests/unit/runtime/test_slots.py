"""Slots: so many at a time, and nobody who has left waits for one."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled, DeadlineExceeded
from retinue.runtime.slots import Slots

PATIENCE_S = 20


def waiting_for(slots: Slots, caller: Caller, pool: ThreadPoolExecutor) -> "Future[None]":
    """Return the future of a thread that takes a slot and gives it back; it is on its way when this returns."""
    is_coming = threading.Event()
    caller.on_cancel(lambda: None)

    def take() -> None:
        is_coming.set()
        with slots.held(caller):
            pass

    future = pool.submit(take)
    assert is_coming.wait(PATIENCE_S)
    return future


def test_a_slot_is_given_back_however_the_block_is_left() -> None:
    slots = Slots(1)
    with pytest.raises(KeyError), slots.held(Caller()):
        raise KeyError
    with slots.held(Caller(time.monotonic() + PATIENCE_S)):
        pass


def test_no_more_than_so_many_are_held_and_who_waits_gets_the_next() -> None:
    slots = Slots(2)
    with ThreadPoolExecutor(1) as pool:
        with slots.held(Caller()), slots.held(Caller()):
            with pytest.raises(DeadlineExceeded), slots.held(Caller(time.monotonic())):
                pass
            third = waiting_for(slots, Caller(time.monotonic() + PATIENCE_S), pool)
            assert not third.done()
        assert third.result(PATIENCE_S) is None


def test_a_caller_who_leaves_waits_no_longer_and_takes_nothing() -> None:
    slots = Slots(1)
    caller = Caller()
    with ThreadPoolExecutor(1) as pool:
        with slots.held(Caller()):
            waiting = waiting_for(slots, caller, pool)
            caller.cancel()
            with pytest.raises(Cancelled):
                waiting.result(PATIENCE_S)
        with slots.held(Caller(time.monotonic() + PATIENCE_S)):
            pass


def test_a_caller_who_has_left_takes_no_free_slot() -> None:
    slots, caller = Slots(1), Caller()
    caller.cancel()
    with pytest.raises(Cancelled), slots.held(caller):
        pass
    with slots.held(Caller(time.monotonic() + PATIENCE_S)):
        pass


def test_a_caller_keeps_nothing_of_the_slot_that_it_had() -> None:
    slots, caller = Slots(1), Caller()
    with slots.held(caller):
        assert not caller._cancellers
