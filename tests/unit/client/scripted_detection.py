"""A detection service on a real port whose answers each test writes itself."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import duration_pb2

from retinue.common.v1 import geometry_pb2, image_pb2, model_pb2
from retinue.detection.v1 import detection_pb2 as pb
from retinue.detection.v1 import detection_pb2_grpc
from tests.unit.client.scripted_service import Record, error_status, listening

COIN = (0, "coin", 0.75, (1.5, 2.0, 20.25, 25.0))
CELL = (1, "red cell", 0.5, (10.0, 12.0, 40.0, 30.0))


def answer(
    image_id: str = "",
    found: Sequence[tuple[int, str, float, tuple[float, float, float, float]]] = (COIN, CELL),
    *,
    size: tuple[int, int] = (40, 30),
) -> pb.DetectResponse:
    """Return a complete answer for a picture of this width and height."""
    return pb.DetectResponse(
        image_id=image_id,
        detections=[
            pb.Detection(
                box=geometry_pb2.BoundingBox(x_min=box[0], y_min=box[1], x_max=box[2], y_max=box[3]),
                label=model_pb2.Label(id=label_id, name=name),
                score=score,
            )
            for label_id, name, score, box in found
        ],
        image_info=image_pb2.ImageInfo(
            width=size[0], height=size[1], exif_orientation=1, format=image_pb2.IMAGE_FORMAT_PNG
        ),
        model=model_pb2.ModelRef(name="rounds", version="2"),
        timings=model_pb2.Timings(
            queue=duration_pb2.Duration(nanos=1_000_000), infer=duration_pb2.Duration(seconds=1), batch_size=4
        ),
    )


def result_for(image: image_pb2.Image) -> pb.DetectResult:
    """Return an answer, or an error for pictures whose bytes are ``bad``."""
    if image.encoded == b"bad":
        return pb.DetectResult(image_id=image.id, error=error_status())
    return pb.DetectResult(image_id=image.id, response=answer(image.id))


def _detect(request: pb.DetectRequest, context: grpc.ServicerContext) -> pb.DetectResponse:
    return answer(request.image.id)


def _batch(request: pb.BatchDetectRequest, context: grpc.ServicerContext) -> pb.BatchDetectResponse:
    return pb.BatchDetectResponse(results=[result_for(image) for image in request.images])


def _stream(request: pb.DetectStreamRequest) -> pb.DetectStreamResponse:
    return pb.DetectStreamResponse(result=result_for(request.request.image))


@dataclass
class ScriptedDetection(Record, detection_pb2_grpc.DetectionServiceServicer):
    """Keeps what it was asked, every picture of a stream included, and answers by functions that a test may replace."""

    on_detect: Callable[[Any, grpc.ServicerContext], Any] = _detect
    on_batch: Callable[[Any, grpc.ServicerContext], Any] = _batch
    on_streamed: Callable[[Any], Any] = _stream

    def Detect(self, request: pb.DetectRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        self.keep(request, context)
        return self.on_detect(request, context)

    def BatchDetect(self, request: pb.BatchDetectRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.keep(request, context)
        return self.on_batch(request, context)

    def DetectStream(  # noqa: N802
        self, request_iterator: Iterator[pb.DetectStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        for request in request_iterator:
            self.keep(request, context)
            yield self.on_streamed(request)


@dataclass
class RunningDetection:
    """A service that is being served."""

    service: ScriptedDetection
    address: str


@contextmanager
def running_detection() -> Iterator[RunningDetection]:
    """Serve a fresh scripted service on a free port."""
    service = ScriptedDetection()
    add = detection_pb2_grpc.add_DetectionServiceServicer_to_server
    with listening(lambda server: add(service, server), service.released) as address:
        yield RunningDetection(service, address)
