"""A bell wakes whoever waits for it, by whomever it is rung."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from retinue.serving.bell import Bell
from tests.unit.serving.in_process import PATIENCE_S


@pytest.fixture
def bell() -> Iterator[Bell]:
    yield Bell()
    signal.set_wakeup_fd(-1)


def test_a_ring_before_the_wait_is_kept(bell: Bell) -> None:
    bell.ring()
    begin_s = time.monotonic()
    bell.wait(PATIENCE_S)
    assert time.monotonic() - begin_s < PATIENCE_S


def test_without_a_ring_the_wait_ends_in_time(bell: Bell) -> None:
    bell.wait(0.001)


def test_it_may_be_rung_without_end(bell: Bell) -> None:
    for _ in range(100_000):
        bell.ring()
    bell.wait(PATIENCE_S)


def test_a_signal_that_another_thread_gets_rings_it(bell: Bell) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    bell.ring_on_signals()
    begin_s = time.monotonic()
    threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)).start()
    bell.wait(PATIENCE_S)
    assert time.monotonic() - begin_s < PATIENCE_S
    assert heard == [signal.SIGUSR1]
    os.kill(os.getpid(), signal.SIGUSR1)
    bell.wait(PATIENCE_S)
    assert heard == [signal.SIGUSR1] * 2
    signal.signal(signal.SIGUSR1, before)
