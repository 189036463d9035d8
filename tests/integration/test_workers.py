"""Several processes as one service: one port, one page of metrics, one readiness, one end."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadtests.service_process import ServiceFailed, ServiceProcess
from retinue.classification.v1 import classification_pb2, classification_pb2_grpc
from retinue.oip import open_inference_pb2 as oip
from retinue.oip.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.integration.callers import Callers
from tests.integration.sigterm import codes_under_sigterm
from tests.unit.serving.tiny_package import SIDE_PX, write_package

Code = grpc.StatusCode
PATIENCE_S = 90
CONNECTIONS = 16  # enough that each of two workers has some of them, but for one time in thirty thousand
METHOD = {"grpc_method": "Classify", "grpc_service": "retinue.classification.v1.ClassificationService"}


class Workers:
    """A service of two worker processes, and what tests ask it."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service = service

    @contextmanager
    def channels(self, count: int = CONNECTIONS) -> Iterator[list[grpc.Channel]]:
        """Return channels with a connection each."""
        with ExitStack() as stack:
            options = [("grpc.use_local_subchannel_pool", 1)]
            yield [stack.enter_context(grpc.insecure_channel(self.service.target, options)) for _ in range(count)]

    def codes(self) -> set[Code]:
        """Return how calls end that go to all workers."""
        codes = set()
        with self.channels() as channels:
            for channel in channels:
                try:
                    classify(channel)
                except grpc.RpcError as error:
                    codes.add(error.code())
                else:
                    codes.add(Code.OK)
        return codes

    def pids(self) -> dict[int, int]:
        """Return the process of each worker, the one started last."""
        return {one["worker"]: one["pid"] for one in self.events("worker_started")}

    def events(self, name: str) -> list[dict[str, int]]:
        return [one for one in self.service.events() if one["event"] == name]

    def kill(self, worker: int) -> None:
        """End a worker without warning, and wait until another has taken its place."""
        count = len(self.events("worker_ready"))
        os.kill(self.pids()[worker], signal.SIGKILL)
        wait_until(lambda: len(self.events("worker_ready")) > count)

    def sample(self, name: str, **labels: str) -> float:
        """Return a metric's value, added up over the labels that are not given."""
        page = urlopen(f"http://{self.service.http}/metrics", timeout=PATIENCE_S).read().decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == name and sample.labels.items() >= labels.items()
        )

    def readiness(self) -> int:
        try:
            status: int = urlopen(f"http://{self.service.http}/readyz", timeout=PATIENCE_S).status
        except HTTPError as error:
            with error:
                return error.code
        return status


def request() -> classification_pb2.ClassifyRequest:
    one = classification_pb2.ClassifyRequest()
    one.image.raw.height = one.image.raw.width = SIDE_PX
    one.image.raw.pixels = bytes(SIDE_PX * SIDE_PX * 3)
    return one


def classify(channel: grpc.Channel) -> str:
    """Return what answers."""
    stub = classification_pb2_grpc.ClassificationServiceStub(channel)
    answer = stub.Classify(request(), timeout=PATIENCE_S)
    return f"{answer.model.name}@{answer.model.version}"


def caller(channel: grpc.Channel) -> Callable[[], str]:
    return lambda: classify(channel)


def wait_until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def served(tmp_path: Path, settings: dict[str, str] | None = None) -> Iterator[Workers]:
    base = {
        "RETINUE_WORKERS": "2",
        "RETINUE_MODELS__ROOTS": json.dumps([str(tmp_path / "models")]),
        "RETINUE_MODELS__IS_EMBEDDED_SERVED": "false",
        "RETINUE_MODELS__IS_CONTROL_ALLOWED": "true",
    }
    with ServiceProcess("classification", tmp_path / "service.log", base | (settings or {})) as service:
        yield Workers(service)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    write_package(tmp_path / "models")
    with served(tmp_path) as one:
        yield one


def test_both_answer_on_one_port_and_their_metrics_are_one_page(workers: Workers) -> None:
    """Whoever is asked for them, counters and histograms count every call once, gauges all that is there."""
    for number in range(1, 4):
        assert workers.codes() == {Code.OK}
        count = number * CONNECTIONS
        assert workers.sample("grpc_server_handled_total", grpc_code="OK", **METHOD) == count
        assert workers.sample("grpc_server_handling_seconds_count", **METHOD) == count
        assert workers.sample("grpc_server_handling_seconds_bucket", le="+Inf", **METHOD) == count
        assert workers.sample("retinue_decode_seconds_count", model="tiny") == count
        assert workers.sample("retinue_image_bytes_sum") == count * SIDE_PX * SIDE_PX * 3
    answering = {event.get("worker") for event in workers.service.events() if event["event"] == "rpc_ended"}
    assert answering == {0, 1}
    assert workers.sample("retinue_ready_workers") == 2
    assert workers.sample("retinue_model_info", model="tiny") == 1
    assert workers.sample("retinue_model_state", model="tiny") == 1
    assert workers.sample("retinue_in_flight_calls") == 0
    assert workers.sample("python_info") == 1
    assert 0 < time.time() - workers.sample("process_start_time_seconds") < PATIENCE_S
    assert workers.readiness() == 200


def test_a_worker_that_is_killed_takes_only_its_own_calls_with_it_and_is_replaced(workers: Workers) -> None:
    with workers.channels(8) as channels, Callers(*map(caller, channels)) as callers:
        callers.wait_for("tiny@1", 200)
        before = workers.sample("grpc_server_handled_total", grpc_code="OK", **METHOD)
        workers.kill(0)
        assert workers.readiness() == 200
        callers.wait_for("tiny@1", 200)
        assert workers.sample("grpc_server_handled_total", grpc_code="OK", **METHOD) > before
    assert {code for code, _ in callers.failures} <= {Code.UNAVAILABLE}
    assert sum(callers.failures.values()) <= 8  # one call of each that was connected to it
    assert workers.sample("retinue_worker_restarts_total") == 1
    assert workers.sample("retinue_ready_workers") == 2
    assert workers.codes() == {Code.OK}
    ended = workers.events("worker_ended")
    assert [(one["worker"], one["exit_code"]) for one in ended] == [(0, -signal.SIGKILL)]


