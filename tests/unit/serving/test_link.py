"""Two ends of a pipe: what is told is heard in order, what is asked is answered, and an end is noticed."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import Pipe
from queue import SimpleQueue
from typing import Any

import pytest

from retinue.serving.link import Link, LinkEnded, LinkFailed
from tests.unit.serving.in_process import PATIENCE_S


class Pair:
    """A link whose other end echoes, and does as it is told."""

    def __init__(self) -> None:
        ours, theirs = Pipe()
        self.heard: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self.gate = threading.Event()
        self.link = Link(ours, lambda *_: None)
        self.other = Link(theirs, self.hear)
        self.link.start(lambda: None)
        self.other.start(lambda: None)

    def hear(self, what: str, content: Any) -> Any:
        if what == "wait":
            assert self.gate.wait(PATIENCE_S)
        if what == "fail":
            raise ZeroDivisionError
        if what == "note":
            self.heard.put((what, content))
        return content


@pytest.fixture
def pair() -> Iterator[Pair]:
    one = Pair()
    yield one
    one.gate.set()


def test_what_is_told_is_heard_in_order(pair: Pair) -> None:
    for number in range(100):
        pair.link.tell("note", number)
    assert [pair.heard.get(timeout=PATIENCE_S)[1] for _ in range(100)] == list(range(100))


def test_what_is_asked_is_answered(pair: Pair) -> None:
    assert pair.link.ask("echo", {"a": [1, None]}) == {"a": [1, None]}
    assert pair.other.ask("echo") is None


def test_many_may_ask_at_once_and_each_gets_its_own_answer(pair: Pair) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: pair.link.ask("echo", number), range(200))) == list(range(200))


def test_a_question_that_takes_long_holds_nobody_up(pair: Pair) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(pair.link.ask, "wait", 1)
        assert pair.link.ask("echo", 2, timeout_s=PATIENCE_S) == 2
        assert not waiting.done()
        pair.gate.set()
        assert waiting.result(PATIENCE_S) == 1


def test_who_waits_no_longer_is_told_nothing(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        pair.link.ask("wait", timeout_s=0.01)
    pair.gate.set()
    assert pair.link.ask("echo", 3) == 3


def test_a_question_that_cannot_be_answered_fails_and_the_link_goes_on(pair: Pair) -> None:
    with pytest.raises(LinkFailed, match="ZeroDivisionError"):
        pair.link.ask("fail")
    assert pair.link.ask("echo", 4) == 4


def test_an_end_right_after_an_answer_is_noticed() -> None:
    """Whoever asked may not have woken when the end comes: its question stands there still, and is answered."""
    ours, theirs = Pipe()
    link, is_ended = Link(ours, lambda *_: None), threading.Event()
    answered, waiting = Future[Any](), Future[Any]()
    answered.set_result("the answer")
    link._asked.update({1000: answered, 1001: waiting})
    link.start(is_ended.set)
    theirs.close()
    assert is_ended.wait(PATIENCE_S)
    assert answered.result(0) == "the answer"
    assert isinstance(waiting.exception(PATIENCE_S), LinkEnded)


def test_a_message_that_cannot_be_read_ends_the_link_for_all_to_see() -> None:
    ours, theirs = Pipe()
    link, is_ended = Link(ours, lambda *_: None), threading.Event()
    link.start(is_ended.set)
    theirs.send_bytes(b"no pickle")
    assert is_ended.wait(PATIENCE_S)
    with pytest.raises(LinkEnded):
        link.ask("echo", 1)
