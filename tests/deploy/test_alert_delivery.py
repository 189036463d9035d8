"""The real Prometheus and Alertmanager with the shipped rules and routes: a killed replica is told, once, rightly."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import yaml

from loadtests.service_process import REPOSITORY, ServiceProcess
from retinue.client import ClassificationClient

PROGRAMS = {name: shutil.which(name) or "" for name in ("prometheus", "prometheus-alertmanager")}
MISSING = ", ".join(name for name, path in PROGRAMS.items() if not path)
SAMPLE = REPOSITORY / "services" / "classification" / "samples" / "seven.png"
DEPLOY = REPOSITORY / "deploy"
WAIT_S = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} is not installed")]

Told = SimpleQueue[tuple[str, dict[str, Any]]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], what: str) -> None:
    give_up_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up_s, f"{what}: not within {WAIT_S:.0f} s"
        time.sleep(0.2)


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def running(program: str, port: int, log: Path, *arguments: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen([PROGRAMS[program], *arguments], stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: is_ready(port), f"{program} is ready")
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def told() -> Iterator[tuple[str, Told]]:
    """The address of a receiver, and what it is told: the path and the body."""
    messages: Told = SimpleQueue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            messages.put((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", messages
    server.shutdown()
    thread.join()
    server.server_close()


def write_configuration(folder: Path, receiver: str, alertmanager_port: int, targets: list[str]) -> None:
    """Write what ships, with the test's addresses and with waits of seconds; that of minutes is promtool's to test."""
    routes = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    routes["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    for one in routes["receivers"]:
        for hook in one["webhook_configs"]:
            hook["url"] = receiver + urllib.parse.urlsplit(hook["url"]).path
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(routes))
    (folder / "rules").mkdir()
    for path in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for alert in (rule for group in rules["groups"] for rule in group["rules"] if "for" in rule):
            alert["for"] = "2s"
        (folder / "rules" / path.name).write_text(yaml.safe_dump(rules))
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.local.yml").read_text())
    scraped["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    scraped["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager_port}"]
    (job,) = scraped["scrape_configs"]
    job["static_configs"] = [{"targets": targets, "labels": {"service": "classification"}}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(scraped))


def test_a_killed_replica_is_told_as_a_ticket_and_the_last_one_as_a_page(
    tmp_path: Path, told: tuple[str, Told]
) -> None:
    receiver, messages = told
    port, alertmanager_port = free_port(), free_port()

    def ask(query: str) -> list[dict[str, Any]]:
        address = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def next_told() -> tuple[str, dict[str, Any]]:
        return messages.get(timeout=WAIT_S)

    with (
        ServiceProcess("classification", tmp_path / "a.log") as a,
        ServiceProcess("classification", tmp_path / "b.log") as b,
    ):
        write_configuration(tmp_path, receiver, alertmanager_port, [a.http, b.http])
        alertmanager = (
            f"--config.file={tmp_path / 'alertmanager.yml'}",
            f"--storage.path={tmp_path / 'alerts'}",
            f"--web.listen-address=127.0.0.1:{alertmanager_port}",
            "--cluster.listen-address=",
        )
        prometheus = (
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'series'}",
            f"--web.listen-address=127.0.0.1:{port}",
        )
        with (
            running("prometheus-alertmanager", alertmanager_port, tmp_path / "alertmanager.log", *alertmanager),
            running("prometheus", port, tmp_path / "prometheus.log", *prometheus),
        ):
            until(lambda: len(ask("up == 1")) == 2, "both replicas are scraped")
            # Calls go on, so that the recorded rates are seen too.
            with ClassificationClient(a.target) as client:

                def is_rate_recorded() -> bool:
                    client.classify(SAMPLE)
                    return bool(ask("service:grpc_server_calls:rate5m > 0"))

                until(is_rate_recorded, "a rate is recorded")
            assert ask("ALERTS") == []
            assert messages.empty()

            os.kill(b.pid, signal.SIGKILL)
            path, message = next_told()
            assert path == "/tickets"
            (alert,) = message["alerts"]
            assert alert["status"] == "firing"
            assert alert["labels"] == {
                "alertname": "RetinueReplicaDown",
                "service": "classification",
                "instance": b.http,
                "job": "retinue",
                "severity": "ticket",
            }
            assert alert["annotations"]["summary"] == f"classification: the replica {b.http} does not answer"

            os.kill(a.pid, signal.SIGKILL)
            pages: list[dict[str, Any]] = []
            while not pages:
                path, message = next_told()
                pages = [one for one in message["alerts"] if path == "/pages"]
            assert [page["labels"]["alertname"] for page in pages] == ["RetinueServiceDown"]
