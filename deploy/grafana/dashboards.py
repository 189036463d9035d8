"""Write the dashboards: `python -m deploy.grafana.dashboards`. The JSON beside this file is its output, and committed.

One overview and one dashboard per service; `retinue.json` has the services as lines, the others the methods, models and
replicas of one. Targets carry the label `service`, as in deploy/prometheus/prometheus.local.yml.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deploy.grafana.panels import Panel, Row, dashboard

FOLDER = Path(__file__).parent
SERVICES = ("classification", "detection", "segmentation", "matching")
OURS = 'grpc_code=~"INTERNAL|UNAVAILABLE|RESOURCE_EXHAUSTED"'
_ALL = 'service=~"classification|detection|segmentation|matching"'
_STAGES = ("queue_wait", "decode", "preprocess", "inference", "postprocess")


def dashboards() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the content of each dashboard."""
    yield "retinue", dashboard("retinue", "Retinue: overview", _overview(), is_of_one_service=False)
    for service in SERVICES:
        rows = _matching_rows() if service == "matching" else _model_rows()
        content = dashboard(f"retinue-{service}", f"Retinue: {service}", rows, is_of_one_service=True)
        yield service, json.loads(json.dumps(content).replace("$service", service))


def _overview() -> Sequence[Row]:
    return (
        Row(
            "Objectives",
            (
                Panel(
                    "Replicas that answer", [(f"sum by (service) (up{{{_ALL}}})", "{{service}}")], kind="stat", width=6
                ),
                Panel(
                    "Failed by our fault, 1 h",
                    [("service:grpc_server_errors:ratio_rate1h", "{{service}}")],
                    "percentunit",
                    "The objective is at most 0.1 %.",
                    kind="stat",
                    width=6,
                ),
                Panel(
                    "Slower than the objective, 1 h",
                    [("service:grpc_server_slow:ratio_rate1h", "{{service}}")],
                    "percentunit",
                    "The objective is at most 1 % of unary calls.",
                    kind="stat",
                    width=6,
                ),
                Panel(
                    "Alerts",
                    [('count by (alertname, service) (ALERTS{alertstate="firing"})', "{{service}} {{alertname}}")],
                    kind="stat",
                    width=6,
                ),
            ),
        ),
        Row(
            "Traffic and errors",
            (
                Panel("Calls", [("service:grpc_server_calls:rate5m", "{{service}}")], "reqps"),
                Panel(
                    "Failed by our fault",
                    [("service:grpc_server_errors:ratio_rate5m", "{{service}}")],
                    "percentunit",
                    "INTERNAL, UNAVAILABLE and RESOURCE_EXHAUSTED, of all calls.",
                ),
                Panel(
                    "Refused",
                    [
                        (
                            "sum by (service, reason) (service_reason:retinue_rejected:rate5m) > 0",
                            "{{service}} {{reason}}",
                        )
                    ],
                    "ops",
                ),
            ),
        ),
        Row(
            "Latency",
            (
                Panel(
                    "Median",
                    [("service_method:grpc_server_handling_seconds:p50_5m", "{{service}} {{grpc_method}}")],
                    "s",
                    width=12,
                ),
                Panel(
                    "99th percentile",
                    [("service_method:grpc_server_handling_seconds:p99_5m", "{{service}} {{grpc_method}}")],
                    "s",
                    width=12,
                ),
            ),
        ),
        Row(
            "Saturation",
            (
                Panel(
                    "A tenth waits longer than",
                    [("service_model:retinue_queue_wait_seconds:p90_5m", "{{service}} {{model}}")],
                    "s",
                ),
                Panel("Mean batch", [("service_model:retinue_batch_size:mean5m", "{{service}} {{model}}")]),
                Panel("Items waiting", [(f"sum by (service) (retinue_queue_length{{{_ALL}}})", "{{service}}")]),
                Panel("Calls in flight", [(f"sum by (service) (retinue_in_flight_calls{{{_ALL}}})", "{{service}}")]),
                Panel(
                    "Cores used",
                    [
                        (
                            _per_second("process_cpu_seconds_total", _ALL, "service"),
                            "{{service}}",
                        )
                    ],
                ),
                Panel(
                    "Resident memory",
                    [(f"sum by (service) (process_resident_memory_bytes{{{_ALL}}})", "{{service}}")],
                    "bytes",
                ),
            ),
        ),
        Row("Models", (_models(_ALL),)),
    )


