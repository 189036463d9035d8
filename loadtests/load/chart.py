"""The picture of a run: latency over throughput, the run second by second, and what the services' histograms saw."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from loadtests.load.exposition import HistogramCounts
from loadtests.load.report import HISTOGRAMS, Report

_COLOURS = {
    "classification": "#1f77b4",
    "detection": "#d95f02",
    "segmentation": "#1b9e77",
    "matching": "#7570b3",
}


def draw_chart(report: Report, path: Path) -> None:
    """Write the chart of a run as a PNG."""
    figure = Figure(figsize=(15, 8.5), layout="constrained")
    (over_rate, latency, rate), (*histogram_axes,) = figure.subplots(2, 3)
    verdict = "SLO met" if report.is_slo_met else "SLO missed"
    belief = "" if report.is_believable else ", figures do not agree"
    figure.suptitle(f"{report.scenario_name}: {verdict}{belief}", fontsize=14)
    _draw_latency_over_rate(over_rate, report)
    _draw_latency(latency, report)
    _draw_rate(rate, report)
    for axes, title in zip(histogram_axes, HISTOGRAMS, strict=True):
        _draw_histograms(axes, title, report)
    figure.savefig(path, dpi=110)


def _draw_latency_over_rate(axes: Axes, report: Report) -> None:
    """One point per second after the warm-up; colour is time, so that a ramp can be followed."""
    first_s, last_s = report.scenario.warm_up_s, report.scenario.seconds - 1.0  # seconds in full only
    windows = [window for window in report.windows if first_s <= window.at_s <= last_s and window.summary.rate_hz]
    rates = [window.summary.rate_hz for window in windows]
    times = [window.at_s for window in windows]
    for label, marker, values in (
        ("p50", "o", [1e3 * window.summary.p50_s for window in windows]),
        ("p99", "^", [1e3 * window.summary.p99_s for window in windows]),
    ):
        points = axes.scatter(rates, values, c=times, marker=marker, cmap="viridis", label=label, s=28)
    if windows:
        axes.figure.colorbar(points, ax=axes, label="seconds since the start")
        _scale_by_powers(axes)
    axes.set_xlim(left=0)
    _dress(axes, "Latency over throughput, each second", "answered calls per second", "milliseconds")


def _draw_latency(axes: Axes, report: Report) -> None:
    times = [window.at_s for window in report.windows]
    for label, values in (
        ("p50", [1e3 * window.summary.p50_s for window in report.windows]),
        ("p99", [1e3 * window.summary.p99_s for window in report.windows]),
    ):
        axes.plot(times, values, label=label, marker=".")
    axes.axhline(1e3 * report.scenario.deadline_s, color="red", linestyle=":", label="deadline")
    axes.axvspan(0, report.scenario.warm_up_s, color="grey", alpha=0.15, label="warm-up")
    _scale_by_powers(axes)
    _dress(axes, "Latency", "seconds since the start", "milliseconds")


def _draw_rate(axes: Axes, report: Report) -> None:
    times = [window.at_s for window in report.windows]
    axes.plot(times, [window.summary.rate_hz for window in report.windows], label="answered in full", marker=".")
    failed = [window.summary.call_count - window.summary.codes.get("OK", 0) for window in report.windows]
    axes.plot(times, failed, label="failed", color="red")
    _dress(axes, "Calls and queue", "seconds since the start", "calls per second")
    beside: Any = axes.twinx()
    for service in report.scenario.mix:
        readings = [reading for reading in report.readings if reading.service == service]
        beside.plot(
            [reading.at_s for reading in readings],
            [reading.queue_length for reading in readings],
            color=_COLOURS[service],
            linestyle="--",
            label=f"queue of {service}",
        )
    beside.set_ylabel("items waiting")
    beside.set_ylim(bottom=0)
    beside.legend(loc="upper right", fontsize=8)
    axes.legend(loc="upper left", fontsize=8)


def _draw_histograms(axes: Axes, title: str, report: Report) -> None:
    """Share of the observations in each bucket, services side by side."""
    found = report.histograms.get(title, {})
    labels = _bucket_labels(title, next(iter(found.values()))) if found else []
    width = 0.8 / max(1, len(found))
    for index, (service, histogram) in enumerate(found.items()):
        offsets = [place + index * width - 0.4 + width / 2 for place in range(len(labels))]
        shares = [100 * count / histogram.count for count in histogram.counts]
        axes.bar(offsets, shares, width, label=f"{service} ({histogram.count:.0f})", color=_COLOURS[service])
    if found:
        axes.set_xticks(range(len(labels)), labels, rotation=60, fontsize=8)
    else:
        axes.text(0.5, 0.5, "nothing was observed", ha="center", va="center", transform=axes.transAxes)
    unit = "items, up to" if title == "batch size" else "milliseconds, up to"
    _dress(axes, f"{title.capitalize()} during the run", unit, "percent of observations")


def _bucket_labels(title: str, histogram: HistogramCounts) -> list[str]:
    factor = 1 if title == "batch size" else 1e3
    return [f"{factor * bound:g}" for bound in histogram.bounds]


def _scale_by_powers(axes: Axes) -> None:
    """Give latencies a logarithmic axis with numbers that people read: 20, not 2·10¹."""
    axes.set_yscale("log")
    for places in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        places(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:g}"[0] in "125" else ""))


def _dress(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(visible=True, alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
