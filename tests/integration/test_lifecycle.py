"""How a service starts, refuses and stops: real processes, real signals."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import grpc
import numpy as np
import pytest

from loadtests.service_process import ServiceFailed, ServiceProcess
from retinue.classification.v1 import classification_pb2, classification_pb2_grpc
from retinue.client import CallFailed, Classification, ClassificationClient, Overloaded
from tests.integration.sigterm import codes_under_sigterm

PICTURE = np.zeros((64, 64, 3), np.uint8)


def test_sigterm_under_load_loses_no_answer(tmp_path: Path) -> None:
    """Every call is answered until the service says that it is stopping, and that is said by UNAVAILABLE alone."""
    request = classification_pb2.ClassifyRequest()
    request.image.raw.height = request.image.raw.width = 64
    request.image.raw.pixels = PICTURE.tobytes()

    def caller(channel: grpc.Channel) -> Callable[[], object]:
        stub = classification_pb2_grpc.ClassificationServiceStub(channel)
        return lambda: stub.Classify(request, timeout=10)

    with ServiceProcess("classification", tmp_path / "service.log") as service:
        codes = codes_under_sigterm(service, [caller] * 8, answers=200)
        assert service.wait() == 0
        events = [event["event"] for event in service.events()]
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    assert events.index("draining") < events.index("stopped")


def test_a_client_that_watches_health_sees_no_error_when_a_replica_goes(tmp_path: Path) -> None:
    with (
        ServiceProcess("classification", tmp_path / "first.log", {"RETINUE_GRPC__DRAIN_DELAY_S": "1"}) as first,
        ServiceProcess("classification", tmp_path / "second.log") as second,
        ClassificationClient([first.target, second.target]) as client,
    ):
        answered = 0
        while answered < 100:
            client.classify(PICTURE)
            answered += 1
        first.terminate()
        goes = threading.Thread(target=first.wait)
        goes.start()
        while goes.is_alive():
            client.classify(PICTURE)
        for _ in range(100):
            client.classify(PICTURE)


def test_a_full_queue_is_told_at_once_and_the_rest_is_answered(tmp_path: Path) -> None:
    settings = {
        "RETINUE_ENGINE__WORKERS": "1",
        "RETINUE_ENGINE__MAX_BATCH_SIZE": "1",
        "RETINUE_ENGINE__MAX_QUEUE_COUNT": "2",
    }
    slow = cv2.imencode(".jpg", np.zeros((5000, 5000), np.uint8))[1].tobytes()  # small to send, long to decode
    answered: list[Classification] = []
    refused: list[Overloaded] = []
    with (
        ServiceProcess("classification", tmp_path / "service.log", settings) as service,
        ClassificationClient(service.target) as client,
    ):

        def ask() -> None:
            for _ in range(4):
                try:
                    answered.append(client.classify(slow))
                except Overloaded as error:
                    refused.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(answered) + len(refused) == 32
    assert len(answered) >= 4
    assert refused
    assert {error.code for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert all(error.retry_after_s is not None for error in refused)


def test_a_passed_deadline_is_told_as_such(tmp_path: Path) -> None:
    large = np.zeros((4000, 4000), np.uint8)
    with (
        ServiceProcess("classification", tmp_path / "service.log", {"RETINUE_ENGINE__WORKERS": "1"}) as service,
        ClassificationClient(service.target) as client,
    ):
        with pytest.raises(CallFailed) as caught:
            client.classify(large, timeout_s=0.001)
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert client.classify(PICTURE).labels  # and the service goes on


@pytest.mark.parametrize(
    ("settings", "exit_code", "words"),
    [
        ({"RETINUE_ENGINE__WORKRES": "2"}, 2, "RETINUE_ENGINE__WORKRES"),
        ({"RETINUE_ENGINE__WORKERS": "0"}, 2, "engine.workers"),
        ({"RETINUE_MODELS__IS_EMBEDDED_SERVED": "false"}, 1, "no_model_loaded"),
        ({"RETINUE_ENGINE__PROVIDERS": '["cuda"]'}, 1, "provider_missing"),
    ],
)
def test_a_service_that_cannot_serve_says_why_and_ends(
    tmp_path: Path, settings: dict[str, str], exit_code: int, words: str
) -> None:
    process = ServiceProcess("classification", tmp_path / "service.log", settings)
    with pytest.raises(ServiceFailed, match=words), process:
        pass
    assert process.wait() == exit_code


def test_a_taken_port_is_told_and_not_shared(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {"RETINUE_GRPC__ADDRESS": f"127.0.0.1:{taken.getsockname()[1]}"}
        process = ServiceProcess("classification", tmp_path / "service.log", settings)
        with pytest.raises(ServiceFailed, match="port_taken"), process:
            pass
        assert process.wait() == 1