def _model_rows() -> Sequence[Row]:
    """Return the rows of a service that answers pictures with models."""
    one = 'service="$service",instance=~"$instance"'
    means = [(_mean(f"retinue_{stage}_seconds", one), stage.replace("_", " ")) for stage in _STAGES]
    tails = [(_quantile(0.99, f"retinue_{stage}_seconds", one), stage.replace("_", " ")) for stage in _STAGES]
    return (
        *_call_rows(one),
        Row(
            "Latency by stage",
            (
                Panel("Mean of each stage", means, "s", "Inference is the time of a batch, the others of an item.", 12),
                Panel("99th percentile of each stage", tails, "s", width=12),
            ),
        ),
        Row(
            "Queue and batches",
            (
                Panel(
                    "Items waiting",
                    [(f"sum by (model, instance) (retinue_queue_length{{{one}}})", "{{model}} {{instance}}")],
                ),
                Panel(
                    "Wait for a worker",
                    [_line(share, "retinue_queue_wait_seconds", one) for share in (0.5, 0.9, 0.99)],
                    "s",
                ),
                Panel(
                    "Mean batch",
                    [(_mean("retinue_batch_size", one, "model"), "{{model}}")],
                    text="Near 1 under load: batches do not form.",
                ),
                _heatmap("Batches by size", "retinue_batch_size_bucket", one, "short"),
                _heatmap("Waits by length", "retinue_queue_wait_seconds_bucket", one, "s"),
                _heatmap("Runs by length", "retinue_inference_seconds_bucket", one, "s"),
            ),
        ),
        _refusals(one),
        _saturation(one),
        Row(
            "Models and pictures",
            (
                _models(one),
                Panel(
                    "Pictures received",
                    [
                        (_per_second("retinue_image_bytes_sum", one), "bytes a second"),
                        (_mean("retinue_image_bytes", one), "bytes a picture"),
                    ],
                    "bytes",
                    width=12,
                ),
            ),
        ),
        _model_control(one),
    )


def _matching_rows() -> Sequence[Row]:
    """Return the rows of the service that pairs things."""
    one = 'service="$service",instance=~"$instance"'
    solve = "retinue_solve_seconds"
    unpaired = _per_second("retinue_unpaired_total", one, "problem")
    pairs = _per_second("retinue_pairs_total", one, "problem")
    return (
        *_call_rows(one),
        Row(
            "Problems",
            (
                Panel(
                    "Solved",
                    [(f"sum by (problem) (rate({solve}_count{{{one}}}[$__rate_interval]))", "{{problem}}")],
                    "ops",
                ),
                Panel(
                    "Mean time to solve",
                    [(_mean(solve, one, "problem"), "{{problem}}")],
                    "s",
                ),
                Panel("Time to solve, 99th percentile", [_line(0.99, solve, one, "problem")], "s"),
                Panel("Cells of a problem, 99th percentile", [_line(0.99, "retinue_problem_cells", one, "problem")]),
                Panel(
                    "Share without a partner",
                    [(f"{unpaired} / ({unpaired} + 2 * {pairs})", "{{problem}}")],
                    "percentunit",
                    "When it moves and callers did not, what they send has changed.",
                ),
                Panel("Problems waiting", [(f"sum by (instance) (retinue_queue_length{{{one}}})", "{{instance}}")]),
            ),
        ),
        _refusals(one),
        _saturation(one),
        Row("Models", (_models(one),)),
    )


def _call_rows(one: str) -> Sequence[Row]:
    """Return traffic, errors and latency, which every service has."""
    handled = "grpc_server_handled_total"
    handling = "grpc_server_handling_seconds"
    failed, ended = (_per_second(handled, labels, "grpc_method") for labels in (f"{one},{OURS}", one))
    return (
        Row(
            "Traffic and errors",
            (
                Panel(
                    "Calls begun",
                    [
                        (
                            _per_second("grpc_server_started_total", one, "grpc_method"),
                            "{{grpc_method}}",
                        )
                    ],
                    "reqps",
                ),
                Panel(
                    "Calls ended, by status",
                    [(_per_second(handled, one, "grpc_code") + " > 0", "{{grpc_code}}")],
                    "reqps",
                    is_stacked=True,
                ),
                Panel(
                    "Failed by our fault",
                    [(f"{failed} / {ended}", "{{grpc_method}}")],
                    "percentunit",
                    "INTERNAL, UNAVAILABLE and RESOURCE_EXHAUSTED; the objective is at most 0.1 %.",
                ),
            ),
        ),
        Row(
            "Latency",
            (
                Panel("Median", [_line(0.5, handling, one, "grpc_method")], "s"),
                Panel("99th percentile", [_line(0.99, handling, one, "grpc_method")], "s"),
                _heatmap("Unary calls by length", f"{handling}_bucket", f'{one},grpc_type="unary"', "s"),
            ),
        ),
    )


