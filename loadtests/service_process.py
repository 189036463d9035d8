"""A service in a process of its own on the loopback: started, waited for, measured, ended by SIGTERM."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[1]
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_POLL_S = 0.05


class ServiceFailed(Exception):
    """The service ended before it was ready, or did not become ready in time; the message holds the end of its log."""


def cpu_s_of(pid: int) -> float:
    """Return the CPU seconds that a process has used so far, user and system, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


class ServiceProcess:
    """`python -m services.<name>`: ready on entry, drained on exit.

    Args:
        service: name of the service.
        log: file that takes its output, overwritten.
        settings: environment variables, such as ``RETINUE_ENGINE__WORKERS``; free ports are taken by default.
        prefix: what to put before the command, such as ``ip netns exec NAME``; it must become the service.
        start_timeout_s: how long it may take to become ready.
    """

    def __init__(
        self,
        service: str,
        log: Path,
        settings: Mapping[str, str] | None = None,
        *,
        prefix: Sequence[str] = (),
        start_timeout_s: float = 180.0,
    ) -> None:
        self._service = service
        self._log = log
        self._command = [*prefix, sys.executable, "-m", f"services.{service}"]
        self._start_timeout_s = start_timeout_s
        self._environment = {
            **os.environ,  # noqa: TID251 - handed on to the child
            "RETINUE_GRPC__ADDRESS": "127.0.0.1:0",
            "RETINUE_HTTP__ADDRESS": "127.0.0.1:0",
            "RETINUE_GRPC__DRAIN_DELAY_S": "0.2",
            "RETINUE_LOG__FORMAT": "json",
            **(settings or {}),
        }
        self.target = ""
        self.http = ""

    def __enter__(self) -> Self:
        """Start it and wait until it is ready.

        Raises:
            ServiceFailed: it is not ready in time.
        """
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready()
        except BaseException:  # Ctrl-C too
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and wait until it has ended."""
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def terminate(self) -> None:
        """Send SIGTERM and return at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Send SIGTERM, wait until it has ended and return its exit code."""
        self.terminate()
        return self.wait()

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait until it has ended and return its exit code; kill it where that takes too long."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has used so far, user and system, all threads."""
        return cpu_s_of(self.pid)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what it has logged so far, one line after the other; lines that are no JSON are passed over."""
        for line in self._log.read_text(errors="replace").splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(event, dict):
                yield event

    def _wait_until_ready(self) -> None:
        give_up_s = time.monotonic() + self._start_timeout_s
        while time.monotonic() < give_up_s and self._process.poll() is None:
            events = {event.get("event"): event for event in self.events()}
            if "ready" in events:
                self.target = f"127.0.0.1:{events['listening']['grpc_port']}"
                self.http = f"127.0.0.1:{events['listening']['http_port']}"
                return
            time.sleep(_POLL_S)
        tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])
        raise ServiceFailed(f"{self._service} is not ready after {self._start_timeout_s:.0f} s; its log ends:\n{tail}")
