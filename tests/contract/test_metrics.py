"""The metrics as dashboards and alerts see them: names, types, labels and units, in the code and in docs/metrics.md."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from retinue.runtime.models import ModelState, ModelStatus
from retinue.serving.metrics import Load, Metrics, WorkerMetrics
from retinue.serving.status import POSSIBLE_CODES

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
CLOSED_LABELS = {
    "grpc_type",
    "grpc_service",
    "grpc_method",
    "grpc_code",
    "reason",
    "model",
    "version",
    "backend",
    "problem",
    "state",
    "outcome",
}
BASE_UNITS = {"seconds", "bytes"}
OTHER_UNITS = re.compile(r"_(ms|us|ns|milliseconds|microseconds|minutes|hours|kb|mb|kib|mib|percent|second|byte)(_|$)")


class Metric(NamedTuple):
    """One metric, as a reader of the page knows it."""

    name: str
    kind: str
    labels: tuple[str, ...]


def documented() -> dict[Metric, str]:
    """Return the metrics of the page with their units."""
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|([^|]*)\|([^|]*)\|", PAGE, re.MULTILINE)
    return {
        Metric(name, kind, tuple(re.findall(r"`(\w+)`", labels))): unit.strip() for name, kind, labels, unit in rows
    }


@pytest.fixture(scope="module")
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.observe_load(lambda: [Load("digits", "1", "cpu", 3)], lambda: 2)
    WorkerMetrics(registry, lambda: 2)
    metrics.observe_models(lambda: [ModelStatus("digits", "1", ModelState.READY)], lambda: 0)
    return registry


@pytest.fixture(scope="module")
def declared(registry: CollectorRegistry) -> dict[Metric, str]:
    """Return the metrics of the code with their help texts."""
    found: dict[Metric, str] = {}
    for collector in set(registry._collector_to_names):
        if isinstance(collector, (Counter, Histogram)):
            (family,) = collector.collect()
            labels = tuple(collector._labelnames)
        else:
            for gauge in collector.collect():
                found[Metric(gauge.name, gauge.type, tuple(gauge.samples[0].labels))] = gauge.documentation
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[Metric(name, family.type, labels)] = family.documentation
    return found


def test_every_metric_is_on_the_page_and_nothing_else(declared: dict[Metric, str]) -> None:
    """With its type, and its labels in their order."""
    assert sorted(documented()) == sorted(declared)


def test_names_have_a_known_prefix(declared: dict[Metric, str]) -> None:
    assert [one.name for one in declared if not one.name.startswith(("retinue_", "grpc_server_"))] == []


def test_counters_and_nothing_else_end_with_total(declared: dict[Metric, str]) -> None:
    assert [one for one in declared if one.name.endswith("_total") != (one.kind == "counter")] == []


def test_units_are_base_units_and_stand_at_the_end(declared: dict[Metric, str]) -> None:
    units = documented()
    for metric in declared:
        assert not OTHER_UNITS.search(metric.name), metric.name
        for unit in BASE_UNITS:
            assert (units[metric] == unit) == metric.name.endswith(f"_{unit}"), metric.name


def test_help_texts_are_sentences(declared: dict[Metric, str]) -> None:
    assert [
        text for text in declared.values() if not (text[:1].isupper() or text[:1].isdigit()) or text[-1] != "."
    ] == []


def test_labels_come_from_closed_sets(declared: dict[Metric, str]) -> None:
    """Never an id, a shape, or anything else that a caller chooses."""
    assert {label for metric in declared for label in metric.labels} == CLOSED_LABELS


def test_every_reason_is_on_the_page(registry: CollectorRegistry) -> None:
    table = PAGE.split("| `reason` | of what", 1)[1].split("\n\n", 1)[0]
    families = text_string_to_metric_families(generate_latest(registry).decode())
    (family,) = [one for one in families if one.name == "retinue_rejected"]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [sample.labels["reason"] for sample in family.samples]


def test_the_page_names_the_codes_that_a_call_can_end_with() -> None:
    """By pointing to the page of errors, which another test holds to the table."""
    errors = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    assert [code.name for code in POSSIBLE_CODES if f"`{code.name}`" not in PAGE + errors] == []


def test_queries_of_the_page_name_metrics_that_are_there(declared: dict[Metric, str]) -> None:
    names = {metric.name for metric in declared}
    mentioned = set(re.findall(r"\b(?:retinue|grpc_server)_\w+", PAGE))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in mentioned} == names


def test_no_series_is_there_that_nobody_reads(registry: CollectorRegistry) -> None:
    assert b"_created" not in generate_latest(registry)
