"""What came of a run, as data: the JSON that the HTML and the chart are drawn from."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtests.load.exposition import Exposition, HistogramCounts
from loadtests.load.reading import Reading
from loadtests.load.samples import Sample, Summary, summary_of
from loadtests.load.scenario import Scenario
from loadtests.load.verdict import Check

# Queue, batch and run: what a service does with calls that come faster than it answers.
HISTOGRAMS = {
    "queue wait": "retinue_queue_wait_seconds",
    "batch size": "retinue_batch_size",
    "inference": "retinue_inference_seconds",
}
_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Window:
    """One second of a run."""

    at_s: float
    summary: Summary


@dataclass(frozen=True, slots=True)
class Report:
    """One run.

    Args:
        scenario_name: which.
        scenario: what was done.
        facts: when, where and against what.
        summaries: of all calls, and of each kind, after the warm-up.
        windows: second by second, the warm-up too.
        readings: what services said meanwhile.
        histograms: by title, then by service.
        rejected: items and calls refused, by service and reason.
        slo: its checks.
        agreement: checks of whether the figures can be believed.
    """

    scenario_name: str
    scenario: Scenario
    facts: Mapping[str, str]
    summaries: Mapping[str, Summary]
    windows: Sequence[Window]
    readings: Sequence[Reading]
    histograms: Mapping[str, Mapping[str, HistogramCounts]]
    rejected: Mapping[str, Mapping[str, float]]
    slo: Sequence[Check]
    agreement: Sequence[Check]

    @property
    def is_believable(self) -> bool:
        """Whether locust, callers and services agree."""
        return all(check.is_met for check in self.agreement)

    @property
    def is_slo_met(self) -> bool:
        """Whether the SLO was met."""
        return all(check.is_met for check in self.slo)


def windows_of(scenario: Scenario, samples: Sequence[Sample]) -> Sequence[Window]:
    """Return a run second by second, by when calls ended; seconds in which none ended are left out."""
    by_second: dict[int, list[Sample]] = {}
    for sample in samples:
        by_second.setdefault(int((sample.due_s + sample.latency_s) / _WINDOW_S), []).append(sample)
    return [
        Window(second * _WINDOW_S, summary_of(found, scenario.deadline_s, _WINDOW_S))
        for second, found in sorted(by_second.items())
    ]


def summaries_of(scenario: Scenario, samples: Sequence[Sample]) -> Mapping[str, Summary]:
    """Return what came of all calls and of each kind, after the warm-up."""
    counted = [sample for sample in samples if sample.due_s >= scenario.warm_up_s]
    seconds = scenario.seconds - scenario.warm_up_s
    groups = {"all": counted, **{name: [one for one in counted if one.name == name] for name in scenario.calls}}
    return {name: summary_of(group, scenario.deadline_s, seconds) for name, group in groups.items()}


def histograms_of(counted: Mapping[str, Exposition]) -> Mapping[str, Mapping[str, HistogramCounts]]:
    """Return each histogram of each service that observed something."""
    found = {
        title: {service: exposition.histogram(name) for service, exposition in counted.items()}
        for title, name in HISTOGRAMS.items()
    }
    return {title: {name: one for name, one in group.items() if one.count} for title, group in found.items()}


def write_json(report: Report, path: Path) -> None:
    """Write a report; NaN and infinity become null and the text ``+Inf``, which every reader of JSON takes."""
    content: dict[str, Any] = {
        "scenario_name": report.scenario_name,
        "is_believable": report.is_believable,
        "is_slo_met": report.is_slo_met,
        "scenario": report.scenario.model_dump(mode="json"),
        **{key: value for key, value in asdict(report).items() if key not in ("scenario", "scenario_name")},
    }
    for name, summary in report.summaries.items():
        content["summaries"][name] |= {"error_ratio": summary.error_ratio, "goodput_ratio": summary.goodput_ratio}
    path.write_text(json.dumps(_plain(content), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "+Inf"
    return value
