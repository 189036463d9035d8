"""The matching service as its users meet it: a real process, without models and without ONNX Runtime."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from prometheus_client.parser import text_string_to_metric_families

from loadtests.service_process import REPOSITORY, ServiceFailed, ServiceProcess
from retinue.matching.v1 import matching_pb2 as pb
from retinue.matching.v1 import matching_pb2_grpc
from retinue.ops import DetectionEvaluator, Detections, GroundTruth
from tests.integration.sigterm import codes_under_sigterm

FULL_NAME = "retinue.matching.v1.MatchingService"
POINTS = pb.MatchPointsRequest(problems=[pb.PointsProblem(a_xy=[12, 10, 1, 0], b_xy=[17, 15, 16, 10], radius=6)])


@pytest.fixture(scope="module")
def matching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess("matching", tmp_path_factory.mktemp("matching") / "service.log") as process:
        yield process


@pytest.fixture(scope="module")
def channel(matching: ServiceProcess) -> Iterator[grpc.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(matching.target, options) as one:
        yield one


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> Any:
    return matching_pb2_grpc.MatchingServiceStub(channel)


def hard_costs(side: int) -> bytes:
    """Return costs that take long for their size: products of row and column."""
    ranks = np.arange(1, side + 1, dtype=np.float32)
    return np.outer(ranks, ranks).astype("<f4").tobytes()


def assign_request(side: int) -> pb.AssignRequest:
    matrix = pb.CostMatrix(row_count=side, column_count=side, raw_costs=hard_costs(side))
    return pb.AssignRequest(problems=[pb.AssignmentProblem(cost_matrix=matrix)])


def test_points_are_matched(stub: Any) -> None:
    (matching,) = stub.MatchPoints(POINTS).matchings
    assert (list(matching.pairs.a), list(matching.pairs.b)) == ([0], [1])


def test_the_process_has_loaded_neither_onnxruntime_nor_torch(matching: ServiceProcess, stub: Any) -> None:
    stub.MatchPoints(POINTS)
    mapped = Path(f"/proc/{matching.pid}/maps").read_text()
    assert "numba" in mapped or "llvmlite" in mapped
    assert "onnxruntime" not in mapped
    assert "torch" not in mapped


def test_health_reflection_and_metrics_are_those_of_every_service(
    matching: ServiceProcess, channel: grpc.Channel, stub: Any
) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", FULL_NAME, "inference.GRPCInferenceService", "retinue.readiness", "retinue.liveness"):
        status = health.Check(health_pb2.HealthCheckRequest(service=name)).status
        assert status == health_pb2.HealthCheckResponse.SERVING, name
    assert FULL_NAME in ProtoReflectionDescriptorDatabase(channel).get_services()
    stub.MatchPoints(POINTS)
    with urllib.request.urlopen(f"http://{matching.http}/metrics", timeout=10) as response:
        families = {one.name: one for one in text_string_to_metric_families(response.read().decode())}
    samples = [one for one in families["retinue_solve_seconds"].samples if one.name.endswith("_count")]
    solved = {one.labels["problem"]: one.value for one in samples}
    assert solved["points"] >= 1
    assert set(solved) == {"points", "boxes", "instances", "assign", "detr", "evaluate"}
    assert [one.labels["model"] for one in families["retinue_model_info"].samples] == ["assign"]


def test_tritonclient_assigns(matching: ServiceProcess) -> None:
    command = [sys.executable, str(REPOSITORY / "tests" / "integration" / "ask_triton_assign.py"), matching.target]
    answers = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert answers["is_ready"]
    assert (answers["dtype"], answers["pairs"], answers["total_cost"]) == ("int64", [[0, 1], [1, 0]], [3.0])
    assert answers["inputs"] == [["cost", "FP32", [-1, -1]]]
    assert answers["answered"] >= 1
    assert answers["refusal"].startswith("StatusCode.INVALID_ARGUMENT cost: holds NaN")


def test_an_evaluation_over_the_wire_is_that_of_the_operation(stub: Any) -> None:
    rng = np.random.default_rng(0)
    evaluator = DetectionEvaluator()
    messages = []
    for first in range(0, 300, 50):
        images = []
        for place in range(first, first + 50):
            corners = rng.uniform(0, 500, (8, 2))
            truth = np.concatenate([corners, corners + rng.uniform(5, 120, (8, 2))], axis=1)
            found = np.concatenate([truth, truth]) + rng.normal(0, 4, (16, 4))
            found[:, 2:] = np.maximum(found[:, 2:], found[:, :2])
            classes, scores = rng.integers(0, 9, 8), rng.random(16).round(2)
            evaluator.add(
                GroundTruth(image_ids=np.full(8, place), labels=classes, boxes=truth),
                Detections(image_ids=np.full(16, place), labels=np.tile(classes, 2), scores=scores, boxes=found),
            )
            images.append(
                pb.EvaluationImage(
                    truth_xyxy_px=truth.ravel(),
                    truth_class_ids=classes,
                    detection_xyxy_px=found.ravel(),
                    detection_class_ids=np.tile(classes, 2),
                    detection_scores=scores,
                )
            )
        messages.append(pb.EvaluateRequest(images=images))
    response = stub.Evaluate(iter(messages), timeout=60)
    assert response.image_count == 300
    assert [value for _, value in response.summary.ListFields()] == list(evaluator.metrics().summary.values())


def test_a_message_above_the_limit_is_refused_and_the_service_goes_on(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Assign(assign_request(4200), timeout=60)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    test_points_are_matched(stub)


def test_a_large_problem_misses_its_deadline_and_keeps_nobody_out(tmp_path: Path) -> None:
    """While the one thread for large problems is taken, small ones are answered, and large ones give up in time."""
    with ServiceProcess("matching", tmp_path / "service.log", {"RETINUE_SOLVING__WORKERS": "1"}) as service:
        with grpc.insecure_channel(service.target) as own:
            stub = matching_pb2_grpc.MatchingServiceStub(own)
            large = stub.Assign.future(assign_request(3000), timeout=120)
            with pytest.raises(grpc.RpcError) as caught:
                stub.Assign(assign_request(1000), timeout=0.2)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            for _ in range(20):
                stub.MatchPoints(POINTS, timeout=10)
            is_still_solving = not large.done()
            large.cancel()
            assert is_still_solving
        assert service.stop() == 0


def crowded_request() -> pb.MatchPointsRequest:
    """Return 400 clusters of 240 points each, all of a cluster within reach of each other, on either side."""
    rng = np.random.default_rng(0)
    centres = np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).reshape(-1, 2) * 100.0
    a, b = (np.repeat(centres, 240, axis=0) + rng.uniform(0, 6, (96_000, 2)) for _ in range(2))
    return pb.MatchPointsRequest(problems=[pb.PointsProblem(a_xy=a.ravel(), b_xy=b.ravel(), radius=9.0)])


def dropped(service: ServiceProcess, reason: str) -> float:
    with urllib.request.urlopen(f"http://{service.http}/metrics", timeout=10) as response:
        families = {one.name: one for one in text_string_to_metric_families(response.read().decode())}
    return next(one.value for one in families["retinue_rejected"].samples if one.labels.get("reason") == reason)


@pytest.mark.slow
def test_a_problem_of_many_parts_that_nobody_waits_for_frees_its_thread(tmp_path: Path) -> None:
    """Whether its deadline passes or its caller leaves: the one thread is soon there for the next large problem."""
    request = crowded_request()
    with ServiceProcess("matching", tmp_path / "service.log", {"RETINUE_SOLVING__WORKERS": "1"}) as service:
        options = [("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(service.target, options) as own:
            stub = matching_pb2_grpc.MatchingServiceStub(own)
            whole_s = stub.MatchPoints(request, timeout=120).solve_time.ToNanoseconds() / 1e9
            for reason in ("deadline", "cancelled"):
                call = stub.MatchPoints.future(request, timeout=whole_s / 4 if reason == "deadline" else 120)
                time.sleep(whole_s / 4)  # the call is under way: it is read in a tenth of that
                if reason == "cancelled":
                    call.cancel()
                begin_s = time.monotonic()
                stub.Assign(assign_request(600), timeout=60)
                waited_s = time.monotonic() - begin_s
                assert dropped(service, reason) == 1
                assert waited_s < whole_s / 2
        assert service.stop() == 0


def test_sigterm_under_load_loses_no_answer(tmp_path: Path) -> None:
    def caller(channel: grpc.Channel) -> Callable[[], object]:
        stub = matching_pb2_grpc.MatchingServiceStub(channel)
        return lambda: stub.MatchPoints(POINTS, timeout=10)

    with ServiceProcess("matching", tmp_path / "service.log") as service:
        codes = codes_under_sigterm(service, [caller] * 4, answers=200)
        assert service.wait() == 0
        events = [event["event"] for event in service.events()]
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    assert events.index("draining") < events.index("stopped")


def test_settings_that_nothing_reads_are_refused(tmp_path: Path) -> None:
    process = ServiceProcess("matching", tmp_path / "service.log", {"RETINUE_ENGINE__WORKERS": "2"})
    with pytest.raises(ServiceFailed, match="RETINUE_ENGINE__WORKERS"), process:
        pass
    assert process.wait() == 2
