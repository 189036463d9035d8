"""Two replicas and the default client: one goes, in each of the ways in which one can, and no call is lost."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from loadtests.service_process import ServiceProcess
from retinue.client import ClassificationClient, MatchingClient
from tests.integration.steady_load import SteadyLoad

DEFAULT_DRAIN = {"RETINUE_GRPC__DRAIN_DELAY_S": "1"}
POINTS = np.random.default_rng(0).random((10, 2)) * 100
MANY_POINTS = np.random.default_rng(0).random((20_000, 2)) * 1e5


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess("matching", tmp_path_factory.mktemp("survivor") / "service.log") as process:
        yield process


@pytest.fixture
def goer(tmp_path: Path) -> Iterator[ServiceProcess]:
    with ServiceProcess("matching", tmp_path / "service.log", DEFAULT_DRAIN) as process:
        yield process


@pytest.fixture
def client(goer: ServiceProcess, survivor: ServiceProcess) -> Iterator[MatchingClient]:
    with MatchingClient([goer.target, survivor.target]) as client:
        yield client


@pytest.mark.parametrize("callers", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_replica_loses_no_call(client: MatchingClient, goer: ServiceProcess, callers: int) -> None:
    with SteadyLoad(lambda: client.match_points(POINTS, POINTS, 5.0), callers) as load:
        load.wait_for(500)
        goer.kill()
        load.wait_for(500)
    assert load.lost == []


@pytest.mark.slow
def test_a_replica_killed_in_the_midst_of_large_answers_loses_no_call(
    client: MatchingClient, goer: ServiceProcess
) -> None:
    with SteadyLoad(lambda: client.match_points(MANY_POINTS, MANY_POINTS, 5.0)) as load:
        load.wait_for(40)
        goer.kill()
        load.wait_for(40)
    assert load.lost == []


def test_a_terminated_replica_loses_no_call_and_ends_well(client: MatchingClient, goer: ServiceProcess) -> None:
    with SteadyLoad(lambda: client.match_points(POINTS, POINTS, 5.0)) as load:
        load.wait_for(500)
        goer.terminate()
        assert goer.wait() == 0
        load.wait_for(500)
    assert load.lost == []


@pytest.mark.slow
def test_renewed_connections_lose_no_call(tmp_path: Path) -> None:
    """Servers close a connection when it is old, so that clients find new replicas; here after half a second."""
    renewing = {"RETINUE_GRPC__MAX_CONNECTION_AGE_S": "0.5"}
    with (
        ServiceProcess("matching", tmp_path / "first.log", renewing) as first,
        ServiceProcess("matching", tmp_path / "second.log", renewing) as second,
        MatchingClient([first.target, second.target]) as client,
        SteadyLoad(lambda: client.match_points(POINTS, POINTS, 5.0)) as load,
    ):
        load.wait_for(1000)
    assert load.lost == []


@pytest.mark.slow
def test_pictures_are_answered_while_a_replica_is_killed(tmp_path: Path, samples: list[Path]) -> None:
    with (
        ServiceProcess("classification", tmp_path / "first.log") as first,
        ServiceProcess("classification", tmp_path / "second.log") as second,
        ClassificationClient([first.target, second.target]) as client,
        SteadyLoad(lambda: client.classify_batch(samples)) as load,
    ):
        load.wait_for(100)
        first.kill()
        load.wait_for(100)
    assert load.lost == []
