"""The detection service as its users meet it: a real process with a small model that this test writes."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from loadtests.service_process import REPOSITORY, ServiceFailed, ServiceProcess
from retinue.detection.v1 import detection_pb2 as pb
from retinue.detection.v1 import detection_pb2_grpc
from tests.integration.sigterm import Caller, codes_under_sigterm
from tests.unit.services.detection.tiny_detectors import plain, rpn_graph, write_squares, write_two_stage

FULL_NAME = "retinue.detection.v1.DetectionService"
TILING = pb.DetectionTiling(tile_size_px=64, overlap_px=12)
CORNERS = [(3, 200), (70, 70), (294, 10)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with `squares` and `two-stage`."""
    root: Path = tmp_path_factory.mktemp("models")
    write_squares(root)
    write_two_stage(root, name="two-stage")
    return root


def settings_of(root: Path, **more: str) -> dict[str, str]:
    return {
        "RETINUE_MODELS__ROOTS": json.dumps([str(root)]),
        "RETINUE_MODELS__IS_EMBEDDED_SERVED": "false",
        "RETINUE_MODELS__DEFAULT": "squares",
        "RETINUE_ENGINE__WORKERS": "2",
        **more,
    }


@pytest.fixture(scope="module")
def detection(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    log = tmp_path_factory.mktemp("detection") / "service.log"
    with ServiceProcess("detection", log, settings_of(root, RETINUE_TILING__MAX_TILE_COUNT="100")) as process:
        yield process


@pytest.fixture(scope="module")
def stub(detection: ServiceProcess) -> Iterator[Any]:
    with grpc.insecure_channel(detection.target) as channel:
        yield detection_pb2_grpc.DetectionServiceStub(channel)


def squares_at(*corners: tuple[int, int], height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    pixels = plain(0, height, width)
    for x, y in corners:
        pixels[y : y + 6, x : x + 6] = 255
    return pixels


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def request_of(pixels: NDArray[np.uint8], model: str = "", **options: Any) -> pb.DetectRequest:
    request = pb.DetectRequest(options=pb.DetectionOptions(**options))
    request.image.encoded = png_of(pixels)
    request.model.name = model
    return request


def corners_of(response: pb.DetectResponse) -> list[tuple[float, float]]:
    return sorted((one.box.x_min, one.box.y_min) for one in response.detections)


def noise(seed: int, height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_things_are_found_where_they_are(stub: Any) -> None:
    response = stub.Detect(request_of(squares_at((5, 6), (40, 50))))
    assert corners_of(response) == [(5, 6), (40, 50)]
    assert {(one.label.name, one.score) for one in response.detections} == {("square", 1.0)}
    assert (response.model.name, response.model.version) == ("squares", "1")


def test_a_large_picture_is_looked_at_through_tiles(stub: Any) -> None:
    response = stub.Detect(request_of(squares_at(*CORNERS, height=240, width=300), tiling=TILING))
    assert corners_of(response) == CORNERS


def test_a_batch_answers_as_each_picture_alone(stub: Any) -> None:
    pictures = [noise(seed, 64, width) for seed, width in enumerate([64, 96, 96, 128, 64, 33])]
    request = pb.BatchDetectRequest()
    request.model.name = "two-stage"
    for pixels in pictures:
        request.images.add(encoded=png_of(pixels))
    request.images.add(encoded=b"no picture")
    *results, bad = stub.BatchDetect(request).results
    assert bad.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    for result, pixels in zip(results, pictures, strict=True):
        alone = stub.Detect(request_of(pixels, "two-stage"))
        assert len(alone.detections) > 0
        assert result.response.detections == alone.detections


def test_a_stream_is_answered_in_order_with_errors_in_their_places(stub: Any) -> None:
    def requests() -> Iterator[pb.DetectStreamRequest]:
        for number in range(60):
            request = request_of(squares_at((number % 50, 9), width=90), tiling=TILING)
            request.image.id = str(number)
            if number % 10 == 7:
                request.image.encoded = b"no picture"
            yield pb.DetectStreamRequest(request=request)

    for number, response in enumerate(stub.DetectStream(requests(), timeout=30)):
        assert response.result.image_id == str(number)
        if number % 10 == 7:
            assert response.result.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        else:
            assert corners_of(response.result.response) == [(number % 50, 9)]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"score_threshold": 2.0}, "options.score_threshold"),
        ({"class_names": ["coin"]}, "options.class_names[0]"),
        ({"tiling": pb.DetectionTiling(tile_size_px=32, overlap_px=16)}, "at most 100"),  # 196 of them
    ],
)
def test_what_cannot_be_answered_says_why(stub: Any, options: dict[str, Any], word: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Detect(request_of(squares_at(height=240, width=240), **options))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert word in str(caught.value.details())


def test_the_serving_process_has_not_loaded_torch(detection: ServiceProcess, stub: Any) -> None:
    stub.Detect(request_of(noise(0), "two-stage"))
    loaded = Path(f"/proc/{detection.pid}/maps").read_text()
    assert "onnxruntime" in loaded  # so that the check can fail
    assert "torch" not in loaded


def test_reflection_lists_the_services_and_describes_their_messages(detection: ServiceProcess) -> None:
    with grpc.insecure_channel(detection.target) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) == {
            FULL_NAME,
            "inference.GRPCInferenceService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        file = database.FindFileContainingSymbol("retinue.detection.v1.DetectionTiling")
        assert "DetectRequest" in [message.name for message in file.message_type]


@pytest.mark.parametrize("name", ["", "retinue.readiness", "retinue.liveness", FULL_NAME])
def test_health_is_serving_by_check_and_by_watch(detection: ServiceProcess, name: str) -> None:
    with grpc.insecure_channel(detection.target) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=name)
        assert health.Check(request, timeout=5).status == health_pb2.HealthCheckResponse.SERVING
        watch = health.Watch(request, timeout=5)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()


