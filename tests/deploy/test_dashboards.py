"""Rules and dashboards against what services say: every expression can be read, every name is there."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.dashboards import FOLDER, SERVICES, dashboards
from loadtests.service_process import REPOSITORY, ServiceProcess
from retinue.client import ClassificationClient
from retinue.serving.metrics import CALL_BUCKETS_S
from retinue.serving.status import POSSIBLE_CODES

RULES = sorted((REPOSITORY / "deploy" / "prometheus" / "rules").glob("*.yml"))
NAMES = re.compile(r"\b(?:retinue|grpc_server|process|python)_\w+")
PROMTOOL = shutil.which("promtool") or ""
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")


def rules() -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            yield path.stem, panel


def dashboard_expressions() -> Iterator[tuple[str, str]]:
    for name, panel in panels():
        for target in panel.get("targets", ()):
            yield name, target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")


def names_of(expression: str) -> set[str]:
    return set(NAMES.findall(re.sub(r"by \([^)]*\)", "", re.sub(r"[\w:]+:[\w:]+", "", expression))))


def said_by(service: ServiceProcess) -> Mapping[str, set[str]]:
    """Return the names on a service's /metrics, each with its labels."""
    with urllib.request.urlopen(f"http://{service.http}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    names: dict[str, set[str]] = {}
    for line in text.splitlines():
        if found := re.match(r"# TYPE (\w+) (\w+)", line):
            suffixes = ("_bucket", "_sum", "_count") if found[2] == "histogram" else ("",)
            names |= {found[1] + suffix: set() for suffix in suffixes}
        elif found := re.match(r"(\w+)(?:\{(.*)\})? ", line):
            names.setdefault(found[1], set()).update(re.findall(r"(\w+)=", found[2] or ""))
    return names


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, set[str]]]:
    """The names that each service says; classification, once it was called, also says which labels calls have."""
    log = tmp_path_factory.mktemp("live") / "service.log"
    with ServiceProcess("classification", log) as process, ClassificationClient(process.target) as client:
        client.classify(REPOSITORY / "services" / "classification" / "samples" / "seven.png")
        found = {"classification": said_by(process)}
    for service in set(SERVICES) - found.keys():
        with ServiceProcess(service, log) as process:
            found[service] = said_by(process)
    return found


def test_the_committed_dashboards_are_what_the_script_writes() -> None:
    written = {name: json.loads(json.dumps(content)) for name, content in dashboards()}
    committed = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
    assert committed == written
    assert committed.keys() == {"retinue", *SERVICES}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    places: dict[tuple[str, int, int], int] = {}
    ids = [(name, panel["id"]) for name, panel in panels()]
    assert len(ids) == len(set(ids))
    for name, panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] == "row":
            continue
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert places.setdefault((name, x, y), panel["id"]) == panel["id"]


def test_no_datasource_is_fixed_and_every_variable_is_declared() -> None:
    for path in FOLDER.glob("*.json"):
        text = path.read_text()
        declared = {variable["name"] for variable in json.loads(text)["templating"]["list"]}
        used = set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval"}
        assert used == declared, path.name
        assert set(re.findall(r'"uid": "(\$[^"]*)"', text)) == {"${datasource}"}


@needs_promtool
def test_promtool_reads_every_expression_of_every_dashboard(tmp_path: Path) -> None:
    recorded = [
        {"record": f"lint:dashboard:expression{index}", "expr": expression}
        for index, (_, expression) in enumerate(dashboard_expressions())
    ]
    path = tmp_path / "expressions.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": recorded}]}))
    done = subprocess.run(
        [PROMTOOL, "check", "rules", "--lint=all", "--lint-fatal", path], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(recorded)} rules found".encode() in done.stdout


def test_every_name_on_a_dashboard_is_said_by_a_running_service(live: Mapping[str, Mapping[str, set[str]]]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for name, expression in dashboard_expressions():
        found = names_of(expression)
        for service in SERVICES if name == "retinue" else (name,):
            assert found - live[service].keys() == set(), (service, expression)
        own = set(re.findall(r"\w+:\w+:\w+", expression))
        assert own - recorded == set(), expression
        assert found or own or "up{" in expression or "ALERTS{" in expression


def test_every_name_in_a_rule_is_said_by_every_service(live: Mapping[str, Mapping[str, set[str]]]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        for service in SERVICES:
            assert names_of(rule["expr"]) - live[service].keys() == set(), (service, rule["expr"])
        assert set(re.findall(r"\w+:\w+:\w+", rule["expr"])) - recorded == set(), rule["expr"]


def test_every_label_of_a_rule_is_one_that_a_service_or_the_scrape_gives(
    live: Mapping[str, Mapping[str, set[str]]],
) -> None:
    known = set().union(*live["classification"].values()) | {"service", "instance", "alertstate", "alertname"}
    for expression in (*(rule["expr"] for rule in rules()), *(one for _, one in dashboard_expressions())):
        used = {label for group in re.findall(r"(?:by|on) \(([^)]*)\)", expression) for label in group.split(", ")}
        used |= set(re.findall(r'(\w+)=~?"', expression))
        assert used - known - {"problem"} == set(), expression


def test_every_metric_of_models_is_on_the_dashboard_of_a_service(live: Mapping[str, Mapping[str, set[str]]]) -> None:
    shown = {
        name for board, expression in dashboard_expressions() if board != "retinue" for name in names_of(expression)
    }
    base = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    ours = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for name in live["classification"]
        if not name.startswith(("process", "python"))
    }
    assert ours - base == set()


def test_bounds_codes_and_reasons_of_rules_exist() -> None:
    """A misspelt one would be an alert that never fires."""
    reasons = re.findall(
        r"^\| `(\w+)` \| (?:items|calls) ", (REPOSITORY / "docs" / "metrics.md").read_text(), re.MULTILINE
    )
    for rule in rules():
        expression = rule["expr"]
        assert {float(bound) for bound in re.findall(r'le="([\d.]+)"', expression)} <= set(CALL_BUCKETS_S)
        codes = {code for group in re.findall(r'grpc_code=~?"([^"]*)"', expression) for code in group.split("|")}
        assert codes <= {code.name for code in POSSIBLE_CODES}
        assert set(re.findall(r'reason="(\w+)"', expression)) <= set(reasons)
    assert len(reasons) >= 5


def test_bounds_are_written_as_services_write_them(live: Mapping[str, Mapping[str, set[str]]]) -> None:
    written = {str(bound) for bound in CALL_BUCKETS_S}
    assert {bound for rule in rules() for bound in re.findall(r'le="([\d.]+)"', rule["expr"])} <= written


@needs_promtool
def test_promtool_takes_what_a_service_says(tmp_path: Path) -> None:
    with (
        ServiceProcess("classification", tmp_path / "service.log") as process,
        urllib.request.urlopen(f"http://{process.http}/metrics", timeout=10) as answer,
    ):
        text = answer.read()
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, check=False, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
