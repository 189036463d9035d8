"""A bell that wakes one thread: rung by signals, whichever thread they reach, and by anybody else."""

import os
import select
import signal
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Bell:
    """Wakes the thread that waits for it; a ring that comes before is kept.

    Python runs the handlers of signals in the main thread, which does not always wake for it where it waits for a lock
    or a queue: a signal close behind another was seen to be handled only when a third one came. A pipe always wakes.
    """

    def __init__(self) -> None:
        self._inside, self._outside = os.pipe()
        os.set_blocking(self._outside, False)
        weakref.finalize(self, _close, self._inside, self._outside)

    def ring(self) -> None:
        """Wake the waiting thread; safe in a signal handler."""
        with suppress(BlockingIOError):  # it has been rung so often that it cannot be missed
            os.write(self._outside, b"!")

    def ring_on_signals(self) -> None:
        """Be rung by every signal that has a handler, for as long as the process lives; in the main thread."""
        signal.set_wakeup_fd(self._outside, warn_on_full_buffer=False)

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until it is rung, or so long."""
        if select.select([self._inside], [], [], timeout_s)[0]:
            os.read(self._inside, 4096)


def heed_signals(bell: Bell, *, stop: Callable[..., Any], refresh: Callable[..., Any]) -> None:
    """Have SIGTERM and SIGINT call ``stop``, SIGHUP ``refresh``, and all of them ring a bell; in the main thread."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, refresh)
    bell.ring_on_signals()


def _close(*files: int) -> None:
    for file in files:
        os.close(file)
