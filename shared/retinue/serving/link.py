"""A link between two processes of one service: each may tell the other something, or ask and wait for the answer."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any, Literal, NamedTuple

import structlog

_log = structlog.get_logger(__name__)


class LinkEnded(Exception):
    """The other process is gone, and with it the answer."""


class LinkFailed(Exception):
    """The other process could not answer; its log says why."""


class _Message(NamedTuple):
    kind: Literal["tell", "ask", "answer", "failure"]
    number: int
    what: str
    content: Any


class Link:
    """One end of a pipe between two processes; what goes through it is pickled, so both must be one program.

    Args:
        connection: this end of the pipe.
        on_message: called with what is told or asked, and its content; what it returns is the answer. What is told is
            heard in the order in which it was told, in the reading thread, so it must be quick; each question has a
            thread of its own.
    """

    def __init__(
        self,
        connection: "Connection[Any, Any]",
        on_message: Callable[[str, Any], Any],
    ) -> None:
        self._connection = connection
        self._on_message = on_message
        self._numbers = itertools.count()
        self._sending = threading.Lock()
        self._asked: dict[int, Future[Any]] = {}
        self._is_ended = False

    def start(self, on_end: Callable[[], object]) -> None:
        """Begin to hear; ``on_end`` is called when the other process is gone, in the reading thread."""
        threading.Thread(target=self._read, args=(on_end,), name="link", daemon=True).start()

    def tell(self, what: str, content: object = None) -> None:
        """Say something; nobody hears it where the other process is gone."""
        self._send(_Message("tell", -1, what, content))

    def ask(self, what: str, content: object = None, timeout_s: float | None = None) -> Any:
        """Return the other's answer.

        Raises:
            LinkEnded: it is gone.
            LinkFailed: it could not answer.
            TimeoutError: there is no answer in time.
        """
        future: Future[Any] = Future()
        number = next(self._numbers)
        self._asked[number] = future
        try:
            if not self._send(_Message("ask", number, what, content)) or self._is_ended:
                raise LinkEnded
            return future.result(timeout_s)
        finally:
            self._asked.pop(number, None)

    def _send(self, message: _Message) -> bool:
        try:
            with self._sending:
                self._connection.send(message)
        except OSError:
            return False
        return True

    def _read(self, on_end: Callable[[], object]) -> None:
        try:
            while True:
                self._hear(self._connection.recv())
        except (EOFError, OSError):
            pass
        except Exception as error:  # noqa: BLE001 - the edge of a thread: an end that nobody hears of has no end
            _log.error("link_broken", exc_info=error)
        self._is_ended = True
        for future in list(self._asked.values()):
            if not future.done():  # else it was answered just now, and whoever asked has not woken yet
                future.set_exception(LinkEnded())
        on_end()

    def _hear(self, message: _Message) -> None:
        if message.kind == "tell":
            self._on_message(message.what, message.content)
        elif message.kind == "ask":
            threading.Thread(target=self._answer, args=(message,), name=f"link-{message.what}", daemon=True).start()
        elif (future := self._asked.get(message.number)) is not None:  # else nobody waits any more
            if message.kind == "answer":
                future.set_result(message.content)
            else:
                future.set_exception(LinkFailed(message.content))

    def _answer(self, question: _Message) -> None:
        try:
            answer = self._on_message(question.what, question.content)
        except Exception as error:  # noqa: BLE001 - the edge of a thread: whoever asked hears that there is no answer
            _log.error("link_failed", what=question.what, exc_info=error)
            self._send(_Message("failure", question.number, question.what, repr(error)))
        else:
            self._send(_Message("answer", question.number, question.what, answer))