def _refusals(one: str) -> Row:
    return Row(
        "Refused and failed",
        (
            Panel(
                "Refused, by reason",
                [(_per_second("retinue_rejected_total", one, "reason"), "{{reason}}")],
                "ops",
                "docs/metrics.md says what to do about each.",
                12,
                is_stacked=True,
            ),
            Panel(
                "Items that failed",
                [(_per_second("retinue_failed_total", one, "model"), "{{model}}")],
                "ops",
                width=12,
            ),
        ),
    )


def _saturation(one: str) -> Row:
    return Row(
        "Saturation",
        (
            Panel(
                "Calls in flight", [(f"sum by (instance) (retinue_in_flight_calls{{{one}}})", "{{instance}}")], width=6
            ),
            Panel(
                "Cores used",
                [(_per_second("process_cpu_seconds_total", one, "instance"), "{{instance}}")],
                width=6,
            ),
            Panel(
                "Resident memory",
                [(f"sum by (instance) (process_resident_memory_bytes{{{one}}})", "{{instance}}")],
                "bytes",
                width=6,
            ),
            Panel(
                "File descriptors used",
                [(f"max by (instance) (process_open_fds{{{one}}} / process_max_fds)", "{{instance}}")],
                "percentunit",
                width=6,
            ),
        ),
    )


def _model_control(one: str) -> Row:
    return Row(
        "Versions and their loading",
        (
            Panel(
                "Replicas by state",
                [(f"sum by (model, version, state) (retinue_model_state{{{one}}}) > 0", "")],
                width=12,
                kind="table",
            ),
            Panel(
                "Loads",
                [
                    (
                        f"sum by (model, outcome) (increase(retinue_model_loads_total{{{one}}}[$__rate_interval]))",
                        "{{model}} {{outcome}}",
                    )
                ],
                text="A failed one while the state is ready: what was there before answers on.",
                width=6,
            ),
            Panel(
                "Replaced and still in use",
                [(f"sum by (instance) (retinue_draining_engines{{{one}}})", "{{instance}}")],
                text="Memory comes back when it is 0.",
                width=6,
            ),
        ),
    )


def _models(selector: str) -> Panel:
    query = f"count by (service, model, version, backend) (retinue_model_info{{{selector}}})"
    return Panel("Replicas that serve each version", [(query, "")], width=12, kind="table")


def _heatmap(title: str, bucket: str, one: str, unit: str) -> Panel:
    query = f"sum by (le) (increase({bucket}{{{one}}}[$__rate_interval]))"
    return Panel(title, [(query, "{{le}}")], unit, kind="heatmap")


def _per_second(name: str, one: str, label: str = "") -> str:
    """Return the rate of a counter, in all or for each value of a label."""
    return f"sum{f' by ({label})' if label else ''} (rate({name}{{{one}}}[$__rate_interval]))"


def _mean(histogram: str, one: str, label: str = "") -> str:
    """Return the mean of what a histogram observed, in all or for each value of a label."""
    return f"{_per_second(f'{histogram}_sum', one, label)} / {_per_second(f'{histogram}_count', one, label)}"


def _line(share: float, name: str, one: str, label: str = "") -> tuple[str, str]:
    """Return a quantile as a line, or a line for each value of a label."""
    return _quantile(share, name, one, label), f"{{{{{label}}}}}" if label else f"p{100 * share:g}"


def _quantile(share: float, name: str, one: str, label: str = "") -> str:
    labels = f"{label}, le" if label else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({name}_bucket{{{one}}}[$__rate_interval])))"


if __name__ == "__main__":
    for name, content in dashboards():
        (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
