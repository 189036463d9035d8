"""One worker process as its supervisor sees it: started, linked, ended, started again."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any, Final

from retinue.serving.link import Link, LinkEnded, LinkFailed
from retinue.serving.merged_metrics import Families
from retinue.serving.seat import Start

OPTION: Final = "--worker-link"
_ANSWER_WITHIN_S = 2.0  # how long /metrics waits for a process that is too busy to say its own


class WorkerProcess:
    """A process that runs the same program as this one, in a seat.

    Args:
        start: what it begins with.
        on_message: called with this, and what it tells or asks, as `Link` does.
        on_end: called when it has ended.
        command: the program and its arguments; those of this process where it is None.
    """

    def __init__(
        self,
        start: Start,
        on_message: Callable[["WorkerProcess", str, Any], Any],
        on_end: Callable[[], object],
        command: Sequence[str] | None = None,
    ) -> None:
        self.number = start.number
        self.is_gone = False
        self._on_end = on_end
        self.is_loaded = False
        self.is_ready = False
        self.started_s = time.monotonic()
        self._last: Families = []
        ours, theirs = Pipe()
        whole = [*(command or [sys.executable, *sys.orig_argv[1:]]), OPTION, str(theirs.fileno())]
        try:
            # A new program rather than a fork: nothing of gRPC, numba or ONNX Runtime is taken along.
            self._process = subprocess.Popen(whole, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)  # noqa: S603 - ourselves
        finally:
            theirs.close()  # or its end would not be heard
        with suppress(OSError):  # if it has ended already, the link will say so
            ours.send(start)
        self._link = Link(ours, lambda what, content: on_message(self, what, content))
        self._link.start(self._end)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, what: str) -> None:
        """Tell it something."""
        self._link.tell(what)

    def ask(self, what: str, content: object) -> Any:
        """Return its answer; None where it ends before.

        Raises:
            LinkFailed: it cannot answer.
        """
        try:
            return self._link.ask(what, content)
        except LinkEnded:
            return None

    def metrics(self) -> Families:
        """Return what it says of itself or, where it does not, what it said last."""
        if self.is_loaded:
            with suppress(LinkEnded, LinkFailed, TimeoutError):
                self._last = self._link.ask("metrics", timeout_s=_ANSWER_WITHIN_S)
        return self._last

    @property
    def last_metrics(self) -> Families:
        """What it said of itself last."""
        return self._last

    def _end(self) -> None:
        self.is_gone, self.is_ready = True, False
        self._on_end()

    def terminate(self) -> None:
        """Tell it to drain and end."""
        self._process.terminate()

    def wait(self, timeout_s: float) -> int:
        """Return how it ended; kill it where it has not in time."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
