"""The HTTP side port over real connections."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from structlog.testing import capture_logs

from retinue.serving.side_port import SidePort
from tests.unit.serving.in_process import PATIENCE_S


@dataclass
class Served:
    """A side port that runs, and what it asks."""

    port: SidePort
    registry: CollectorRegistry
    is_ready: bool = False

    def ask(self, path: str, method: str = "GET") -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    registry = CollectorRegistry()
    Counter("answers_total", "Answers.", registry=registry).inc()
    one: Served
    port = SidePort("127.0.0.1", 0, registry, lambda: one.is_ready)
    one = Served(port, registry)
    port.start()
    yield one
    port.stop()


def test_metrics_are_in_the_text_format(served: Served) -> None:
    response, body = served.ask("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert b"answers_total 1.0" in body


@pytest.mark.parametrize("path", ["/metrics?name=x", "/healthz?verbose", "/healthz?"])
def test_a_query_is_passed_over(served: Served, path: str) -> None:
    assert served.ask(path)[0].status == 200


def test_a_process_that_answers_is_alive(served: Served) -> None:
    response, body = served.ask("/healthz")
    assert (response.status, body) == (200, b"ok\n")


def test_readiness_is_asked_each_time(served: Served) -> None:
    for is_ready, expected in (
        (False, (503, b"not ready\n")),
        (True, (200, b"ready\n")),
        (False, (503, b"not ready\n")),
    ):
        served.is_ready = is_ready
        response, body = served.ask("/readyz")
        assert (response.status, body) == expected


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/nothing"])
def test_head_is_get_without_the_body(served: Served, path: str) -> None:
    (got, body), (headed, nothing) = served.ask(path), served.ask(path, "HEAD")
    assert headed.status == got.status
    assert int(headed.headers["Content-Length"] or 0) == len(body)
    assert nothing == b""


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../metrics", "/nothing"])
def test_another_path_is_not_found(served: Served, path: str) -> None:
    assert served.ask(path)[0].status == 404


def test_another_method_is_not_there(served: Served) -> None:
    assert served.ask("/metrics", "POST")[0].status == 501


def test_the_server_does_not_say_what_it_runs_on(served: Served) -> None:
    assert served.ask("/healthz")[0].headers["Server"].strip() == "retinue"


def test_a_client_that_says_nothing_does_not_hold_up_others(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port.port)):
        assert served.ask("/healthz")[0].status == 200


class Broken(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        raise ZeroDivisionError


def test_a_page_that_fails_is_logged_and_the_next_is_served(served: Served) -> None:
    broken = Broken()
    served.registry._collector_to_names[broken] = []  # to register it properly would collect from it
    with capture_logs() as logs, pytest.raises(OSError, match=r"closed|reset"):
        served.ask("/metrics")
    del served.registry._collector_to_names[broken]
    assert [line["event"] for line in logs] == ["side_port_request_failed"]
    assert served.ask("/metrics")[0].status == 200


def test_a_stopped_port_is_free_again() -> None:
    first = SidePort("127.0.0.1", 0, CollectorRegistry(), lambda: True)
    first.start()
    number = first.port
    first.stop()
    second = SidePort("127.0.0.1", number, CollectorRegistry(), lambda: True)
    second.start()
    second.stop()


def test_a_taken_port_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            SidePort("127.0.0.1", taken.getsockname()[1], CollectorRegistry(), lambda: True)


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6_is_served(host: str) -> None:
    try:
        port = SidePort(host, 0, CollectorRegistry(), lambda: True)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    port.start()
    try:
        connection = HTTPConnection("::1", port.port, timeout=PATIENCE_S)
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        port.stop()
