"""A worker process without a service: `python -m tests.unit.serving.tiny_worker MODE --worker-link FD`.

It counts what it is told in one metric. In the mode ``failing`` it ends before it is loaded; asked to load ``poison``,
it ends at once, to load ``nobody``, it knows no such model, and to load ``fault``, it fails in a way of its own.
"""

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection

from prometheus_client import CollectorRegistry, Counter

from retinue.runtime.errors import ModelNotFound
from retinue.serving.model_keeper import Change, ModelKeeper
from retinue.serving.seat import Seat

FAILED = 3
POISONED = 5


class TinyKeeper(ModelKeeper):
    """A keeper of no models, which counts."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def begin_with(self, changes: object) -> None:
        for name, change in dict(changes).items():  # type: ignore[call-overload]  # names and changes
            self._counter.labels(f"begun with {change} {name}").inc()

    def route(self, change_everywhere: object) -> None:
        pass

    def ask_refresh(self, *_: object) -> None:
        self._counter.labels("refresh").inc()

    def apply(self, change: Change, name: str) -> None:
        if name == "poison":
            os._exit(POISONED)
        if name == "nobody":
            raise ModelNotFound("no model nobody", model="nobody", version="")
        if name == "fault":
            raise ZeroDivisionError
        self._counter.labels(f"{change} {name}").inc()


def main() -> None:
    """Sit down, and stay until told to end."""
    mode, _, link = sys.argv[1:]
    seat = Seat(Connection(int(link)))
    if mode == "failing" and seat.start.number == 1:
        sys.exit(FAILED)
    registry = CollectorRegistry()
    counter = Counter("heard_total", "What it was told.", ("what",), registry=registry)
    counter.labels("replacement" if seat.start.is_replacement else "first").inc()
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    seat.take(registry, TinyKeeper(counter), end.set)
    seat.wait_to_serve(["tiny@1"])
    seat.tell_readiness(is_ready=True)
    while not end.wait(0.05):
        pass


if __name__ == "__main__":
    main()
