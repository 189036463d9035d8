"""Callers who ask one service without pause, from threads of their own, until they are told to stop."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import grpc

from tests.integration.repeated import Repeated

_AFTER_FAILURE_S = 0.1
Ask = Callable[[], str]
"""Asks once and returns what answered."""


class Callers(Repeated):
    """Ask while the block is run.

    Args:
        asks: one for each caller.
    """

    def __init__(self, *asks: Ask) -> None:
        super().__init__(*(partial(self._call, ask) for ask in asks))
        self.answers: Counter[str] = Counter()
        """How often each answered."""
        self.failures: Counter[tuple[grpc.StatusCode, str]] = Counter()
        """How often calls failed with a code and a message."""

    def wait_for(self, answer: str, count: int = 20) -> None:
        """Wait until so many more calls were answered by this one."""
        with self.change:
            aim = self.answers[answer] + count
            assert self.change.wait_for(lambda: self.answers[answer] >= aim, 60), (self.answers, self.failures)

    def _call(self, ask: Ask) -> None:
        try:
            answer = ask()
        except grpc.RpcError as error:
            with self.change:
                self.failures[error.code(), str(error.details())] += 1
            self.is_over.wait(_AFTER_FAILURE_S)  # as any caller would
            return
        with self.change:
            self.answers[answer] += 1
            self.change.notify_all()
