"""A replica that is cut off: no connection is reset, it just does not answer any more."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.serve import addresses, front
from loadtests.service_process import REPOSITORY, ServiceProcess
from tests.integration.network import Network
from tests.integration.proxy_process import PROXIES, proxy_program

CUT_S = 12  # longer than the deadline of a call
CALLER = 3  # the host that calls; replicas are on the first two

pytestmark = pytest.mark.slow


@pytest.fixture
def network() -> Iterator[Network]:
    with Network(3) as one:
        yield one


@pytest.fixture
def replicas(network: Network, tmp_path: Path) -> Iterator[list[str]]:
    """Two of them, each on a host of its own; their addresses."""
    first, second = (
        ServiceProcess(
            "matching",
            tmp_path / f"{host}.log",
            {
                "RETINUE_GRPC__ADDRESS": f"{network.address(host)}:50051",
                "RETINUE_HTTP__ADDRESS": f"{network.address(host)}:8080",
            },
            prefix=network.inside(host),
        )
        for host in (1, 2)
    )
    with first, second:
        yield [f"{network.address(host)}:50051" for host in (1, 2)]


def called(network: Network, *targets: str) -> dict[str, Any]:
    """Return what a client sees that calls while the first replica is cut off."""
    program = [*network.inside(CALLER), sys.executable, "-m", "tests.integration.call_through_a_partition"]
    asked = subprocess.run(
        [*program, network.switch, network.link(1), str(CUT_S), *targets],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    seen: dict[str, Any] = json.loads(asked.stdout)
    return seen


def test_a_replica_that_is_cut_off_loses_no_call(network: Network, replicas: list[str]) -> None:
    seen = called(network, *replicas)
    assert seen["lost"] == []
    assert 1 < seen["longest_s"] < 10, "the cut must have been felt, and less long than a call may take"


def test_haproxy_gives_up_a_replica_that_is_cut_off(network: Network, replicas: list[str], tmp_path: Path) -> None:
    program = proxy_program("haproxy")
    configuration = (PROXIES / "haproxy.cfg").read_text()
    for place, replica in enumerate(replicas):
        grpc_address, http_address = addresses("matching", place)
        said = f"{grpc_address} port {http_address.rpartition(':')[2]}"
        assert said in configuration
        configuration = configuration.replace(said, f"{replica} port 8080")
    path = tmp_path / "haproxy.cfg"
    path.write_text(configuration)
    with (tmp_path / "haproxy.log").open("wb") as log:
        haproxy = subprocess.Popen([*network.inside(CALLER), program, "-f", path], stdout=log, stderr=log)
    try:
        seen = called(network, front("matching"))
    finally:
        haproxy.terminate()
        haproxy.wait(20)
    assert seen["lost"] == []
    assert 1 < seen["longest_s"] < 10, "the cut must have been felt, and less long than a call may take"
