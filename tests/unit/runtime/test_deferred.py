"""Deferred answers: worked at by who waits first, once, and nothing of the work outlives it."""

import gc
import weakref

import pytest

from retinue.runtime.deferred import Deferred
from retinue.runtime.errors import BackendFailed
from retinue.runtime.timings import Timings


class Load:
    """Something large."""


def test_nothing_is_done_before_it_is_waited_for_and_then_once() -> None:
    calls: list[int] = []

    def work(timings: Timings) -> str:
        calls.append(1)
        timings.infer_s += 2.0
        return "done"

    deferred = Deferred(work)
    assert calls == []
    assert deferred.wait_error() is None
    assert (deferred.wait(), deferred.wait()) == ("done", "done")
    assert calls == [1]
    assert deferred.timings.infer_s == 2.0


def test_a_condition_is_kept_and_raised_at_every_wait() -> None:
    def work(timings: Timings) -> str:
        raise BackendFailed("no")

    deferred = Deferred(work)
    error = deferred.wait_error()
    assert isinstance(error, BackendFailed)
    assert error.__traceback__ is None
    for _ in range(2):
        with pytest.raises(BackendFailed, match="no"):
            deferred.wait()


def test_a_fault_is_raised_to_who_waits_first() -> None:
    def work(timings: Timings) -> str:
        raise KeyError("a fault")

    with pytest.raises(KeyError):
        Deferred(work).wait_error()


def test_what_the_work_held_is_let_go() -> None:
    load = Load()
    seen = weakref.ref(load)
    deferred = Deferred(lambda timings, load=load: type(load).__name__)  # type: ignore[misc]  # noqa: ARG005
    del load
    gc.collect()
    assert seen() is not None
    assert deferred.wait() == "Load"
    gc.collect()
    assert seen() is None
