"""Run a scenario: start the services that it needs, or use those that are named, load them, and say what came of it.

Exit codes: 0 where the SLO was met, 3 where it was missed, 4 where locust's, the callers' and the services' figures do
not agree, so that there is nothing to be said of the SLO; 1 where the run could not be made, 2 for a wrong command.
"""

import argparse
import datetime as dt
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import grpc
from locust.env import Environment

from loadtests.load.calls import calls_of
from loadtests.load.chart import draw_chart
from loadtests.load.cooperation import set_up_gevent
from loadtests.load.page import write_page
from loadtests.load.report import Report, histograms_of, summaries_of, windows_of, write_json
from loadtests.load.scenario import Scenario, ScenarioInvalid, Service, load_scenario, scenario_names
from loadtests.load.shape import ScenarioShape
from loadtests.load.users import Run, users_of
from loadtests.load.verdict import Check, agreement_checks, memory_checks, slo_checks
from loadtests.load.watch import ServiceWatch, assert_reachable
from loadtests.service_process import ServiceFailed, ServiceProcess
from retinue.client.channel import channel_options, target_uri

SLO_MISSED = 3
NOT_BELIEVABLE = 4
_STOP_SLACK_S = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one scenario and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.load",
        description=__doc__,
        epilog=f"scenarios: {', '.join(scenario_names())}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", help="its name, or the path of a .toml file")
    parser.add_argument("--out", type=Path, help="folder of the report; default out/load/SCENARIO")
    parser.add_argument("--time-scale", type=float, default=1.0, help="how much longer or shorter the stages are")
    parser.add_argument(
        "--use",
        action="append",
        default=[],
        metavar="SERVICE=GRPC[,GRPC…]/HTTP[,HTTP…]",
        help="use a running service with its side ports, such as detection=10.0.0.7:50051/10.0.0.7:8080",
    )
    options = parser.parse_args(arguments)
    try:
        scenario = load_scenario(options.scenario).scaled(options.time_scale)
        used = dict(_used(text) for text in options.use)
    except (ScenarioInvalid, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    name = Path(options.scenario).stem
    out = options.out or Path("out") / "load" / name
    out.mkdir(parents=True, exist_ok=True)
    set_up_gevent()
    try:
        with ExitStack() as stack:
            targets = {
                service: used.get(service) or _started(service, scenario, out, stack) for service in scenario.mix
            }
            report = _run(name, scenario, targets)
    except (ServiceFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    write_json(report, out / "report.json")
    draw_chart(report, out / "report.png")
    write_page(report, out / "report.png", out / "report.html")
    _print(report, out)
    if not report.is_believable:
        return NOT_BELIEVABLE
    return 0 if report.is_slo_met else SLO_MISSED


def _used(text: str) -> tuple[Service, tuple[Sequence[str], Sequence[str]]]:
    """Return a service, its gRPC addresses and its side ports."""
    name, _, addresses = text.partition("=")
    grpc_addresses, _, http_addresses = addresses.partition("/")
    for service in get_args(Service):
        if service == name and grpc_addresses and http_addresses:
            return service, (grpc_addresses.split(","), http_addresses.split(","))
    raise ValueError(f"--use {text} is not SERVICE=GRPC[,GRPC…]/HTTP[,HTTP…]")


def _started(service: Service, scenario: Scenario, out: Path, stack: ExitStack) -> tuple[Sequence[str], Sequence[str]]:
    print(f"starting {service} …", flush=True)
    process = stack.enter_context(ServiceProcess(service, out / f"{service}.log", scenario.environment.get(service)))
    return [process.target], [process.http]


def _run(name: str, scenario: Scenario, targets: Mapping[Service, tuple[Sequence[str], Sequence[str]]]) -> Report:
    """Load the services and return the report."""
    with ExitStack() as stack:
        channels = {}
        for service, (addresses, _) in targets.items():
            channels[service] = stack.enter_context(_channel(addresses))
            assert_reachable(", ".join(addresses), channels[service])
        run = Run(scenario, {service: calls_of(service, channels[service], scenario) for service in targets})
        started = dt.datetime.now(dt.UTC)
        watch = ServiceWatch({service: http for service, (_, http) in targets.items()}, run)
        environment = _loaded(run)
        counted = watch.stop()
    calls = {call.name: call for by_kind in run.calls.values() for call in by_kind.values()}
    locust_counts = {entry.name: entry.num_requests for entry in environment.stats.entries.values()}
    return Report(
        scenario_name=name,
        scenario=scenario,
        facts={
            "started": started.isoformat(timespec="seconds"),
            "services": "; ".join(f"{service} on {', '.join(grpc_)}" for service, (grpc_, _) in targets.items()),
            "callers on": f"{platform.node()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "readings missed": str(watch.missed_count),
        },
        summaries=summaries_of(scenario, run.samples),
        windows=windows_of(scenario, run.samples),
        readings=watch.readings,
        histograms=histograms_of(counted),
        rejected={service: one.by_label("retinue_rejected_total", "reason") for service, one in counted.items()},
        slo=(*slo_checks(scenario, run.samples), *memory_checks(scenario, watch.readings)),
        agreement=(*agreement_checks(run.samples, locust_counts, calls, counted), _generator_check(run)),
    )


def _loaded(run: Run) -> Environment:
    """Let locust run the scenario until its end, calls under way included."""
    environment = Environment(
        user_classes=list(users_of(run)),
        shape_class=ScenarioShape(run.scenario),
        stop_timeout=run.scenario.deadline_s + _STOP_SLACK_S,
        catch_exceptions=False,
    )
    runner = environment.create_local_runner()
    runner.start_shape()
    if runner.shape_greenlet is not None:
        runner.shape_greenlet.join()
    runner.quit()
    run.outstanding.join()
    return environment


def _channel(addresses: Sequence[str]) -> grpc.Channel:
    """Return a channel as clients have it, without their retries: each call must be one call to the service too."""
    options = [(key, value) for key, value in channel_options() if key != "grpc.service_config"]
    config = '{"loadBalancingConfig": [{"round_robin": {}}]}'
    return grpc.insecure_channel(
        target_uri(addresses), options=[*options, ("grpc.service_config", config), ("grpc.enable_retries", 0)]
    )


def _generator_check(run: Run) -> Check:
    """Return whether the load was the one that was asked for."""
    limit = run.scenario.load.max_outstanding
    found = "a call was left out" if run.is_saturated else "none was left out"
    return Check("no call was left out", not run.is_saturated, f"at most {limit} calls under way", found)


def _print(report: Report, out: Path) -> None:
    for title, checks in (("SLO", report.slo), ("agreement", report.agreement)):
        for check in checks:
            state = "met   " if check.is_met else "MISSED"
            print(f"{state} {title}: {check.name}: {check.found} ({check.wanted})")
    print(f"report: {out}/report.html, .json, .png")