def test_metrics_count_calls_tiles_and_pictures(detection: ServiceProcess, stub: Any) -> None:
    """A picture cut into 20 tiles is one call, one picture and 20 inferences."""

    def read() -> dict[str, float]:
        with urllib.request.urlopen(f"http://{detection.http}/metrics", timeout=5) as page:
            families = list(text_string_to_metric_families(page.read().decode()))
        samples = [sample for family in families for sample in family.samples]

        def total(name: str, **labels: str) -> float:
            return sum(one.value for one in samples if one.name == name and one.labels.items() >= labels.items())

        return {
            "handled": total("grpc_server_handled_total", grpc_service=FULL_NAME, grpc_method="Detect", grpc_code="OK"),
            "pictures": total("retinue_image_bytes_count"),
            "inferences": total("retinue_batch_size_sum", model="squares", version="1"),
        }

    before = read()
    stub.Detect(request_of(squares_at(height=220, width=270), tiling=TILING))
    after = read()
    assert {name: after[name] - before[name] for name in after} == {"handled": 1, "pictures": 1, "inferences": 20}


def test_tritonclient_gets_the_same_boxes(detection: ServiceProcess, stub: Any, tmp_path: Path) -> None:
    """Run the stock client in another process, since two descriptions of its proto cannot live in one."""
    pictures = [squares_at((5, 6), (40, 50)), squares_at(), squares_at((1, 2))]
    for number, pixels in enumerate(pictures):
        (tmp_path / f"{number}.png").write_bytes(png_of(pixels))
    program = REPOSITORY / "tests" / "integration" / "ask_triton_boxes.py"
    command: list[str | Path] = [sys.executable, program, detection.target, "squares", *sorted(tmp_path.iterdir())]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    answers = json.loads(output)
    assert answers["is_ready"]
    assert answers["outputs"] == ["boxes", "scores", "label_ids", "labels", "count"]
    for one, boxes, pixels in zip(answers["alone"], answers["together"], pictures, strict=True):
        expected = stub.Detect(request_of(pixels)).detections
        assert one["count"] == [[len(expected)]]
        corners = [[d.box.x_min, d.box.y_min, d.box.x_max, d.box.y_max] for d in expected]
        assert one["boxes"] == boxes == corners
        assert one["labels"] == [d.label.name for d in expected]
        assert one["scores"] == [d.score for d in expected]


def test_sigterm_under_load_loses_no_answer(root: Path, tmp_path: Path) -> None:
    """With and without tiles: what is under way is answered, and what comes later is told UNAVAILABLE alone."""
    small, large = squares_at((5, 6)), squares_at(*CORNERS, height=240, width=300)

    def caller_of(request: pb.DetectRequest, corners: list[tuple[int, int]]) -> Caller:
        def caller(channel: grpc.Channel) -> Callable[[], object]:
            detect = detection_pb2_grpc.DetectionServiceStub(channel).Detect

            def call() -> None:
                assert corners_of(detect(request, timeout=20)) == corners

            return call

        return caller

    callers = [caller_of(request_of(small), [(5, 6)]), caller_of(request_of(large, tiling=TILING), CORNERS)]
    with ServiceProcess("detection", tmp_path / "service.log", settings_of(root)) as service:
        codes = codes_under_sigterm(service, callers * 3, answers=100)
        assert service.wait() == 0
        events = [event["event"] for event in service.events()]
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    assert codes[grpc.StatusCode.UNAVAILABLE] == 6
    assert events.index("draining") < events.index("stopped")


def test_a_broken_model_does_not_keep_the_others_from_serving(root: Path, tmp_path: Path) -> None:
    """One whose numbers cannot be read is found out when it warms up."""
    bad = tmp_path / "models"
    for name, delta in (("infinite", float("inf")), ("beyond", -3e38)):
        write_two_stage(bad, name=name, rpn=rpn_graph(delta=delta))
    settings = settings_of(root) | {"RETINUE_MODELS__ROOTS": json.dumps([str(root), str(bad)])}
    with ServiceProcess("detection", tmp_path / "service.log", settings) as service:
        with grpc.insecure_channel(service.target) as channel:
            detect = detection_pb2_grpc.DetectionServiceStub(channel).Detect
            assert corners_of(detect(request_of(squares_at((5, 6))))) == [(5, 6)]
            with pytest.raises(grpc.RpcError) as caught:
                detect(request_of(squares_at(), "beyond"))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        broken = [event["model"] for event in service.events() if event["event"] == "model_broken"]
    assert sorted(broken) == ["beyond", "infinite"]


@pytest.mark.parametrize(
    ("settings", "exit_code", "words"),
    [
        ({"RETINUE_TILING__MAX_TILE_COUNT": "0"}, 2, "tiling.max_tile_count"),
        ({"RETINUE_TILING__MAX_TILES": "5"}, 2, "RETINUE_TILING__MAX_TILES"),
        ({"RETINUE_MODELS__IS_EMBEDDED_SERVED": "false"}, 1, "no_model_loaded"),
    ],
)
def test_a_service_that_cannot_serve_says_why_and_ends(
    tmp_path: Path, settings: dict[str, str], exit_code: int, words: str
) -> None:
    process = ServiceProcess("detection", tmp_path / "service.log", settings)
    with pytest.raises(ServiceFailed, match=words), process:
        pass
    assert process.wait() == exit_code
