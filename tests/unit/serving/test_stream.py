"""A stream answered in order, with its requests and its caller played by the test."""

import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled
from retinue.serving.stream import WINDOW, OrderedStream
from tests.unit.serving.in_process import PATIENCE_S

READER = "stream-reader"


def started(request: int) -> int:
    return request


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == READER]


@pytest.fixture(autouse=True)
def _no_reader_is_left() -> Iterator[None]:
    """Each stream's reading thread must end with the stream."""
    assert not readers()
    yield
    for thread in readers():
        thread.join(PATIENCE_S)
    assert not readers()


def test_an_empty_stream_is_answered_by_none() -> None:
    assert list(OrderedStream(iter(()), started, Caller())) == []


@pytest.mark.parametrize("length", [1, WINDOW - 1, WINDOW, WINDOW + 1, 10 * WINDOW])
def test_answers_keep_the_order_of_requests(length: int) -> None:
    assert list(OrderedStream(iter(range(length)), started, Caller())) == list(range(length))


class Requests:
    """Endless requests that tell when the n-th was read."""

    def __init__(self) -> None:
        self.read = 0
        self._change = threading.Condition()

    def __iter__(self) -> Iterator[int]:
        for number in count():
            with self._change:
                self.read = number + 1
                self._change.notify_all()
            yield number

    def wait_read(self, number: int) -> None:
        with self._change:
            assert self._change.wait_for(lambda: self.read >= number, PATIENCE_S)


def test_no_more_than_the_window_is_unanswered() -> None:
    requests = Requests()
    most = 0
    is_full = threading.Event()

    def start(request: int) -> int:
        if request == WINDOW - 1:
            is_full.set()
        return request

    stream = iter(OrderedStream(iter(requests), start, Caller()))
    assert next(stream) == 0
    assert is_full.wait(PATIENCE_S)
    for answered in range(1, 3 * WINDOW):
        assert next(stream) == answered  # which is now unanswered; all before it are answered
        most = max(most, requests.read - answered)
    assert most <= WINDOW
    stream.close()  # type: ignore[attr-defined]  # a generator


def test_an_answer_frees_its_place_only_when_it_is_given() -> None:
    requests = Requests()
    stream = iter(OrderedStream(iter(requests), started, Caller()))
    assert next(stream) == 0
    requests.wait_read(WINDOW)
    assert requests.read == WINDOW
    assert next(stream) == 1
    requests.wait_read(WINDOW + 1)
    stream.close()  # type: ignore[attr-defined]  # a generator


def blocking_after(length: int, let_go: threading.Event) -> Iterator[int]:
    """Yield some requests, then nothing until let go, as gRPC's iterator does until the call ends."""
    yield from range(length)
    assert let_go.wait(PATIENCE_S)


def test_a_request_is_answered_before_the_next_one_comes() -> None:
    let_go = threading.Event()
    stream = iter(OrderedStream(blocking_after(1, let_go), started, Caller()))
    assert next(stream) == 0
    let_go.set()
    assert list(stream) == []


def test_a_caller_who_leaves_ends_the_stream() -> None:
    caller, let_go = Caller(), threading.Event()
    stream = iter(OrderedStream(blocking_after(1, let_go), started, caller))
    assert next(stream) == 0
    leaving = threading.Thread(target=caller.cancel)  # as gRPC's thread does while the handler waits
    leaving.start()
    with pytest.raises(Cancelled):
        next(stream)
    leaving.join()
    let_go.set()


def test_a_caller_who_left_before_the_stream_began_gets_nothing() -> None:
    caller = Caller()
    caller.cancel()
    with pytest.raises(Cancelled):
        list(OrderedStream(iter(Requests()), started, caller))


def test_a_caller_who_leaves_stops_a_reader_that_waits_for_room() -> None:
    caller, requests = Caller(), Requests()
    stream = iter(OrderedStream(iter(requests), started, caller))
    assert next(stream) == 0
    requests.wait_read(WINDOW)
    caller.cancel()
    for thread in readers():
        thread.join(PATIENCE_S)
    assert not readers()
    assert requests.read == WINDOW


def raising_after(length: int) -> Iterator[int]:
    yield from range(length)
    raise ZeroDivisionError


def raising_start(request: int) -> int:
    if request == 3:
        raise ZeroDivisionError
    return request


@pytest.mark.parametrize(
    ("requests", "start"), [(lambda: raising_after(3), started), (lambda: iter(range(9)), raising_start)]
)
def test_what_breaks_the_stream_is_raised_after_the_answers_before_it(
    requests: Callable[[], Iterator[int]], start: Callable[[int], int]
) -> None:
    stream = iter(OrderedStream(requests(), start, Caller()))
    assert [next(stream), next(stream), next(stream)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        next(stream)
