"""HAProxy or nginx with the configuration that is shipped, moved to free ports and to the replicas of a test."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from loadtests.serve import SERVICES, addresses, front
from loadtests.service_process import REPOSITORY, ServiceProcess

PROXIES = REPOSITORY / "deploy" / "proxies"
_COMMANDS = {
    "haproxy": ("-f", "{folder}/haproxy.cfg"),
    "nginx": ("-p", "{folder}", "-c", "{folder}/nginx.conf"),
}


def proxy_program(name: str) -> str:
    """Return where ``haproxy`` or ``nginx`` is; skip the test where it is not installed."""
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install haproxy nginx-light)")
    return program


class ProxyProcess:
    """A proxy before two replicas: listening on entry, ended on exit. Skips the test where it is not installed.

    Args:
        name: ``haproxy`` or ``nginx``.
        folder: takes its configuration and its log.
        replicas: of each service that the test calls, the two; they may be one and the same.
    """

    def __init__(self, name: str, folder: Path, replicas: Mapping[str, Sequence[ServiceProcess]]) -> None:
        self._command = [proxy_program(name), *(part.format(folder=folder) for part in _COMMANDS[name])]
        self._log = folder / f"{name}.log"
        ports = {_port(front(service)): _free_port() for service in SERVICES}
        for service in SERVICES:
            for place in (0, 1):
                running = replicas[service][place] if service in replicas else None
                actual = (running.target, running.http) if running else (f":{_free_port()}", f":{_free_port()}")
                ports |= dict(zip(map(_port, addresses(service, place)), map(_port, actual), strict=True))
        for path in PROXIES.iterdir():
            moved = re.sub(r"\d{4,5}", lambda number: ports.get(number[0], number[0]), path.read_text())
            (folder / path.name).write_text(moved)
        self.targets = {service: f"127.0.0.1:{ports[_port(front(service))]}" for service in SERVICES}

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=subprocess.STDOUT)
        give_up_s = time.monotonic() + 20
        while self._process.poll() is None and time.monotonic() < give_up_s:
            if all(map(_is_listening, self.targets.values())):
                return self
            time.sleep(0.02)
        self.__exit__(None, None, None)
        pytest.fail(self._log.read_text())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def _is_listening(address: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(_port(address))), timeout=1).close()
    except OSError:
        return False
    return True
