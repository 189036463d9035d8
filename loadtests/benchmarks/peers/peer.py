"""A peer that runs: started with its model, waited for over the common protocol, measured with its children."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from loadtests.service_process import cpu_s_of
from retinue.oip import open_inference_pb2, open_inference_pb2_grpc

_POLL_S = 0.2


class PeerFailed(Exception):
    """The peer ended before it was ready, or did not become ready in time; the message names its log."""


class Peer:
    """A server in a process group of its own: ready on entry, ended on exit.

    Args:
        name: what the tables call it.
        command: what starts it.
        environment: variables beside those of this process.
        target: where its gRPC front end will listen.
        model: the model that is asked.
        log: file that takes its output, overwritten.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        target: str,
        model: str,
        log: Path,
        start_timeout_s: float = 120.0,
    ) -> None:
        self.name = name
        self.target = target
        self.model = model
        self._command = list(command)
        self._environment = {**os.environ, **environment}  # noqa: TID251 - handed on to the child
        self._log = log
        self._start_timeout_s = start_timeout_s

    def __enter__(self) -> Self:
        """Start it and wait until its model answers that it is ready.

        Raises:
            PeerFailed: it is not ready in time.
        """
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._log.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        try:
            self._wait_until_ready()
        except BaseException:  # Ctrl-C does not reach its group
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and all its children."""
        self._end()

    def cpu_s(self) -> float:
        """Return the CPU seconds of its process and all that came from it, so far."""
        return sum(cpu_s_of(pid) for pid in _family(self._process.pid))

    def _wait_until_ready(self) -> None:
        give_up_s = time.monotonic() + self._start_timeout_s
        while time.monotonic() < give_up_s and self._process.poll() is None:
            if self._is_ready():
                return
            time.sleep(_POLL_S)
        raise PeerFailed(f"{self.name} is not ready after {self._start_timeout_s:.0f} s; see {self._log}")

    def _is_ready(self) -> bool:
        with grpc.insecure_channel(self.target) as channel:
            stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            try:
                return bool(stub.ModelReady(open_inference_pb2.ModelReadyRequest(name=self.model), timeout=2).ready)
            except grpc.RpcError:
                return False

    def _end(self) -> None:
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._signal(signal.SIGKILL)  # its children too, which it may have left behind
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(self._process.pid, number)


def free_port() -> int:
    """Return a port of the loopback that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _family(pid: int) -> list[int]:
    """Return a process and its descendants that run."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:  # it has ended
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    family = [pid]
    for one in family:
        family += children.get(one, [])
    return family
