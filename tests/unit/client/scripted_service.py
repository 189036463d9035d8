"""A classification service on a real port whose answers each test writes itself."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from retinue.classification.v1 import classification_pb2 as pb
from retinue.classification.v1 import classification_pb2_grpc
from retinue.common.v1 import image_pb2, model_pb2


def answer(image_id: str = "", *, name: str = "cat", score: float = 0.75) -> pb.ClassifyResponse:
    """Return a complete answer."""
    millisecond = duration_pb2.Duration(nanos=1_000_000)
    return pb.ClassifyResponse(
        image_id=image_id,
        labels=[
            pb.ScoredLabel(label=model_pb2.Label(id=3, name=name), score=score),
            pb.ScoredLabel(label=model_pb2.Label(id=0, name="dog"), score=0.125),
        ],
        unknown_score=0.5,
        is_unknown=False,
        image_info=image_pb2.ImageInfo(
            width=40, height=30, exif_orientation=6, is_orientation_applied=True, format=image_pb2.IMAGE_FORMAT_JPEG
        ),
        model=model_pb2.ModelRef(name="pets", version="2"),
        timings=model_pb2.Timings(queue=millisecond, infer=duration_pb2.Duration(seconds=1), batch_size=4),
    )


def error_status(
    code: int = code_pb2.INVALID_ARGUMENT, reason: str = "INVALID_IMAGE", retry_after_s: float | None = None
) -> status_pb2.Status:
    """Return a status with the details that the services send."""
    info, retry = any_pb2.Any(), any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="retinue", metadata={"field": "image"}))
    details = [info]
    if retry_after_s is not None:
        nanos = round(retry_after_s * 1e9)
        retry.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=nanos)))
        details.append(retry)
    return status_pb2.Status(code=code, message="image: it cannot be read", details=details)


def failing(image_id: str = "", status: status_pb2.Status | None = None) -> pb.ClassifyResult:
    """Return the result of a picture that failed."""
    return pb.ClassifyResult(image_id=image_id, error=error_status() if status is None else status)


def result_for(image: image_pb2.Image) -> pb.ClassifyResult:
    """Return an answer, or an error for pictures whose bytes are ``bad``."""
    if image.encoded == b"bad":
        return failing(image.id)
    return pb.ClassifyResult(image_id=image.id, response=answer(image.id))


def _classify(request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
    return answer(request.image.id)


def _batch(request: pb.BatchClassifyRequest, context: grpc.ServicerContext) -> pb.BatchClassifyResponse:
    return pb.BatchClassifyResponse(results=[result_for(image) for image in request.images])


def _stream(
    requests: Iterator[pb.ClassifyStreamRequest], context: grpc.ServicerContext
) -> Iterator[pb.ClassifyStreamResponse]:
    for request in requests:
        yield pb.ClassifyStreamResponse(result=result_for(request.request.image))


@dataclass
class Record:
    """Keeps what a service was asked."""

    requests: list[Any] = field(default_factory=list)
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    times_remaining_s: list[float | None] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    """For handlers that hang: set when the test is over."""

    def keep(self, request: Any, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.times_remaining_s.append(context.time_remaining())


@dataclass
class ScriptedService(Record, classification_pb2_grpc.ClassificationServiceServicer):
    """Keeps what it was asked and answers by functions that a test may replace."""

    on_classify: Callable[[Any, grpc.ServicerContext], Any] = _classify
    on_batch: Callable[[Any, grpc.ServicerContext], Any] = _batch
    on_stream: Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]] = _stream

    def Classify(self, request: pb.ClassifyRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        self.keep(request, context)
        return self.on_classify(request, context)

    def BatchClassify(self, request: pb.BatchClassifyRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.keep(request, context)
        return self.on_batch(request, context)

    def ClassifyStream(  # noqa: N802
        self, request_iterator: Iterator[pb.ClassifyStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        self.keep(None, context)
        yield from self.on_stream(request_iterator, context)


@dataclass
class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # grpc_health ships no types
    """Says whether calls are welcome; the stock servicer can lock up when a watcher leaves as it is told."""

    is_ready: bool

    def Watch(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802 - gRPC's name
        status = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        if request.service == "retinue.readiness":
            status = health_pb2.HealthCheckResponse.ServingStatus.Value("SERVING" if self.is_ready else "NOT_SERVING")
        yield health_pb2.HealthCheckResponse(status=status)
        is_left = threading.Event()
        if context.add_callback(is_left.set):
            is_left.wait()


@dataclass
class Running:
    """A service that is being served."""

    service: ScriptedService
    address: str


@contextmanager
def running(*, is_ready: bool = True) -> Iterator[Running]:
    """Serve a fresh scripted service on a free port."""
    service = ScriptedService()
    add = classification_pb2_grpc.add_ClassificationServiceServicer_to_server
    with listening(lambda server: add(service, server), service.released, is_ready=is_ready) as address:
        yield Running(service, address)


@contextmanager
def listening(add: Callable[[grpc.Server], None], released: threading.Event, *, is_ready: bool = True) -> Iterator[str]:
    """Serve what is added, and its health, on a free port; give its address, and at the end release what hangs."""
    pool = ThreadPoolExecutor(max_workers=16)  # each connection's health watch holds one
    server = grpc.server(pool)
    add(server)
    health_pb2_grpc.add_HealthServicer_to_server(Health(is_ready), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        released.set()
        server.stop(None).wait()
        pool.shutdown()
