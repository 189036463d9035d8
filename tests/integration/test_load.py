"""The load test as a command against a real service: its exit codes, its figures, its report."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from loadtests.service_process import REPOSITORY, ServiceProcess

# Looked for and not imported: locust puts gevent's patches into the process that imports it, for all other tests.
MISSING = [name for name in ("locust", "matplotlib") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} is not installed (extra loadtests)")

OPEN = """
description = "a test"
deadline_s = {deadline_s}
warm_up_s = 0.5
batch_count = 2
stream_count = 3
[mix.classification]
unary = 4
batch = 1
stream = 1
[load]
loop = "open"
max_outstanding = {max_outstanding}
stages = [{{ seconds = 2, rate_hz = {rate_hz} }}]
[slo]
max_error_ratio = {max_error_ratio}
min_goodput_ratio = {min_goodput_ratio}
"""
GENTLE = {"deadline_s": 20.0, "rate_hz": 10, "max_outstanding": 100, "max_error_ratio": 0.0, "min_goodput_ratio": 1.0}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """Another replica, which is not asked."""
    with ServiceProcess("classification", tmp_path_factory.mktemp("other") / "service.log") as process:
        yield process


def run(tmp_path: Path, use: str, **changes: float) -> tuple[int, dict[str, Any], str]:
    """Return the exit code, the report and the output of a load test of two seconds."""
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(OPEN.format(**{**GENTLE, **changes}))
    command = [sys.executable, "-m", "loadtests.load", str(scenario), "--out", str(tmp_path), "--use", use]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    return done.returncode, json.loads((tmp_path / "report.json").read_text()), done.stdout + done.stderr


def test_a_met_slo_gives_0_and_figures_that_agree(tmp_path: Path, service: ServiceProcess) -> None:
    """All calls that were due are made, and locust, callers and service have counted them."""
    code, report, output = run(tmp_path, f"classification={service.target}/{service.http}")
    assert code == 0, output
    assert report["is_believable"]
    assert sum(window["summary"]["call_count"] for window in report["windows"]) == 20
    assert report["histograms"]["batch size"]["classification"]["total"] == sum(
        window["summary"]["answered_item_count"] for window in report["windows"]
    )
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_missed_slo_gives_3(tmp_path: Path, service: ServiceProcess) -> None:
    """Most are not answered within a millisecond; who gave up first may be seen differently."""
    code, report, output = run(tmp_path, f"classification={service.target}/{service.http}", deadline_s=0.001)
    assert code == 3, output
    assert not report["is_slo_met"]
    assert report["is_believable"], output
    assert report["summaries"]["all"]["codes"]["DEADLINE_EXCEEDED"] > 0


@pytest.mark.slow
def test_figures_that_do_not_agree_give_4(tmp_path: Path, service: ServiceProcess, other: ServiceProcess) -> None:
    """As where a replica's metrics are not read: the calls that it answered are in no counter."""
    code, report, output = run(tmp_path, f"classification={service.target}/{other.http}")
    assert code == 4, output
    assert report["is_slo_met"]


@pytest.mark.slow
def test_replicas_are_counted_together(tmp_path: Path, service: ServiceProcess, other: ServiceProcess) -> None:
    use = f"classification={service.target},{other.target}/{service.http},{other.http}"
    code, _, output = run(tmp_path, use)
    assert code == 0, output


@pytest.mark.slow
def test_a_load_that_cannot_be_made_gives_4(tmp_path: Path, service: ServiceProcess) -> None:
    """More calls would be under way than is allowed, so fewer were made than the scenario says."""
    use = f"classification={service.target}/{service.http}"
    code, _, output = run(tmp_path, use, rate_hz=400, max_outstanding=1, max_error_ratio=1.0, min_goodput_ratio=0.0)
    assert code == 4, output
    assert "no call was left out: a call was left out" in output


def test_a_wrong_command_gives_2() -> None:
    command = [sys.executable, "-m", "loadtests.load", "smoke", "--use", "divination=a/b"]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "divination" in done.stderr
