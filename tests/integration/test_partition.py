"""A replica that is cut off: no connection is reset, it just does not answer any more."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.service_process import REPOSITORY, ServiceProcess
from tests.integration.network import Network

PORT = 50051
CUT_S = 12  # longer than the deadline of a call


@pytest.fixture
def network() -> Iterator[Network]:
    with Network(3) as one:
        yield one


@pytest.mark.slow
def test_a_replica_that_is_cut_off_loses_no_call(network: Network, tmp_path: Path) -> None:
    targets = [f"{network.address(host)}:{PORT}" for host in (1, 2)]
    first, second = (
        ServiceProcess(
            "matching",
            tmp_path / f"{host}.log",
            {"RETINUE_GRPC__ADDRESS": f"{network.address(host)}:{PORT}"},
            prefix=network.inside(host),
        )
        for host in (1, 2)
    )
    program = [sys.executable, "-m", "tests.integration.call_through_a_partition"]
    with first, second:
        asked = subprocess.run(
            [*network.inside(3), *program, network.switch, network.link(1), str(CUT_S), *targets],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    assert asked.returncode == 0, asked.stderr
    seen = json.loads(asked.stdout)
    assert seen["lost"] == []
    assert seen["answered_after"] > 0
    assert 1 < seen["longest_s"] < 10, "the cut must have been felt, and less long than a call may take"
