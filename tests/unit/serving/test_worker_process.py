"""One worker process: what it says, and how its end is seen."""

import os
import signal
import sys
import threading
from typing import Any

import pytest

from retinue.serving.model_keeper import Change
from retinue.serving.seat import Start
from retinue.serving.settings import HostSettings
from retinue.serving.worker_process import WorkerProcess
from tests.unit.serving.in_process import PATIENCE_S

COMMAND = [sys.executable, "-m", "tests.unit.serving.tiny_worker", "good"]


class Begun:
    """A worker process and what it told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.is_loaded = threading.Event()
        self.is_ended = threading.Event()
        start = Start(7, HostSettings(), 0, False, {"m": "unload"})
        self.process = WorkerProcess(start, self.hear, self.is_ended.set, COMMAND)
        assert self.is_loaded.wait(3 * PATIENCE_S)

    def hear(self, process: WorkerProcess, what: str, content: Any) -> None:
        self.told.append((what, content))
        process.is_loaded = True
        self.is_loaded.set()


@pytest.fixture
def begun() -> Begun:
    return Begun()


def test_it_begins_as_it_is_told_and_ends_when_it_is_told(begun: Begun) -> None:
    assert begun.told == [("loaded", ["tiny@1"])]
    assert begun.process.number == 7
    heard = {sample.labels["what"] for family in begun.process.metrics() for sample in family.samples}
    assert heard == {"first", "begun with unload m"}
    begun.process.tell("serve")
    begun.process.terminate()
    assert begun.process.wait(PATIENCE_S) == 0
    assert begun.is_ended.wait(PATIENCE_S)
    assert begun.process.is_gone


def test_one_that_is_gone_says_nothing_new(begun: Begun) -> None:
    last = begun.process.metrics()
    os.kill(begun.process.pid, signal.SIGKILL)
    assert begun.is_ended.wait(PATIENCE_S)
    assert begun.process.wait(PATIENCE_S) == -signal.SIGKILL
    assert begun.process.ask("change", ("load", "m")) is None
    assert begun.process.metrics() is begun.process.last_metrics is last


def test_one_that_does_not_end_is_killed(begun: Begun) -> None:
    os.kill(begun.process.pid, signal.SIGSTOP)
    begun.process.terminate()
    assert begun.process.wait(0.05) == -signal.SIGKILL


def test_one_that_ends_before_it_is_told_how_to_begin_is_seen_to_end() -> None:
    is_ended = threading.Event()
    changes: dict[str, Change] = {str(number): "load" for number in range(100_000)}  # more than a pipe holds
    start = Start(0, HostSettings(), 0, False, changes)
    process = WorkerProcess(start, lambda *_: None, is_ended.set, [sys.executable, "-c", "raise SystemExit(3)"])
    assert is_ended.wait(PATIENCE_S)
    assert (process.wait(PATIENCE_S), process.is_gone) == (3, True)
