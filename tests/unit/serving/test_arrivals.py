"""Messages of a stream as they arrive: in order, no more than one ahead, and not waited for without end."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled, DeadlineExceeded
from retinue.serving.arrivals import Arrivals
from tests.unit.serving.in_process import PATIENCE_S


class Feed:
    """Messages that are counted as they are read, and then what the test lets happen."""

    def __init__(self, *messages: int, failure: Exception | None = None, is_endless: bool = False) -> None:
        self._messages = messages
        self._failure = failure
        self._is_endless = is_endless
        self.read_count = 0
        self.end = threading.Event()

    def __iter__(self) -> Iterator[int]:
        for message in self._messages:
            self.read_count += 1
            yield message
        if self._failure is not None:
            raise self._failure
        if self._is_endless:
            assert self.end.wait(PATIENCE_S)


def reader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "arrivals-reader"]


def assert_no_reader_is_left() -> None:
    for thread in reader_threads():
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def arrivals_of(feed: Feed, caller: Caller | None = None, stall_timeout_s: float = PATIENCE_S) -> Arrivals[int]:
    return Arrivals(iter(feed), caller or Caller(), stall_timeout_s)


def test_messages_come_in_order_and_end() -> None:
    assert list(arrivals_of(Feed(*range(100)))) == list(range(100))
    assert list(arrivals_of(Feed())) == []
    assert_no_reader_is_left()


def test_what_reading_raises_comes_after_what_was_read() -> None:
    got = []
    with pytest.raises(KeyError):  # noqa: PT012 - what came before counts
        for message in arrivals_of(Feed(1, 2, failure=KeyError("x"))):
            got.append(message)  # noqa: PERF402 - so that it is kept
    assert got == [1, 2]
    assert_no_reader_is_left()


def test_no_more_than_one_is_read_ahead_and_held_for_handing_over() -> None:
    feed = Feed(*range(50))
    arrivals = arrivals_of(feed)
    with closing(iter(arrivals)) as messages:
        for number, message in enumerate(messages):
            assert message == number
            # The one that was handed over, the one that is ready, and the one that waits for its place.
            assert feed.read_count <= number + 3
    assert_no_reader_is_left()


def test_whether_the_next_is_there_is_told() -> None:
    feed = Feed(1, is_endless=True)
    arrivals = arrivals_of(feed)
    with closing(iter(arrivals)) as messages:
        assert next(messages) == 1
        assert not arrivals.is_next_there
        feed.end.set()
        for _ in range(2000):
            if arrivals.is_next_there:  # the end counts too: nobody has to wait for it
                break
            threading.Event().wait(0.01)
        assert arrivals.is_next_there
        assert next(messages, None) is None


@pytest.mark.parametrize("messages", [(), (1, 2)])
def test_a_stream_that_stalls_is_told_by_how_long_it_was_waited_for(messages: tuple[int, ...]) -> None:
    feed = Feed(*messages, is_endless=True)
    got = []
    with pytest.raises(DeadlineExceeded, match=r"no message came for 0\.02 s"):  # noqa: PT012 - what came before counts
        for message in arrivals_of(feed, stall_timeout_s=0.02):
            got.append(message)  # noqa: PERF402 - so that it is kept
    assert got == list(messages)
    feed.end.set()
    assert_no_reader_is_left()


def test_a_stall_is_a_wait_for_one_message_and_not_for_all() -> None:
    """Whoever takes long over a message does not make the sender late."""
    pause = threading.Event()
    got = []
    for message in arrivals_of(Feed(*range(4)), stall_timeout_s=0.05):
        pause.wait(0.06)
        got.append(message)
    assert got == [0, 1, 2, 3]


def test_a_deadline_that_passes_is_told() -> None:
    feed = Feed(1, is_endless=True)
    with pytest.raises(DeadlineExceeded, match="the deadline passed"):
        list(arrivals_of(feed, Caller(time.monotonic() + 0.01)))
    feed.end.set()
    assert_no_reader_is_left()


def test_a_caller_who_has_gone_is_noticed_while_nothing_comes() -> None:
    feed, caller = Feed(1, is_endless=True), Caller()
    messages = iter(arrivals_of(feed, caller))
    assert next(messages) == 1
    caller.cancel()
    with pytest.raises(Cancelled):
        next(messages)
    feed.end.set()
    assert_no_reader_is_left()


def test_whoever_takes_no_more_ends_the_reading() -> None:
    feed = Feed(*range(1000))
    with closing(iter(arrivals_of(feed))) as messages:
        assert next(messages) == 0
    assert_no_reader_is_left()
    assert feed.read_count < 5


def test_nothing_is_read_before_somebody_asks() -> None:
    feed = Feed(1)
    iter(arrivals_of(feed))
    assert feed.read_count == 0
    assert reader_threads() == []


def test_messages_that_end_because_the_caller_has_gone_do_not_end_as_if_all_had_come() -> None:
    caller = Caller()
    messages = iter(arrivals_of(Feed(1), caller))
    assert next(messages) == 1
    caller.cancel()
    with pytest.raises(Cancelled):
        next(messages)
