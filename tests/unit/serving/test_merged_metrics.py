"""The metrics of several processes as those of one: every event once, none lost with the process that counted it."""

import pickle
import threading
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from retinue.runtime.timings import Timings
from retinue.serving.merged_metrics import Families, MergedMetrics, merged, snapshot
from retinue.serving.metrics import Metrics


def families_of(calls: dict[str, int], *, seconds: tuple[float, ...] = (), **gauges: float) -> Families:
    """Return what one process says, as it arrives from there."""
    registry = CollectorRegistry()
    counter = Counter("calls_total", "Calls.", ("code",), registry=registry)
    histogram = Histogram("time_seconds", "Time.", ("method",), buckets=(1, 2), registry=registry)
    for code, count in calls.items():
        counter.labels(code).inc(count)
    for one in seconds:
        histogram.labels("a").observe(one)
    for name, value in gauges.items():
        Gauge(name, "A gauge.", registry=registry).set(value)
    families: Families = pickle.loads(pickle.dumps(snapshot(registry)))  # noqa: S301 - our own
    return families


def values(families: Families) -> dict[str, float]:
    """Return every sample by name and labels."""
    return {
        f"{sample.name}{sorted(sample.labels.items()) or ''}": sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def page_of(collector: MergedMetrics) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def test_counters_are_added_up_label_by_label() -> None:
    both = merged([families_of({"OK": 2, "INTERNAL": 1}), families_of({"OK": 3, "CANCELLED": 4})])
    assert values(both) == {
        "calls_total[('code', 'OK')]": 5,
        "calls_total[('code', 'INTERNAL')]": 1,
        "calls_total[('code', 'CANCELLED')]": 4,
    }


def test_histograms_are_added_up_bucket_by_bucket() -> None:
    both = values(merged([families_of({}, seconds=(0.5, 1.5)), families_of({}, seconds=(1.5, 5))]))
    assert {key: value for key, value in both.items() if "bucket" in key} == {
        "time_seconds_bucket[('le', '1.0'), ('method', 'a')]": 1,
        "time_seconds_bucket[('le', '2.0'), ('method', 'a')]": 3,
        "time_seconds_bucket[('le', '+Inf'), ('method', 'a')]": 4,
    }
    assert (both["time_seconds_count[('method', 'a')]"], both["time_seconds_sum[('method', 'a')]"]) == (4, 8.5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("retinue_queue_length", 5),
        ("retinue_in_flight_calls", 5),
        ("process_resident_memory_bytes", 5),
        ("retinue_model_info", 3),
        ("retinue_model_state", 3),
        ("process_start_time_seconds", 2),
        ("process_max_fds", 3),
    ],
)
def test_gauges_are_what_their_readers_ask_for(name: str, expected: float) -> None:
    gauges: dict[str, Any] = {name: 2}
    others: dict[str, Any] = {name: 3}
    both = merged([families_of({}, **gauges), families_of({}, **others)])
    assert values(both)[name] == expected


def test_totals_of_who_has_ended_stay_and_its_gauges_go() -> None:
    living = [families_of({"OK": 1}, retinue_queue_length=4)]
    collector = MergedMetrics(lambda: living)
    collector.bury(lambda: families_of({"OK": 10}, seconds=(0.5,), retinue_queue_length=7))
    collector.bury(lambda: families_of({"OK": 100}, seconds=(0.5,)))
    assert values(collector.collect())["calls_total[('code', 'OK')]"] == 111
    assert values(collector.collect())["retinue_queue_length"] == 4
    assert values(collector.collect())["time_seconds_count[('method', 'a')]"] == 2
    living.clear()
    assert values(collector.collect())["calls_total[('code', 'OK')]"] == 110


def test_who_is_buried_while_somebody_collects_counts_once() -> None:
    """Counted twice, its totals would seem to fall with the next collection: to Prometheus a restart."""
    last = families_of({"OK": 10})
    living = [last]
    burials: list[threading.Thread] = []

    def sources() -> list[Families]:
        found = list(living)
        if not burials:
            burials.append(threading.Thread(target=collector.bury, args=(lambda: last, living.clear)))
            burials[0].start()
            burials[0].join(0.2)  # it would be over by then, were it let
        return found

    collector = MergedMetrics(sources)
    assert values(collector.collect())["calls_total[('code', 'OK')]"] == 10
    burials[0].join()
    assert values(collector.collect())["calls_total[('code', 'OK')]"] == 10


def test_what_was_heard_while_somebody_collects_is_not_forgotten_with_who_said_it() -> None:
    """Its totals would fall with the next collection."""
    living = [families_of({"OK": 10})]
    said = list(living)
    burials: list[threading.Thread] = []

    def sources() -> list[Families]:
        if living and not burials:
            burials.append(threading.Thread(target=collector.bury, args=(lambda: said[-1], living.clear)))
            burials[0].start()
            burials[0].join(0.2)  # it waits until this is over
            said.append(families_of({"OK": 12}))
            return [said[-1]]
        return list(living)

    collector = MergedMetrics(sources)
    assert values(collector.collect())["calls_total[('code', 'OK')]"] == 12
    burials[0].join()
    assert values(collector.collect())["calls_total[('code', 'OK')]"] == 12


def test_what_comes_in_is_left_as_it_was() -> None:
    one, other = families_of({"OK": 1}), families_of({"OK": 2})
    merged([one, other])
    assert values(one)["calls_total[('code', 'OK')]"] == 1


def test_the_page_of_one_process_is_that_of_the_process() -> None:
    """Names, types, help and the order of buckets: what was merged is read as what was not."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.engine_observer("m", "1").on_answer(Timings(decode_s=0.1))
    metrics.observe_load(list, lambda: 3)
    page = page_of(MergedMetrics(lambda: [snapshot(registry)]))
    assert page == generate_latest(registry).decode()
    assert list(text_string_to_metric_families(page))


def test_nothing_is_asked_before_it_is_collected() -> None:
    def fail() -> list[Families]:
        raise AssertionError

    CollectorRegistry().register(MergedMetrics(fail))
