"""A call as the serving kit sees it; the context is gRPC's part, played here by the little that is asked of it."""

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest

from retinue.runtime.errors import Cancelled, DeadlineExceeded
from retinue.serving.call import REQUEST_ID_KEY, Call, caller_of, current_call

FOREVER_S = 1e18  # what gRPC gives where the caller set no deadline, about


class Context:
    """What `Call` asks of gRPC's context."""

    def __init__(self, *metadata: tuple[str, Any], remaining_s: float = FOREVER_S, is_active: bool = True) -> None:
        self.metadata = metadata
        self.remaining_s = remaining_s
        self.is_active = is_active
        self.callbacks: list[Callable[[], None]] = []

    def invocation_metadata(self) -> tuple[tuple[str, Any], ...]:
        return self.metadata

    def time_remaining(self) -> float:
        return self.remaining_s

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self.callbacks.append(callback)
        return self.is_active


def call_of(*metadata: tuple[str, Any], **context: Any) -> Call:
    stand_in: Any = Context(*metadata, **context)
    return Call("/a.B/C", stand_in)


@pytest.mark.parametrize("given", ["a", "x" * 128, "!~/{}[]\"'\\", "00-4bf92f-01"])
def test_a_printable_request_id_is_kept(given: str) -> None:
    assert call_of(("other", "x"), (REQUEST_ID_KEY, given)).request_id == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\nb", "a\x1b[2J", "a\x7f", "é", "a\n", b"bytes"])
def test_a_request_id_that_could_forge_a_log_is_replaced(given: str | bytes) -> None:
    made = call_of((REQUEST_ID_KEY, given)).request_id
    assert made != given
    assert len(made) == 32


def test_the_first_usable_request_id_counts() -> None:
    assert call_of((REQUEST_ID_KEY, "no good"), (REQUEST_ID_KEY, "b"), (REQUEST_ID_KEY, "c")).request_id == "b"


@pytest.mark.parametrize(
    ("metadata", "priority"),
    [
        ((), "normal"),
        ((("x-priority", "high"),), "high"),
        ((("x-priority", "normal"),), "normal"),
        ((("x-priority", "highest"),), "normal"),
        ((("x-priority-bin", b"high"),), "normal"),
        (((REQUEST_ID_KEY, "a"), ("x-priority", "high"), (REQUEST_ID_KEY, "b")), "high"),
    ],
)
def test_a_caller_has_the_priority_that_its_metadata_say(metadata: tuple[tuple[str, Any], ...], priority: str) -> None:
    assert call_of(*metadata).caller.priority == priority


def test_two_calls_get_different_request_ids() -> None:
    assert call_of().request_id != call_of().request_id


def test_a_call_without_deadline_has_none() -> None:
    assert call_of().caller.deadline_s is None


def test_a_deadline_is_put_on_the_monotonic_clock() -> None:
    before = time.monotonic()
    deadline_s = call_of(remaining_s=10.0).caller.deadline_s
    assert deadline_s is not None
    assert before + 10 <= deadline_s <= time.monotonic() + 10


def test_the_caller_is_cancelled_when_the_call_ends() -> None:
    context: Any = Context()
    call = Call("/a.B/C", context)
    assert not call.caller.is_cancelled
    for callback in context.callbacks:
        callback()
    assert call.caller.is_cancelled


def test_a_call_that_ended_before_it_began_has_a_cancelled_caller() -> None:
    assert call_of(is_active=False).caller.is_cancelled


def test_who_leaves_early_is_cancelled() -> None:
    assert type(call_of(remaining_s=10.0).departure()) is Cancelled
    assert type(call_of().departure()) is Cancelled


@pytest.mark.parametrize("remaining_s", [-1.0, 0.0, 0.01])
def test_who_leaves_at_the_deadline_exceeded_it(remaining_s: float) -> None:
    """Also a little before it: the caller's clock started one way through the network earlier."""
    assert type(call_of(remaining_s=remaining_s).departure()) is DeadlineExceeded


def test_the_running_handler_finds_its_call() -> None:
    def handle() -> tuple[Call, Call, bool]:
        call = call_of()
        return call, current_call(), caller_of(None) is call.caller  # type: ignore[arg-type]  # it is not asked

    (made, found, is_caller), (other, *_) = copy_context().run(handle), copy_context().run(handle)
    assert made is found
    assert is_caller
    assert other is not made


def test_another_thread_has_no_call() -> None:
    call_of()
    raised: list[type[BaseException]] = []

    def look() -> None:
        try:
            current_call()
        except LookupError as error:
            raised.append(type(error))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert raised == [LookupError]
