"""A real service that sends its traces over OTLP to a collector, which is a stub on the SDK's own protos."""

import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest

from loadtests.service_process import ServiceProcess
from retinue.classification.v1 import classification_pb2 as pb
from retinue.classification.v1 import classification_pb2_grpc
from retinue.common.v1 import image_pb2
from retinue.oip import open_inference_pb2 as oip
from retinue.oip import open_inference_pb2_grpc

pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc", reason="the extra tracing is not installed")

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
METADATA = (("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-01"),)
STAGES = ["queue", "decode", "preprocess", "infer", "postprocess"]


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: SimpleQueue[Any] = SimpleQueue()

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802 - gRPC's
        self.requests.put(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    def spans(self) -> Sequence[Any]:
        found = []
        while not self.requests.empty():
            for resource in self.requests.get().resource_spans:
                assert [
                    one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
                ] == ["retinue.classification"]
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    servicer, server = Collector(), grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None).wait()


def infer_request(encoded: bytes) -> oip.ModelInferRequest:
    """Return the request of the Open Inference Protocol, with a deadline of its own, for the answer to one picture."""
    request = oip.ModelInferRequest(raw_input_contents=[struct.pack("<I", len(encoded)) + encoded])
    request.inputs.add(name="image", datatype="BYTES", shape=[1])
    request.parameters["timeout"].int64_param = 20_000_000
    return request


def test_each_stage_of_each_picture_comes_to_the_collector_in_its_callers_trace(
    collector: tuple[Collector, str], samples: list[Path], tmp_path: Path
) -> None:
    """What waits is handed over when the service ends."""
    stub, endpoint = collector
    images = [image_pb2.Image(encoded=path.read_bytes(), id=path.name) for path in samples[:3]]
    environment = {"RETINUE_TRACING__ENDPOINT": endpoint}
    with (
        ServiceProcess("classification", tmp_path / "service.log", environment) as service,
        grpc.insecure_channel(service.target) as channel,
    ):
        classification = classification_pb2_grpc.ClassificationServiceStub(channel)
        classification.Classify(pb.ClassifyRequest(image=images[0]), metadata=METADATA)
        classification.BatchClassify(pb.BatchClassifyRequest(images=images), metadata=METADATA)
        face = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        face.ModelInfer(infer_request(images[0].encoded), metadata=METADATA)
        list(face.ModelStreamInfer(iter([infer_request(image.encoded) for image in images[:2]]), metadata=METADATA))
        assert service.stop() == 0
        logged = [event for event in service.events() if event.get("event") == "rpc_ended"]
    spans = stub.spans()
    calls = {span.name.rpartition("/")[2]: span for span in spans if span.kind == span.SPAN_KIND_SERVER}
    assert calls.keys() == {"Classify", "BatchClassify", "ModelInfer", "ModelStreamInfer"}
    assert {span.trace_id.hex() for span in spans} == {TRACE_ID} == {event["trace_id"] for event in logged}
    assert {span.parent_span_id.hex() for span in calls.values()} == {PARENT_ID}
    for name, count in (("Classify", 1), ("BatchClassify", 3), ("ModelInfer", 1), ("ModelStreamInfer", 2)):
        call = calls[name]
        children = [span for span in spans if span.parent_span_id == call.span_id]
        assert [span.name for span in children] == STAGES * count
        for item in range(count):
            stages = children[item * 5 : item * 5 + 5]
            assert call.start_time_unix_nano <= stages[0].start_time_unix_nano
            for earlier, later in pairwise(stages):
                assert earlier.end_time_unix_nano <= later.start_time_unix_nano + 2000  # epoch seconds as float: 0.2 µs
            assert stages[-1].end_time_unix_nano <= call.end_time_unix_nano


def test_a_collector_that_is_not_there_harms_no_call_and_no_end(samples: list[Path], tmp_path: Path) -> None:
    environment = {"RETINUE_TRACING__ENDPOINT": "127.0.0.1:1"}
    with (
        ServiceProcess("classification", tmp_path / "service.log", environment) as service,
        grpc.insecure_channel(service.target) as channel,
    ):
        stub = classification_pb2_grpc.ClassificationServiceStub(channel)
        image = image_pb2.Image(encoded=samples[0].read_bytes())
        assert stub.Classify(pb.ClassifyRequest(image=image), timeout=20).labels
        service.terminate()
        assert service.wait(timeout_s=15) == 0
