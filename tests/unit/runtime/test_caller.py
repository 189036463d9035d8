"""Who waits for an answer, and what ends when they go away."""

import threading
from functools import partial

from retinue.runtime.caller import Caller
from retinue.runtime.timings import Timings


def test_new_caller_waits() -> None:
    caller = Caller(5.0)

    assert not caller.is_cancelled
    assert caller.deadline_s == 5.0


def test_cancel_calls_every_canceller_once_in_order() -> None:
    caller, called = Caller(), []
    caller.on_cancel(lambda: called.append("first"))
    caller.on_cancel(lambda: called.append("second"))

    caller.cancel()
    caller.cancel()

    assert caller.is_cancelled
    assert called == ["first", "second"]


def test_canceller_of_a_caller_who_has_gone_is_called_at_once() -> None:
    caller, called = Caller(), []
    caller.cancel()

    caller.on_cancel(lambda: called.append("late"))
    caller.cancel()

    assert called == ["late"]


def test_forgotten_canceller_is_not_called() -> None:
    caller, called = Caller(), []

    def canceller() -> None:
        called.append("forgotten")

    caller.on_cancel(canceller)
    caller.on_cancel(lambda: called.append("kept"))
    caller.forget(canceller)
    caller.forget(canceller)  # and once more, or before it was known, changes nothing
    caller.cancel()

    assert called == ["kept"]


def test_canceller_may_use_its_caller() -> None:
    """No lock is held while cancellers run."""
    caller, called = Caller(), []

    def canceller() -> None:
        caller.forget(canceller)
        caller.cancel()
        caller.on_cancel(lambda: called.append(caller.is_cancelled))

    caller.on_cancel(canceller)
    caller.cancel()

    assert called == [True]


def test_part_has_a_deadline_of_its_own_and_all_else_in_common_but_its_end() -> None:
    caller = Caller(5.0, "high")
    caller.followed = []

    part = caller.part(3.0)
    part.follow(1.0, Timings())
    part.cancel()

    assert (part.deadline_s, part.priority) == (3.0, "high")
    assert caller.followed == [(1.0, Timings())]
    assert not caller.is_cancelled


def test_every_canceller_is_called_exactly_once_while_threads_race() -> None:
    for _ in range(50):
        caller, start = Caller(), threading.Barrier(4)
        called: list[int] = []

        def register(caller: Caller = caller, called: list[int] = called, start: threading.Barrier = start) -> None:
            start.wait()
            for number in range(20):
                caller.on_cancel(partial(called.append, number))

        def cancel(caller: Caller = caller, start: threading.Barrier = start) -> None:
            start.wait()
            caller.cancel()

        threads = [threading.Thread(target=target) for target in (register, register, cancel, cancel)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(called) == sorted([*range(20), *range(20)])
