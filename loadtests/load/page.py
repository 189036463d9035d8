"""The report as one HTML file that needs nothing beside it."""

import base64
import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from loadtests.load.report import Report
from loadtests.load.verdict import Check

_STYLE = """\
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem } td, th { border: 1px solid #ccc; padding: 0.25rem 0.6rem }
th { background: #f3f3f3; text-align: left } td.number { text-align: right; font-variant-numeric: tabular-nums }
.met { color: #14713a } .missed { color: #b3261e; font-weight: bold } img { max-width: 100% }
"""


def write_page(report: Report, chart: Path, path: Path) -> None:
    """Write the page of a run, with its chart inside."""
    picture = base64.b64encode(chart.read_bytes()).decode("ascii")
    scenario = report.scenario
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{_text(report.scenario_name)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Load test: {_text(report.scenario_name)}</h1><p>{_text(scenario.description)}</p>",
        f"<p>SLO: {_met(report.is_slo_met)}. Figures agree: {'yes' if report.is_believable else 'no'}.</p>",
        "<h2>SLO</h2>",
        _checks(report.slo),
        "<h2>Calls after the warm-up</h2>",
        _calls(report),
        "<h2>Chart</h2>",
        f"<img alt='latency over throughput, and histograms' src='data:image/png;base64,{picture}'>",
        "<h2>Can the figures be believed?</h2>",
        _checks(report.agreement),
        "<h2>What the services used after the warm-up</h2>",
        _used(report),
        "<h2>Refused by the services</h2>",
        _rejected(report),
        "<h2>Setting</h2>",
        _table(("what", ""), ([_text(name), _text(value)] for name, value in report.facts.items())),
        f"<h3>Scenario</h3><pre>{_text(scenario.model_dump_json(indent=1, exclude_none=True))}</pre>",
        "</body></html>",
    ]
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _checks(checks: Sequence[Check]) -> str:
    rows = ([_text(one.name), _text(one.wanted), _text(one.found), _met(one.is_met)] for one in checks)
    return _table(("check", "wanted", "found", ""), rows)


def _calls(report: Report) -> str:
    header = ("calls", "made", "ended as", "calls/s", "items/s", "goodput", "p50 ms", "p90 ms", "p99 ms", "max ms")
    rows = (
        [
            _text(name),
            _number(one.call_count, 0),
            _text(", ".join(f"{code} {count}" for code, count in sorted(one.codes.items()))),
            _number(one.rate_hz, 1),
            _number(one.items_hz, 1),
            _number(100 * one.goodput_ratio, 2) + " %",
            *(_number(1e3 * value, 1) for value in (one.p50_s, one.p90_s, one.p99_s, one.max_s)),
        ]
        for name, one in report.summaries.items()
    )
    return _table(header, rows)


def _used(report: Report) -> str:
    """Return the cores, the memory at both ends and the longest queue of each service that was read twice."""
    rows = []
    for service in report.scenario.mix:
        later = [one for one in report.readings if one.service == service and one.at_s >= report.scenario.warm_up_s]
        if len(later) > 1:
            first, last = later[0], later[-1]
            cores = (last.cpu_s - first.cpu_s) / (last.at_s - first.at_s)
            memory = (_number(one.resident_bytes / 2**20, 0) for one in (first, last))
            longest = max(one.queue_length for one in later)
            rows.append([_text(service), _number(cores, 2), *memory, _number(longest, 0)])
    return _table(("service", "cores", "MiB at first", "MiB at last", "longest queue seen"), rows)


def _rejected(report: Report) -> str:
    rows = [
        [_text(service), _text(reason), _number(count, 0)]
        for service, reasons in report.rejected.items()
        for reason, count in reasons.items()
        if count
    ]
    return _table(("service", "reason", "count"), rows) if rows else "<p>Nothing.</p>"


def _table(header: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["<table><tr>", *(f"<th>{_text(name)}</th>" for name in header), "</tr>"]
    for row in rows:
        cells = (f"<td{' class=number' if cell[:1].isdigit() else ''}>{cell}</td>" for cell in row)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "".join([*lines, "</table>"])


def _met(is_met: bool) -> str:  # noqa: FBT001 - a cell of a table
    return "<span class='met'>met</span>" if is_met else "<span class='missed'>missed</span>"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _text(value: str) -> str:
    return html.escape(value)
