"""Engines that were replaced or unloaded: each is closed when the last call that uses it has let go of it.

A call holds the engine that it was given, a stream perhaps for hours. No count is kept of who holds it: Python keeps
one for every object, so nothing has to be taken or given back on the way of a call, and nothing can be forgotten.
"""

import threading
import time
import weakref
from copy import copy
from queue import SimpleQueue
from typing import Any

import structlog

from retinue.runtime.engine import Engine
from retinue.runtime.memory import return_free_memory

AnyEngine = Engine[Any, Any]
_log = structlog.get_logger(__name__)


class Retirement:
    """Waits until engines are out of use, then ends their workers and gives their memory back."""

    def __init__(self) -> None:
        self._unused: SimpleQueue[AnyEngine] = SimpleQueue()
        self._draining: set[AnyEngine] = set()
        self._lock = threading.Lock()
        self._is_running = False

    def __len__(self) -> int:
        """Return how many engines are still in use, or ending."""
        return len(self._draining)

    def add(self, engine: AnyEngine) -> None:
        """Close an engine once nobody holds it any more; the caller, too, must let go of it."""
        twin = copy(engine)  # the same workers and the same queue, held by nobody but us
        with self._lock:
            self._draining.add(twin)
            if not self._is_running:
                threading.Thread(target=self._run, name="retirement", daemon=True).start()
                self._is_running = True
        # The last who lets go may be in the midst of anything; so this only says so, which a queue allows at any time.
        weakref.finalize(engine, self._unused.put, twin).atexit = False

    def close(self, timeout_s: float | None = None) -> None:
        """End all that are left, whoever still holds them, or give up after so long for all together."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        for twin in list(self._draining):
            twin.close(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))

    def _run(self) -> None:
        while True:
            handed_over = [self._unused.get()]
            # A thread for each: one whose run never ends must not keep those after it from ending.
            threading.Thread(target=self._end_one, args=(handed_over,), name="retirement-end", daemon=True).start()

    def _end_one(self, handed_over: list[AnyEngine]) -> None:
        self._end(handed_over.pop())
        return_free_memory()

    def _end(self, twin: AnyEngine) -> None:
        """End one; in a function of its own, so that nobody holds it when its memory is given back."""
        twin.close()
        manifest = twin.manifest
        self._draining.discard(twin)
        _log.info("model_unloaded", model=manifest.name, version=manifest.version)
