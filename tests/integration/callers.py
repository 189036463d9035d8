"""Callers who ask one service without pause, from threads of their own, until they are told to stop."""

import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

import grpc

_AFTER_FAILURE_S = 0.1
Ask = Callable[[], str]
"""Asks once and returns what answered."""


class Callers:
    """Ask while the block is run.

    Args:
        asks: one for each caller.
    """

    def __init__(self, *asks: Ask) -> None:
        self.answers: Counter[str] = Counter()
        """How often each answered."""
        self.failures: Counter[tuple[grpc.StatusCode, str]] = Counter()
        """How often calls failed with a code and a message."""
        self._change = threading.Condition()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(ask,)) for ask in asks]

    def __enter__(self) -> Self:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask no more."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, answer: str, count: int = 20) -> None:
        """Wait until so many more calls were answered by this one."""
        with self._change:
            aim = self.answers[answer] + count
            assert self._change.wait_for(lambda: self.answers[answer] >= aim, 60), (self.answers, self.failures)

    def _call(self, ask: Ask) -> None:
        while not self._is_over.is_set():
            try:
                answer = ask()
            except grpc.RpcError as error:
                with self._change:
                    self.failures[error.code(), str(error.details())] += 1
                self._is_over.wait(_AFTER_FAILURE_S)  # as any caller would
                continue
            with self._change:
                self.answers[answer] += 1
                self._change.notify_all()
