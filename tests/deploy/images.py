"""The images, built and run for real by buildah, podman and runc, with a configuration of our own."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loadtests.service_process import REPOSITORY
from retinue.serving.health import READINESS

BASE = "localhost/python:3.11-slim-bookworm"
PYTHON = "/opt/retinue/bin/python"
_TOOLS = ("buildah", "podman", "runc", "mmdebstrap")
_DOCKER = REPOSITORY / "deploy" / "docker"
_STORE = REPOSITORY / "build" / "containers"  # kept between runs: the base alone takes a minute
_BUILD_TIMEOUT_S = 1200
# What a pod of the manifests is given, in podman's words.
CONFINED = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "host")


def run(*command: str, timeout_s: float = 120, is_checked: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a tool with our configuration of containers."""
    _STORE.mkdir(parents=True, exist_ok=True)  # a container's monitor leaves a file where it was started
    done = subprocess.run(
        command, env=_environment(), cwd=_STORE, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if is_checked and done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


@cache
def image_of(service: str) -> str:
    """Return the tag of a service's image, built now; skips where that cannot be."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool, path=f"{os.defpath}:/usr/sbin:/sbin") is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("building the base image needs root")
    _prepare()
    tag = f"localhost/retinue/{service}:dev"
    build = ("nice", "buildah", "bud", "--layers", "--pull-never", "--isolation", "chroot", "--quiet")
    arguments = ("-f", str(_DOCKER / "Dockerfile"), "--build-arg", f"SERVICE={service}", "-t", tag, str(REPOSITORY))
    run(*build, *arguments, timeout_s=_BUILD_TIMEOUT_S)
    return tag


@cache
def _prepare() -> None:
    """Make the base image, where there is none yet, and the wheelhouse."""
    if run("buildah", "images", "--quiet", BASE, is_checked=False).returncode:
        run(str(_DOCKER / "base.sh"), BASE, timeout_s=_BUILD_TIMEOUT_S)
    run(str(_DOCKER / "wheelhouse.sh"), "cpu", timeout_s=_BUILD_TIMEOUT_S)


@cache
def _environment() -> dict[str, str]:
    ours = dict(os.environ)  # noqa: TID251 - handed on to the tools
    ours |= {"CONTAINERS_CONF": str(REPOSITORY / "deploy" / "ci" / "containers.conf"), "PYTHON": sys.executable}
    if "CONTAINERS_STORAGE_CONF" not in ours:
        _STORE.mkdir(parents=True, exist_ok=True)
        configuration = _STORE / "storage.conf"
        roots = f'graphroot = "{_STORE}/store"\nrunroot = "{_STORE}/run"\n'
        configuration.write_text(f'[storage]\ndriver = "overlay"\n{roots}')
        ours["CONTAINERS_STORAGE_CONF"] = str(configuration)
    return ours


def free_address() -> str:
    """Return an address on the loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def wait_until_ready(address: str, timeout_s: float = 120) -> None:
    """Return when the server says over gRPC that it is ready.

    Raises:
        grpc.RpcError: it does not in time.
    """
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=READINESS)
        watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=timeout_s, wait_for_ready=True)
        for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                watch.cancel()
                return


@dataclass(frozen=True, slots=True)
class Container:
    """A running container."""

    name: str
    address: str

    def python(self, code: str) -> str:
        """Run code inside and return what it prints."""
        return run("podman", "exec", self.name, PYTHON, "-c", code).stdout.strip()

    def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit code: 137 where it had to be killed."""
        run("podman", "stop", "--time", "45", self.name)
        return int(run("podman", "inspect", "--format", "{{.State.ExitCode}}", self.name).stdout)


@contextmanager
def running(image: str) -> Iterator[Container]:
    """A service in a container, confined as in the manifests, ready."""
    address, http = free_address(), free_address()
    variables = ("--env", f"RETINUE_GRPC__ADDRESS={address}", "--env", f"RETINUE_HTTP__ADDRESS={http}")
    name = run("podman", "run", "--detach", *CONFINED, "--memory", "1g", *variables, image).stdout.strip()
    try:
        wait_until_ready(address)
        yield Container(name, address)
    finally:
        run("podman", "rm", "--force", "--time", "0", name)
