"""The shipped configurations of HAProxy and nginx: the real proxies, two real replicas, the default client."""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loadtests.service_process import ServiceProcess
from retinue.client import Classification, ClassificationClient, DetectionClient, MatchingClient, ServiceUnavailable
from retinue.client.channel import READINESS_SERVICE
from tests.integration.proxy_process import ProxyProcess
from tests.integration.steady_load import SteadyLoad

POINTS = np.random.default_rng(0).random((10, 2)) * 100
MANY_POINTS = np.random.default_rng(0).random((20_000, 2)) * 1e5
HARD_COSTS = np.outer(np.arange(1, 601), np.arange(1, 601)).astype(np.float32)


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess("matching", tmp_path_factory.mktemp("survivor") / "service.log") as process:
        yield process


@pytest.fixture
def goer(tmp_path: Path) -> Iterator[ServiceProcess]:
    with ServiceProcess("matching", tmp_path / "service.log", {"RETINUE_GRPC__DRAIN_DELAY_S": "1"}) as process:
        yield process


@pytest.fixture(params=["haproxy", "nginx"])
def proxied(
    request: pytest.FixtureRequest, tmp_path: Path, goer: ServiceProcess, survivor: ServiceProcess
) -> Iterator[str]:
    """The address of a proxy before both."""
    with ProxyProcess(request.param, tmp_path, {"matching": (goer, survivor)}) as proxy:
        yield proxy.targets["matching"]


@pytest.fixture(params=["haproxy", "nginx"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path, service: ServiceProcess) -> Iterator[ProxyProcess]:
    """A proxy before a classification service, twice the same, and before nothing else."""
    with ProxyProcess(request.param, tmp_path, {"classification": (service, service)}) as proxy:
        yield proxy


def answered(replica: ServiceProcess) -> float:
    with urllib.request.urlopen(f"http://{replica.http}/metrics", timeout=10) as response:
        lines = response.read().decode()
    found = re.search(
        r'^grpc_server_handled_total{grpc_code="OK",grpc_method="MatchPoints".*} (\S+)$', lines, re.MULTILINE
    )
    return float(found[1]) if found else 0.0


def test_the_calls_of_one_client_are_spread_over_both_replicas(
    proxied: str, goer: ServiceProcess, survivor: ServiceProcess
) -> None:
    before = answered(survivor)
    with MatchingClient(proxied) as client:
        for _ in range(100):
            client.match_points(POINTS, POINTS, 5.0)
    shares = answered(goer), answered(survivor) - before
    assert sum(shares) == 100
    assert 40 <= shares[0] <= 60


def test_a_killed_replica_loses_no_call(proxied: str, goer: ServiceProcess) -> None:
    with MatchingClient(proxied) as client, SteadyLoad(lambda: client.match_points(POINTS, POINTS, 5.0)) as load:
        load.wait_for(400)
        goer.kill()
        load.wait_for(400)
    assert load.lost == []


@pytest.mark.parametrize("callers", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_a_terminated_replica_loses_no_call(proxied: str, goer: ServiceProcess, callers: int) -> None:
    with (
        MatchingClient(proxied) as client,
        SteadyLoad(lambda: client.match_points(POINTS, POINTS, 5.0), callers) as load,
    ):
        load.wait_for(400)
        goer.terminate()
        assert goer.wait() == 0
        load.wait_for(400)
    assert load.lost == []


@pytest.mark.slow
def test_calls_under_way_outlive_the_drain_of_their_replica(proxied: str, goer: ServiceProcess) -> None:
    with MatchingClient(proxied, timeout_s=60) as client, SteadyLoad(lambda: client.assign(HARD_COSTS), 4) as load:
        load.wait_for(8)
        goer.terminate()
        assert goer.wait() == 0
        load.wait_for(8)
    assert load.lost == []


@pytest.mark.slow
def test_a_replica_killed_in_the_midst_of_large_answers_loses_no_call(proxied: str, goer: ServiceProcess) -> None:
    with (
        MatchingClient(proxied) as client,
        SteadyLoad(lambda: client.match_points(MANY_POINTS, MANY_POINTS, 5.0)) as load,
    ):
        load.wait_for(40)
        goer.kill()
        load.wait_for(40)
    assert load.lost == []


def test_a_stream_may_be_larger_than_any_message(proxy: ProxyProcess) -> None:
    """To nginx the whole of it is one body, which it would end at its limit."""
    pictures = (np.zeros((1000, 1000, 3), np.uint8) for _ in range(25))
    with ClassificationClient(proxy.targets["classification"]) as client:
        results = list(client.classify_stream(pictures, max_in_flight=2))
    assert [type(result) for result in results] == [Classification] * 25


def test_health_is_left_to_the_proxy(proxy: ProxyProcess) -> None:
    """A client that watched one replica through it would hold all for gone when that one drains."""
    with grpc.insecure_channel(proxy.targets["classification"]) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=READINESS_SERVICE)
        assert health.Check(request, timeout=10).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            next(health.Watch(request, timeout=10))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_no_replica_at_all_is_told_as_unavailable(proxy: ProxyProcess) -> None:
    """By the code that clients repeat calls for, and without a body, which would forbid it."""
    with DetectionClient(proxy.targets["detection"]) as client, pytest.raises(ServiceUnavailable, match="no replica"):
        client.detect(np.zeros((8, 8), np.uint8))
