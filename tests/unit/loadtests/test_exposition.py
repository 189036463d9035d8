import doctest
import math
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from loadtests.load import exposition
from loadtests.load.exposition import Exposition, HistogramCounts
from retinue.serving.side_port import SidePort


class Replica:
    """A side port with a counter and a histogram of its own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.calls = Counter("calls_total", "Calls.", ("code",), registry=registry)
        self.latency = Histogram("latency_seconds", "Latency.", buckets=(0.1, 1.0), registry=registry)
        self.port = SidePort("127.0.0.1", 0, registry, lambda: True)
        self.address = f"127.0.0.1:{self.port.port}"


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    replicas = [Replica(), Replica()]
    for replica in replicas:
        replica.port.start()
    yield replicas
    for replica in replicas:
        replica.port.stop()


def test_examples_hold() -> None:
    assert doctest.testmod(exposition).failed == 0


def test_replicas_are_added_up_and_what_was_before_is_taken_off(replicas: list[Replica]) -> None:
    addresses = [replica.address for replica in replicas]
    replicas[0].calls.labels("OK").inc(5)
    before = Exposition.scrape(addresses)
    replicas[0].calls.labels("OK").inc(2)
    replicas[1].calls.labels("OK").inc(3)
    replicas[1].calls.labels("INTERNAL").inc()
    counted = Exposition.scrape(addresses) - before
    assert counted.by_label("calls_total", "code") == {"OK": 5.0, "INTERNAL": 1.0}
    assert counted.total("calls_total") == 6.0
    assert counted.total("calls_total", code="OK") == 5.0
    assert counted.total("nothing_total") == 0.0


def test_a_histogram_is_that_of_all_replicas(replicas: list[Replica]) -> None:
    for replica, latency_s in zip(replicas, (0.05, 0.5), strict=True):
        replica.latency.observe(latency_s)
    histogram = Exposition.scrape([replica.address for replica in replicas]).histogram("latency_seconds")
    assert histogram == HistogramCounts([0.1, 1.0, math.inf], [1.0, 1.0, 0.0], 0.55)


@pytest.mark.parametrize(("share", "wanted"), [(0.5, (0.0, 1.0)), (0.51, (2.0, 3.0)), (1.0, (3.0, math.inf))])
def test_a_quantile_lies_in_the_bucket_that_holds_its_rank(share: float, wanted: tuple[float, float]) -> None:
    histogram = HistogramCounts((1.0, 2.0, 3.0, math.inf), (5.0, 0.0, 4.0, 1.0), 20.0)
    assert histogram.bucket_of(share) == wanted


def test_an_empty_histogram_has_no_quantile() -> None:
    assert all(map(math.isnan, HistogramCounts((1.0, math.inf), (0.0, 0.0), 0.0).bucket_of(0.99)))


def test_a_side_port_that_does_not_answer_is_an_error(replicas: list[Replica]) -> None:
    closed = SidePort("127.0.0.1", 0, CollectorRegistry(), lambda: True)
    address = f"127.0.0.1:{closed.port}"
    closed.start()
    closed.stop()
    with pytest.raises(OSError, match="refused"):
        Exposition.scrape([replicas[0].address, address])
