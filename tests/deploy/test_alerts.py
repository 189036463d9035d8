"""The alerts as people meet them: read by Prometheus, held by promtool's tests, explained, and delivered."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from loadtests.service_process import REPOSITORY

PROMETHEUS = REPOSITORY / "deploy" / "prometheus"
ALERTMANAGER = REPOSITORY / "deploy" / "alertmanager" / "alertmanager.yml"
PAGE = REPOSITORY / "docs" / "monitoring.md"


def tool(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")


def alerts() -> Sequence[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "rules" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def check(*command: str) -> str:
    done = subprocess.run(command, cwd=PROMETHEUS, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@tool("promtool")
def test_promtool_takes_configuration_and_rules() -> None:
    check("promtool", "check", "rules", "--lint=all", "--lint-fatal", "rules/recording.yml", "rules/alerts.yml")
    check("promtool", "check", "config", "prometheus.local.yml")


@tool("amtool")
def test_amtool_takes_the_routes() -> None:
    check("amtool", "check-config", str(ALERTMANAGER))
    assert (
        check("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", "severity=page").strip() == "pages"
    )
    assert (
        check("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", "severity=ticket").strip()
        == "tickets"
    )


@tool("promtool")
def test_promtools_tests_of_the_rules_pass() -> None:
    check("promtool", "test", "rules", *(str(path) for path in sorted((PROMETHEUS / "rules_test").glob("*.yml"))))


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    tested = "".join(path.read_text() for path in (PROMETHEUS / "rules_test").glob("*.yml"))
    firing = set(re.findall(r'alertname="(\w+)"', tested))
    assert firing == {alert["alert"] for alert in alerts()}


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    sections = {title.lower() for title in re.findall(r"^### (\w+)$", PAGE.read_text(), re.MULTILINE)}
    for alert in alerts():
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert "{{ $labels.service }}" in alert["annotations"]["summary"]
        assert alert["annotations"]["runbook"] == f"docs/monitoring.md#{alert['alert'].lower()}"
        assert alert["alert"].lower() in sections
    assert sections == {alert["alert"].lower() for alert in alerts()}


def test_a_burn_rate_looks_at_a_long_window_and_at_a_twelfth_of_it() -> None:
    """1 h with 5 min, 6 h with 30 min, 1 d with 2 h, 3 d with 6 h, and the factors of the SRE workbook."""
    found = {
        (alert["alert"], *re.findall(r"ratio_rate(\w+) > ([\d.]+) \*", alert["expr"]))
        for alert in alerts()
        if "BudgetBurns" in alert["alert"]
    }
    windows = (("1h", "5m", "14.4"), ("6h", "30m", "6"), ("1d", "2h", "3"), ("3d", "6h", "1"))
    assert found == {
        (name, (long, factor), (short, factor))
        for name in ("RetinueErrorBudgetBurns", "RetinueLatencyBudgetBurns")
        for long, short, factor in windows
    }
