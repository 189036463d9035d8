"""Health over a real channel: probes, watchers, and that neither holds what calls need."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from retinue.serving.health import LIVENESS, READINESS, Health
from tests.unit.serving.in_process import PATIENCE_S, SERVICE, Running, running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
FOLLOWING = ("", READINESS, SERVICE)


@pytest.fixture
def served() -> Iterator[Running]:
    with running({"Echo": grpc.unary_unary_rpc_method_handler(lambda request, _: request)}, thread_count=2) as one:
        yield one


def check(served: Running, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(served.channel)
    status: int = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S).status
    return status


def watch(served: Running, service: str = "") -> Any:
    stub = health_pb2_grpc.HealthStub(served.channel)
    return stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)


@pytest.mark.parametrize("service", FOLLOWING)
def test_a_service_follows_readiness(served: Running, service: str) -> None:
    assert check(served, service) == NOT_SERVING
    served.health.set_ready(is_ready=True)
    assert check(served, service) == SERVING
    served.health.set_ready(is_ready=False)
    assert check(served, service) == NOT_SERVING


def test_liveness_holds_from_the_first_moment_to_the_last(served: Running) -> None:
    assert check(served, LIVENESS) == SERVING
    served.health.end()
    assert check(served, LIVENESS) == SERVING


def test_a_server_that_is_ending_is_never_ready_again(served: Running) -> None:
    served.health.set_ready(is_ready=True)
    assert served.health.is_ready
    served.health.end()
    served.health.set_ready(is_ready=True)
    assert not served.health.is_ready
    assert check(served) == NOT_SERVING


def test_a_service_that_nobody_knows_is_not_found(served: Running) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        check(served, "nobody")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("service", FOLLOWING)
def test_a_watcher_is_told_the_status_and_every_change(served: Running, service: str) -> None:
    statuses = watch(served, service)
    assert next(statuses).status == NOT_SERVING
    served.health.set_ready(is_ready=True)
    assert next(statuses).status == SERVING
    served.health.end()
    assert next(statuses).status == NOT_SERVING


def test_a_watcher_is_told_nothing_twice(served: Running) -> None:
    statuses = watch(served)
    assert next(statuses).status == NOT_SERVING
    served.health.set_ready(is_ready=False)
    served.health.set_ready(is_ready=True)
    assert next(statuses).status == SERVING


def test_a_watcher_of_a_service_that_nobody_knows_stays(served: Running) -> None:
    statuses = watch(served, "nobody")
    assert next(statuses).status == SERVICE_UNKNOWN
    served.health.set_ready(is_ready=True)
    assert statuses.is_active()


def test_a_watch_ends_when_health_is_closed(served: Running) -> None:
    statuses = watch(served)
    next(statuses)
    served.health.end()
    served.health.close()
    assert list(statuses) == []
    assert statuses.code() is grpc.StatusCode.OK


def test_closing_twice_ends_a_watch_once(served: Running) -> None:
    statuses = watch(served)
    next(statuses)
    served.health.close()
    served.health.close()
    assert list(statuses) == []


def test_a_watch_that_begins_after_the_end_is_told_and_ended(served: Running) -> None:
    served.health.end()
    served.health.close()
    assert [response.status for response in watch(served)] == [NOT_SERVING]


def test_three_hundred_watchers_hold_no_thread(served: Running) -> None:
    """Two handler threads answer calls, four control threads answer probes, and all watchers hear of the change."""
    watchers = [watch(served) for _ in range(300)]
    assert {next(one).status for one in watchers} == {NOT_SERVING}
    assert served.unary("Echo")(b"x", timeout=PATIENCE_S) == b"x"
    assert check(served) == NOT_SERVING
    served.health.set_ready(is_ready=True)
    assert {next(one).status for one in watchers} == {SERVING}


def test_watchers_who_come_and_go_while_the_status_changes_stop_nothing(served: Running) -> None:
    """The stock servicer sends under the lock that gRPC's polling thread takes when a watcher leaves: a deadlock."""
    is_over = threading.Event()

    def change() -> None:
        is_ready = True
        while not is_over.is_set():
            served.health.set_ready(is_ready=is_ready)
            is_ready = not is_ready

    def come_and_go() -> None:
        for _ in range(25):
            statuses = watch(served)
            next(statuses)
            statuses.cancel()

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    changing = threading.Thread(target=change)
    for thread in (changing, *threads):
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    is_over.set()
    changing.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in (changing, *threads))
    assert check(served, LIVENESS) == SERVING


def test_a_watcher_who_left_is_forgotten(served: Running) -> None:
    statuses = watch(served)
    next(statuses)
    assert len(served.health._watchers) == 1
    statuses.cancel()
    for _ in range(1000):  # each takes a round trip, and the first or second comes after the cancel
        check(served)
        if not served.health._watchers:
            break
    assert not served.health._watchers


def test_two_servers_keep_their_threads_apart() -> None:
    """The stock servicer marks its class, so that the last one made decides for all."""
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as other_pool:
        one, other = Health((), pool), Health((), other_pool)
        assert vars(one.Watch)["experimental_thread_pool"] is pool
        assert vars(other.Watch)["experimental_thread_pool"] is other_pool
