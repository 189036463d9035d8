"""The thread that writes the log, so that no request waits for a file.

Handler threads only append to a queue. Writing in them would cost more than the write: each gives up the interpreter
while it writes, and has to win it back among all the others. Lines are rendered here too: one after the other they find
their code in the processor's cache. What cannot be written as fast as it comes, because nobody reads the pipe, is
dropped and counted rather than kept without bound.
"""

import atexit
import contextlib
import json
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

MAX_WAITING_LINES = 65_536
_GATHER_S = 0.02  # lines that come within this are written together


class LogWriter:
    """Writes lines to a file from a thread of its own, in order, until `close`; what waits at exit is written then.

    Its methods are those that structlog calls on a logger.

    Args:
        file: where lines go.
        gather_s: how long lines are gathered before they are written together, seconds.
        render: makes a line of what was said, in whatever thread writes it.
    """

    def __init__(self, file: TextIO, gather_s: float = _GATHER_S, render: Callable[[Any], str] = str) -> None:
        self._file = file
        self._gather_s = gather_s
        self._render = render
        self._lines: deque[Any] = deque()
        self._lost_count = 0
        self._arrival = threading.Event()
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def msg(self, line: Any) -> None:
        """Have a line rendered and written soon."""
        if len(self._lines) >= MAX_WAITING_LINES:
            self._lost_count += 1
            return
        self._lines.append(line)
        if self._closing.is_set():
            self.flush()
        elif not self._arrival.is_set():
            self._arrival.set()

    debug = info = warning = error = critical = exception = msg

    def flush(self) -> None:
        """Write what waits, now."""
        with self._writing:
            lines = [self._rendered(self._lines.popleft()) for _ in range(len(self._lines))]
            if self._lost_count:
                lines.append(f'{{"event": "log_lines_lost", "level": "warning", "count": {self._lost_count}}}')
                self._lost_count = 0
            if lines:
                # A log that cannot be written must not end the service: whoever read the pipe is gone.
                with contextlib.suppress(OSError, ValueError):
                    for text in _portions(lines):
                        self._file.write(text)
                        self._file.flush()

    def _rendered(self, line: Any) -> str:
        """Return a line as text, and of one that cannot be rendered why: it must not end the log of all others."""
        try:
            return self._render(line)
        except Exception as error:  # noqa: BLE001 - the edge of a thread; what a value's own code raises is anything
            event = str(line.get("event")) if isinstance(line, Mapping) else ""
            facts = {"event": "log_line_broken", "level": "error", "line": event, "problem": type(error).__name__}
            return json.dumps(facts)

    def close(self) -> None:
        """Write what waits and end the thread; later lines are written by whoever logs them."""
        self._closing.set()
        self._arrival.set()
        self._thread.join(timeout=1.0)
        if not self._thread.is_alive():  # else it is stuck on a pipe that nobody reads, and so would be this thread
            self.flush()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._arrival.wait()
            self._closing.wait(self._gather_s)
            self._arrival.clear()
            self.flush()


def _portions(lines: list[str]) -> Iterator[str]:
    """Yield the lines in portions that a pipe takes as one: several processes may write to the same."""
    portion, size = list[str](), 0
    for line in lines:
        line_bytes = len(line.encode(errors="replace")) + 1
        if portion and size + line_bytes > select.PIPE_BUF:
            yield "".join(portion)
            portion, size = [], 0
        portion.append(line + "\n")
        size += line_bytes
    if portion:
        yield "".join(portion)