def test_the_totals_of_a_worker_that_is_gone_stay(workers: Workers) -> None:
    workers.codes()
    count = workers.sample("grpc_server_handled_total", grpc_code="OK", **METHOD)
    assert count == CONNECTIONS
    for worker in (0, 1):
        workers.kill(worker)
        assert workers.sample("grpc_server_handled_total", grpc_code="OK", **METHOD) == count
    workers.codes()
    assert workers.sample("grpc_server_handled_total", grpc_code="OK", **METHOD) == 2 * count
    assert workers.sample("grpc_server_handling_seconds_count", **METHOD) == 2 * count


def test_sigterm_drains_all_without_losing_an_answer(workers: Workers) -> None:
    pids = workers.pids().values()
    codes = codes_under_sigterm(workers.service, [caller] * 8, answers=200)
    assert workers.service.wait() == 0
    assert set(codes) == {Code.OK, Code.UNAVAILABLE}
    assert not any(map(is_alive, pids))
    (stopped,) = [event for event in workers.service.events() if event["event"] == "stopped" and "worker" not in event]
    assert stopped["exit_codes"] == [0, 0]


def test_sigterm_before_all_have_loaded_is_no_failure(tmp_path: Path) -> None:
    write_package(tmp_path / "models")
    log = tmp_path / "service.log"
    process = ServiceProcess("classification", log, {"RETINUE_WORKERS": "2"})

    def end() -> None:
        wait_until(lambda: log.exists() and "worker_started" in log.read_text())
        process.terminate()

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(ServiceFailed), process:
        pass
    ending.join()
    assert process.wait() == 0


def test_workers_end_when_their_supervisor_is_killed(workers: Workers) -> None:
    pids = list(workers.pids().values())
    os.kill(workers.service.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids)))


def test_calls_that_change_models_reach_every_worker_and_those_that_come_later(workers: Workers) -> None:
    with workers.channels(1) as (channel,):
        inference = GRPCInferenceServiceStub(channel)
        inference.RepositoryModelUnload(oip.RepositoryModelUnloadRequest(model_name="tiny"), timeout=PATIENCE_S)
        assert workers.codes() == {Code.UNAVAILABLE}
        wait_until(lambda: workers.readiness() == 503)
    os.kill(workers.pids()[1], signal.SIGKILL)  # whoever takes its place begins without the model as well
    wait_until(lambda: len(workers.events("worker_started")) == 3)
    with workers.channels(1) as (channel,):
        inference = GRPCInferenceServiceStub(channel)
        wait_until(lambda: len(workers.events("worker_listening")) == 3)
        assert workers.codes() == {Code.UNAVAILABLE}
        inference.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="tiny"), timeout=PATIENCE_S)
        assert workers.codes() == {Code.OK}
        wait_until(lambda: workers.readiness() == 200)
        for name in ("nobody", "../models/tiny"):
            with pytest.raises(grpc.RpcError) as caught:
                inference.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name=name), timeout=PATIENCE_S)
            assert caught.value.code() is Code.NOT_FOUND


def test_a_signal_reaches_every_worker(tmp_path: Path, workers: Workers) -> None:
    with workers.channels() as channels, Callers(*map(caller, channels)) as callers:
        write_package(tmp_path / "models", version="2")
        os.kill(workers.service.pid, signal.SIGHUP)
        wait_until(lambda: all(classify(channel) == "tiny@2" for channel in channels))
    assert not callers.failures


@pytest.mark.parametrize(
    ("settings", "exit_code", "words"),
    [
        ({"RETINUE_WORKERS": "0"}, 2, "workers"),
        ({"RETINUE_MODELS__ROOTS": "[]", "RETINUE_MODELS__IS_CONTROL_ALLOWED": "false"}, 1, "no_model_loaded"),
        ({"RETINUE_MODELS__DEFAULT": "nobody"}, 1, "model_not_found"),
    ],
)
def test_a_service_that_cannot_serve_ends_as_one_process_does(
    tmp_path: Path, settings: dict[str, str], exit_code: int, words: str
) -> None:
    write_package(tmp_path / "models")
    process = ServiceProcess(
        "classification",
        tmp_path / "service.log",
        {"RETINUE_WORKERS": "2", "RETINUE_MODELS__IS_EMBEDDED_SERVED": "false"} | settings,
    )
    with pytest.raises(ServiceFailed), process:
        pass
    assert process.wait() == exit_code
    assert words in (tmp_path / "service.log").read_text()


def test_the_port_is_shared_with_nobody_else(tmp_path: Path, workers: Workers) -> None:
    for count in ("1", "2"):
        log = tmp_path / f"{count}.log"
        settings = {"RETINUE_WORKERS": count, "RETINUE_GRPC__ADDRESS": workers.service.target}
        process = ServiceProcess("classification", log, settings)
        with pytest.raises(ServiceFailed, match="port_taken"), process:
            pass
        assert process.wait() == 1
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {"RETINUE_WORKERS": "2", "RETINUE_GRPC__ADDRESS": f"127.0.0.1:{taken.getsockname()[1]}"}
        process = ServiceProcess("classification", tmp_path / "taken.log", settings)
        with pytest.raises(ServiceFailed, match="port_taken"), process:
            pass
