"""A peer in a load test: what it leaves behind."""

import signal
import sys
import time
from pathlib import Path

import pytest

from loadtests.benchmarks.peers.peer import Peer, PeerFailed

# A child that does not listen, and a parent that ends at once.
_PARENT = """
import subprocess, sys
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
process.stdout.readline()
print(process.pid, flush=True)
"""


def test_children_that_a_peer_leaves_behind_are_ended_with_it(tmp_path: Path) -> None:
    log = tmp_path / "peer.log"
    command = [sys.executable, "-c", _PARENT]
    with (
        pytest.raises(PeerFailed, match=r"peer\.log"),
        Peer("stub", command, environment={}, target="127.0.0.1:1", model="m", log=log),
    ):
        pass
    assert _has_ended(int(log.read_text()))


def test_a_peer_that_is_still_starting_is_ended_by_an_interrupt(tmp_path: Path) -> None:
    log = tmp_path / "peer.log"
    command = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]

    def interrupt(*_: object) -> None:
        if log.read_text():
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        with (
            pytest.raises(KeyboardInterrupt),
            Peer("stub", command, environment={}, target="127.0.0.1:1", model="m", log=log),
        ):
            pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert _has_ended(int(log.read_text()))


def _has_ended(pid: int) -> bool:
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":  # nobody is there to take note of it
            return True
        time.sleep(0.02)
    return False
