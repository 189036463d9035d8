"""A network of its own: namespaces on one switch, whose links can be cut. Nothing of it is seen outside."""

import os
import shutil
import subprocess
from types import TracebackType
from typing import Self

import pytest


class Network:
    """Hosts ``10.77.0.1``, ``10.77.0.2``, … on one switch. Skips the test where namespaces are not permitted.

    Args:
        host_count: how many hosts.
    """

    def __init__(self, host_count: int) -> None:
        self._name = f"retinue-{os.getpid()}"
        self.switch = f"{self._name}-switch"
        self._hosts = range(1, host_count + 1)

    def __enter__(self) -> Self:
        """Make it."""
        if shutil.which("ip") is None:
            pytest.skip("ip is not installed (Debian: apt-get install iproute2)")
        made = _ip("netns", "add", self.switch, check=False)
        if made.returncode:
            pytest.skip(f"network namespaces are not permitted here: {made.stderr.strip()}")
        try:
            self._connect()
        except subprocess.CalledProcessError as error:
            self.__exit__(None, None, None)
            pytest.skip(f"no bridge or veth can be made here: {error.stderr.strip()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it away; links go with their namespaces."""
        for namespace in (*map(self.namespace, self._hosts), self.switch):
            _ip("netns", "del", namespace, check=False)

    def namespace(self, host: int) -> str:
        """Return the namespace of a host, counted from 1."""
        return f"{self._name}-{host}"

    def inside(self, host: int) -> tuple[str, ...]:
        """Return what to put before a command that is to run on a host."""
        return ("ip", "netns", "exec", self.namespace(host))

    @staticmethod
    def address(host: int) -> str:
        """Return the address of a host."""
        return f"10.77.0.{host}"

    @staticmethod
    def link(host: int) -> str:
        """Return the switch's end of the link to a host."""
        return f"port{host}"

    def _connect(self) -> None:
        _ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self.switch, "link", "set", "bridge", "up")
        for host in self._hosts:
            namespace, link = self.namespace(host), self.link(host)
            _ip("netns", "add", namespace)
            _ip("link", "add", "uplink", "netns", namespace, "type", "veth", "peer", "name", link, "netns", self.switch)
            _ip("-n", namespace, "addr", "add", f"{self.address(host)}/24", "dev", "uplink")
            _ip("-n", namespace, "link", "set", "uplink", "up")
            _ip("-n", namespace, "link", "set", "lo", "up")
            _ip("-n", self.switch, "link", "set", link, "master", "bridge", "up")


def _ip(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)  # noqa: S607 - looked for
