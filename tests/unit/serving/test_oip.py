"""The Open Inference Protocol over a real channel, with the real interceptor and a model small enough to read."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from retinue.oip import open_inference_pb2 as oip
from retinue.oip.open_inference_pb2_grpc import (
    GRPCInferenceServiceStub,
    add_GRPCInferenceServiceServicer_to_server,
)
from retinue.runtime.caller import Caller
from retinue.runtime.errors import BackendFailed, Cancelled, InvalidInput, ModelNotFound, ModelNotReady, Overloaded
from retinue.serving.interceptor import RpcInterceptor
from retinue.serving.metrics import Metrics
from retinue.serving.oip import OpenInferenceServicer
from retinue.serving.pool import HandlerPool
from retinue.serving.tensor_model import (
    ComputeTime,
    CountedTime,
    ModelIndexEntry,
    ModelStatistics,
    TensorModel,
    TensorSpec,
)

INTERNALS = "/a/path/that/nobody/should/see"


class Double:
    """Doubles what it is given; some values make it fail, and one makes it wait until its caller goes away."""

    name = "double"
    platform = "test_platform"
    inputs = (TensorSpec("x", "FP32", (-1, 2)), TensorSpec("note", "BYTES", (-1, 1)))
    outputs = (TensorSpec("y", "FP32", (-1, 2)),)
    failures: Mapping[float, Exception] = {
        13.0: InvalidInput("x", "13 brings bad luck"),
        14.0: Overloaded("the queue is full", retry_after_s=0.5, cause="queue_full"),
        15.0: BackendFailed(INTERNALS),
        16.0: ValueError(INTERNALS),
    }

    def __init__(self, version: str, max_batch_size: int = 8) -> None:
        self.version = version
        self.max_batch_size = max_batch_size
        self.priorities: list[str] = []
        self.is_waiting = threading.Event()
        self.was_cancelled = threading.Event()

    def labels(self, output: str) -> tuple[str, ...] | None:
        return {"y": ("left", "right")}.get(output)

    def infer(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Collection[str], caller: Caller
    ) -> Mapping[str, NDArray[Any]]:
        first = float(inputs["x"][0, 0])
        self.priorities.append(caller.priority)
        if first == 17.0:
            caller.on_cancel(self.was_cancelled.set)
            self.is_waiting.set()
            self.was_cancelled.wait(10)
            raise Cancelled("the caller went away")
        if first in self.failures:
            raise self.failures[first]
        return dict.fromkeys(outputs, inputs["x"] * 2)

    def statistics(self) -> ModelStatistics:
        return ModelStatistics(
            success=CountedTime(3, 300),
            fail=CountedTime(1, 10),
            queue=CountedTime(4, 40),
            compute=ComputeTime(3, 30, 60, 90),
            inference_count=5,
            execution_count=2,
            last_inference_ms=1_700_000_000_000,
            batches={4: ComputeTime(1, 1, 2, 3), 1: ComputeTime(1, 4, 5, 6)},
        )


class Doubles:
    """Two versions that are ready, and a model that is not."""

    def __init__(self) -> None:
        self.is_ready = True
        self.models = {version: Double(version) for version in ("1", "2")}

    def get(self, name: str, version: str) -> TensorModel:
        if name == "broken":
            raise ModelNotReady("model broken is loading")
        if name != "double" or version not in ("", *self.models):
            raise ModelNotFound(f"no model {name}@{version}")
        return self.models[version or "2"]

    def index(self) -> Sequence[ModelIndexEntry]:
        ready = [ModelIndexEntry("double", version, is_ready=True) for version in self.models]
        return [*ready, ModelIndexEntry("broken", "1", is_ready=False, reason="loading")]


@pytest.fixture(scope="module")
def models() -> Doubles:
    return Doubles()


@pytest.fixture(scope="module")
def stub(models: Doubles) -> Iterator[GRPCInferenceServiceStub]:
    with HandlerPool(4) as pool:
        interceptor = RpcInterceptor(Metrics(CollectorRegistry()), pool)
        server = grpc.server(pool, interceptors=[interceptor])
        add_GRPCInferenceServiceServicer_to_server(OpenInferenceServicer(models), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield GRPCInferenceServiceStub(channel)
        server.stop(None).wait()


def request_of(value: float = 1, **fields: Any) -> oip.ModelInferRequest:
    """Return a request to double [value, 5]."""
    request = oip.ModelInferRequest(**({"model_name": "double", "id": f"r{value:g}"} | fields))
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    request.inputs.add(name="note", datatype="BYTES", shape=[1, 1])
    request.raw_input_contents.extend([np.array([value, 5], "<f4").tobytes(), b"\x02\x00\x00\x00hi"])
    return request


def code_of(caught: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.StatusCode:
    code: grpc.StatusCode = caught.value.code()
    return code


def test_server_is_live(stub: GRPCInferenceServiceStub) -> None:
    assert stub.ServerLive(oip.ServerLiveRequest()).live


@pytest.mark.parametrize("is_ready", [True, False])
def test_server_is_ready_when_its_models_are(
    stub: GRPCInferenceServiceStub,
    models: Doubles,
    monkeypatch: pytest.MonkeyPatch,
    is_ready: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(models, "is_ready", is_ready)
    assert stub.ServerReady(oip.ServerReadyRequest()).ready == is_ready


@pytest.mark.parametrize(
    ("name", "version", "is_ready"), [("double", "", True), ("double", "1", True), ("broken", "", False)]
)
def test_known_model_says_whether_it_is_ready(
    stub: GRPCInferenceServiceStub,
    name: str,
    version: str,
    is_ready: bool,  # noqa: FBT001
) -> None:
    assert stub.ModelReady(oip.ModelReadyRequest(name=name, version=version)).ready == is_ready


@pytest.mark.parametrize(("name", "version"), [("triple", ""), ("double", "3")])
def test_unknown_model_is_not_found_by_any_call(stub: GRPCInferenceServiceStub, name: str, version: str) -> None:
    calls: tuple[tuple[Any, Any], ...] = (
        (stub.ModelReady, oip.ModelReadyRequest(name=name, version=version)),
        (stub.ModelMetadata, oip.ModelMetadataRequest(name=name, version=version)),
        (stub.ModelConfig, oip.ModelConfigRequest(name=name, version=version)),
        (stub.ModelStatistics, oip.ModelStatisticsRequest(name=name, version=version)),
        (stub.ModelInfer, request_of(model_name=name, model_version=version)),
    )
    for call, request in calls:
        with pytest.raises(grpc.RpcError) as caught:
            call(request)
        assert code_of(caught) is grpc.StatusCode.NOT_FOUND


def test_server_metadata_name_only_extensions_that_work(stub: GRPCInferenceServiceStub) -> None:
    metadata = stub.ServerMetadata(oip.ServerMetadataRequest())
    assert metadata.name == "retinue"
    assert metadata.version
    assert list(metadata.extensions) == ["classification", "model_configuration", "statistics"]


def test_model_metadata_hold_tensors_with_their_batch_dimension(stub: GRPCInferenceServiceStub) -> None:
    metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name="double"))
    assert (metadata.name, list(metadata.versions), metadata.platform) == ("double", ["1", "2"], "test_platform")
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.inputs] == [
        ("x", "FP32", [-1, 2]),
        ("note", "BYTES", [-1, 1]),
    ]
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.outputs] == [("y", "FP32", [-1, 2])]


def test_model_config_leaves_the_batch_dimension_out(stub: GRPCInferenceServiceStub) -> None:
    config = stub.ModelConfig(oip.ModelConfigRequest(name="double")).config
    assert (config.name, config.platform, config.max_batch_size) == ("double", "test_platform", 8)
    assert [(one.name, one.data_type, list(one.dims)) for one in config.input] == [
        ("x", oip.TYPE_FP32, [2]),
        ("note", oip.TYPE_STRING, [1]),
    ]
    assert [(one.name, one.data_type, list(one.dims)) for one in config.output] == [("y", oip.TYPE_FP32, [2])]
    assert config.HasField("dynamic_batching")
    assert not config.model_transaction_policy.decoupled
    assert not config.response_cache.enable


def test_model_config_without_batch_keeps_all_dimensions(
    stub: GRPCInferenceServiceStub, models: Doubles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.models["1"], "max_batch_size", 0)
    config = stub.ModelConfig(oip.ModelConfigRequest(name="double", version="1")).config
    assert (config.max_batch_size, list(config.input[0].dims)) == (0, [-1, 2])
    assert not config.HasField("dynamic_batching")


def test_statistics_have_equal_compute_counts(stub: GRPCInferenceServiceStub) -> None:
    """Load generators refuse statistics whose three counts differ."""
    (statistics,) = stub.ModelStatistics(oip.ModelStatisticsRequest(name="double")).model_stats
    stats = statistics.inference_stats
    assert (statistics.name, statistics.version, statistics.last_inference) == ("double", "2", 1_700_000_000_000)
    assert (statistics.inference_count, statistics.execution_count) == (5, 2)
    assert [(stats.success.count, stats.success.ns), (stats.fail.count, stats.fail.ns)] == [(3, 300), (1, 10)]
    assert (stats.queue.count, stats.queue.ns) == (4, 40)
    compute = (stats.compute_input, stats.compute_infer, stats.compute_output)
    assert [(one.count, one.ns) for one in compute] == [(3, 30), (3, 60), (3, 90)]
    assert [(one.batch_size, one.compute_infer.ns) for one in statistics.batch_stats] == [(1, 5), (4, 2)]


def test_statistics_without_name_are_those_of_all_ready_models(stub: GRPCInferenceServiceStub) -> None:
    statistics = stub.ModelStatistics(oip.ModelStatisticsRequest()).model_stats
    assert [(one.name, one.version) for one in statistics] == [("double", "1"), ("double", "2")]


def test_repository_index_holds_every_model(stub: GRPCInferenceServiceStub) -> None:
    index = stub.RepositoryIndex(oip.RepositoryIndexRequest()).models
    assert [(one.name, one.version, one.state, one.reason) for one in index] == [
        ("double", "1", "READY", ""),
        ("double", "2", "READY", ""),
        ("broken", "1", "UNAVAILABLE", "loading"),
    ]
    ready = stub.RepositoryIndex(oip.RepositoryIndexRequest(ready=True)).models
    assert [one.name for one in ready] == ["double", "double"]


def test_loading_and_unloading_are_not_implemented(stub: GRPCInferenceServiceStub) -> None:
    calls: tuple[tuple[Any, Any], ...] = (
        (stub.RepositoryModelLoad, oip.RepositoryModelLoadRequest(model_name="double")),
        (stub.RepositoryModelUnload, oip.RepositoryModelUnloadRequest(model_name="double")),
    )
    for call, request in calls:
        with pytest.raises(grpc.RpcError) as caught:
            call(request)
        assert code_of(caught) is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(("asked", "answered"), [("", "2"), ("1", "1")])
def test_inference_answers_with_the_version_that_was_asked(
    stub: GRPCInferenceServiceStub, asked: str, answered: str
) -> None:
    response = stub.ModelInfer(request_of(3, model_version=asked))
    assert (response.id, response.model_name, response.model_version) == ("r3", "double", answered)
    assert np.frombuffer(response.raw_output_contents[0], "<f4").tolist() == [6, 10]
    assert not response.parameters


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        (13, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT"),
        (14, grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
        (15, grpc.StatusCode.INTERNAL, "INTERNAL"),
        (16, grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
def test_failed_inference_is_a_status(
    stub: GRPCInferenceServiceStub, value: float, code: grpc.StatusCode, reason: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request_of(value))
    assert code_of(caught) is code
    assert INTERNALS not in str(caught.value)
    info = ErrorInfo()
    assert rpc_status.from_call(caught.value).details[0].Unpack(info)
    assert info.reason == reason


def test_inference_of_a_loading_model_is_unavailable(stub: GRPCInferenceServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request_of(model_name="broken"))
    assert code_of(caught) is grpc.StatusCode.UNAVAILABLE


def test_stream_answers_in_order_and_outlives_errors(stub: GRPCInferenceServiceStub) -> None:
    requests = [
        request_of(1),
        request_of(13),
        request_of(14),
        request_of(15),
        request_of(model_name="none"),
        request_of(2),
    ]
    responses = list(stub.ModelStreamInfer(iter(requests)))
    assert [one.infer_response.id for one in responses] == [one.id for one in requests]
    assert [one.error_message for one in responses[:3]] == ["", "x: 13 brings bad luck", "the queue is full"]
    assert responses[3].error_message.startswith("internal error; quote request id")
    assert responses[4].error_message == "no model none@"
    assert responses[5].error_message == ""
    assert responses[5].infer_response.parameters["triton_final_response"].bool_param
    assert np.frombuffer(responses[5].infer_response.raw_output_contents[0], "<f4").tolist() == [4, 10]


def test_stream_ends_with_a_status_if_the_caller_wants_one(stub: GRPCInferenceServiceStub) -> None:
    responses = stub.ModelStreamInfer(
        iter([request_of(1), request_of(13), request_of(2)]), metadata=(("triton_grpc_error", "true"),)
    )
    assert next(responses).infer_response.id == "r1"
    with pytest.raises(grpc.RpcError) as caught:
        next(responses)
    assert code_of(caught) is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "x: 13 brings bad luck"


def test_requests_have_the_priority_of_their_call(stub: GRPCInferenceServiceStub, models: Doubles) -> None:
    seen = models.models["2"].priorities
    seen.clear()
    stub.ModelInfer(request_of(1), metadata=(("x-priority", "high"),))
    list(stub.ModelStreamInfer(iter([request_of(1)]), metadata=(("x-priority", "high"),)))
    stub.ModelInfer(request_of(1))
    assert seen == ["high", "high", "normal"]


def test_empty_stream_ends_well(stub: GRPCInferenceServiceStub) -> None:
    assert list(stub.ModelStreamInfer(iter([]))) == []


def test_cancelled_stream_cancels_the_request_under_way(stub: GRPCInferenceServiceStub, models: Doubles) -> None:
    """The second request is the one to be cancelled: each has a caller of its own."""
    responses = stub.ModelStreamInfer(iter([request_of(1), request_of(17)]))
    next(responses)
    assert models.models["2"].is_waiting.wait(10)
    responses.cancel()
    assert models.models["2"].was_cancelled.wait(10)
