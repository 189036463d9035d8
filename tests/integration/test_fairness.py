"""Callers of every kind at once, small pictures, large ones and streams: none is kept waiting for the others."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from loadtests.service_process import ServiceProcess
from retinue.client import DetectionClient

PATIENCE_S = 120
LEAST = 6  # answers of the slowest kind
UNDER_WAY = {"small": 2, "large": 2, "stream": 32}  # calls of each kind; a stream is read so far ahead
MOST_TIMES = 5  # first come first served gives each call that is under way about as many answers


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log: Path = tmp_path_factory.mktemp("detection") / "service.log"
    with ServiceProcess("detection", log, {"RETINUE_ENGINE__WORKERS": "2"}) as process:
        yield process.target


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 255, (height, width, 3), np.uint8)


class Counts:
    """Answers by the kind of their callers, until each kind has some."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self._lock = threading.Lock()
        self._answers = Counter(dict.fromkeys(kinds, 0))
        self.is_over = threading.Event()
        self.at_the_end: dict[str, int] = {}

    def add(self, kind: str) -> None:
        with self._lock:
            self._answers[kind] += 1
            if not self.is_over.is_set() and min(self._answers.values()) >= LEAST:
                self.at_the_end = dict(self._answers)
                self.is_over.set()


def test_small_and_large_pictures_and_streams_share_the_service(target: str) -> None:
    counts = Counts(tuple(UNDER_WAY))
    small, large = noise(48, 64), noise(700, 900)

    def unary(kind: str, picture: NDArray[np.uint8]) -> Callable[[], None]:
        def call() -> None:
            with DetectionClient(target) as client:
                while not counts.is_over.is_set():
                    client.detect(picture)
                    counts.add(kind)

        return call

    def stream() -> None:
        def pictures() -> Iterator[NDArray[np.uint8]]:
            while not counts.is_over.is_set():
                yield noise(96, 96)

        with DetectionClient(target) as client:
            for _ in client.detect_stream(pictures()):
                counts.add("stream")

    callers = [unary("small", small), unary("small", small), unary("large", large), unary("large", large), stream]
    threads = [threading.Thread(target=call) for call in callers]
    for thread in threads:
        thread.start()
    assert counts.is_over.wait(PATIENCE_S)
    for thread in threads:
        thread.join(PATIENCE_S)
    shares = [count / UNDER_WAY[kind] for kind, count in counts.at_the_end.items()]
    assert max(shares) < MOST_TIMES * min(shares)
