"""The edge: requests checked and turned into items, answers into messages; it and `options` know the wire."""

from collections.abc import Iterator

import grpc

from retinue.common.v1 import geometry_pb2, image_pb2, model_pb2
from retinue.detection.v1 import detection_pb2 as pb
from retinue.detection.v1 import detection_pb2_grpc
from retinue.runtime.deferred import Deferred
from retinue.runtime.errors import InvalidInput
from retinue.runtime.models import Models
from retinue.runtime.picture import Picture, PictureInfo
from retinue.runtime.slots import Slots
from retinue.runtime.view import WholePicture
from retinue.serving.call import Call, current_call
from retinue.serving.image_edge import ImageEdge
from retinue.serving.item import Begun
from retinue.serving.metrics import Metrics
from retinue.serving.stream import OrderedStream
from retinue.serving.wire import image_info_of, model_ref_of, timings_of
from services.detection.detections import DetectionItem, DetectionOptions, Detections
from services.detection.options import options_of, tiling_of
from services.detection.pipeline import detection_manifest_of
from services.detection.settings import DetectionSettings
from services.detection.tiling import DetectionEngine, DetectionTicket, TiledPicture, Tiling


class Asked:
    """One picture that is looked at: what was sent, and what is waited for."""

    __slots__ = ("info", "pending")

    def __init__(self, info: PictureInfo, pending: DetectionTicket | Deferred[Detections]) -> None:
        self.info = info
        self.pending = pending

    def wait_error(self) -> BaseException | None:
        """Return, as soon as it is settled, why there is no answer; None where there is one."""
        return self.pending.wait_error()


class DetectionServicer(detection_pb2_grpc.DetectionServiceServicer):
    """Answers the RPCs of `retinue.detection.v1.DetectionService`.

    Args:
        models: the engines.
        metrics: where pictures are counted.
        settings: limits on pictures, batches and tiles.
    """

    def __init__(
        self, models: Models[DetectionItem, Detections], metrics: Metrics, settings: DetectionSettings
    ) -> None:
        self._edge = ImageEdge(models, metrics, settings)
        self._max_tile_count = settings.tiling.max_tile_count
        self._slots = Slots(settings.tiling.max_picture_count)

    def Detect(
        self,
        request: pb.DetectRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.DetectResponse:
        """Find the things on one picture."""
        call = current_call()
        asked = self._submit(request, call)
        asked.pending.wait()
        timings = asked.pending.timings
        call.facts.update(queue_s=round(timings.queue_s, 6), batch_size=timings.batch_size)
        return _response_of(request.image.id, asked)

    def BatchDetect(
        self,
        request: pb.BatchDetectRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.BatchDetectResponse:
        """Find the things on several pictures, each answered or failed on its own."""
        call = current_call()
        engine = self._edge.engine(request.model, call)
        options, tiling = _checked(engine, request.options)

        def start(image: image_pb2.Image, field: str) -> Asked:
            return self._put(engine, self._edge.picture(image, field), options, tiling, call)

        begun = self._edge.begin_batch(request.images, start, call)
        return pb.BatchDetectResponse(results=[self._result_of(item, call) for item in begun])

    def DetectStream(
        self,
        request_iterator: Iterator[pb.DetectStreamRequest],
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> Iterator[pb.DetectStreamResponse]:
        """Find the things on pictures as they come, answers in the order of the requests."""
        call = current_call()

        def begin(message: pb.DetectStreamRequest) -> Begun[Asked]:
            return Begun.of(message.request.image.id, lambda: self._submit(message.request, call))

        for begun in OrderedStream(request_iterator, begin, call.caller):
            call.facts["item_count"] = call.facts.get("item_count", 0) + 1
            yield pb.DetectStreamResponse(result=self._result_of(begun, call))

    def _submit(self, request: pb.DetectRequest, call: Call) -> Asked:
        engine = self._edge.engine(request.model, call)
        options, tiling = _checked(engine, request.options)
        return self._put(engine, self._edge.picture(request.image, "image"), options, tiling, call)

    def _put(
        self, engine: DetectionEngine, picture: Picture, options: DetectionOptions, tiling: Tiling | None, call: Call
    ) -> Asked:
        """Return a picture on its way; one that is to be cut goes when it is waited for.

        Raises:
            InvalidInput: it would be cut into too many tiles.
            Overloaded: the queue is full.
        """
        if tiling is None:
            item = DetectionItem(WholePicture(picture), options)
            return Asked(picture.info, engine.submit(item, call.caller, byte_count=picture.byte_count))
        count, most = len(tiling.plan(picture.info.height, picture.info.width)), self._max_tile_count
        if count > most:
            size = f"{picture.info.width} x {picture.info.height} pixels"
            raise InvalidInput(
                "options.tiling.tile_size_px",
                f"cuts a picture of {size} into {count} tiles; at most {most} are allowed",
                limit=str(most),
            )
        return Asked(picture.info, Deferred(TiledPicture(engine, picture, options, tiling, call.caller, self._slots)))

    def _result_of(self, begun: Begun[Asked], call: Call) -> pb.DetectResult:
        failure = self._edge.failure(begun, call)
        if failure is not None or begun.ticket is None:
            return pb.DetectResult(image_id=begun.image_id, error=failure)
        return pb.DetectResult(image_id=begun.image_id, response=_response_of(begun.image_id, begun.ticket))


def _checked(engine: DetectionEngine, options: pb.DetectionOptions) -> tuple[DetectionOptions, Tiling | None]:
    return options_of(options, detection_manifest_of(engine.manifest)), tiling_of(options)


def _response_of(image_id: str, asked: Asked) -> pb.DetectResponse:
    found = asked.pending.wait()
    names = found.manifest.labels
    return pb.DetectResponse(
        image_id=image_id,
        detections=[
            pb.Detection(
                box=geometry_pb2.BoundingBox(x_min=x1, y_min=y1, x_max=x2, y_max=y2),
                label=model_pb2.Label(id=label_id, name=names[label_id]),
                score=score,
            )
            for (x1, y1, x2, y2), label_id, score in zip(
                found.boxes.tolist(), found.label_ids.tolist(), found.scores.tolist(), strict=True
            )
        ],
        image_info=image_info_of(asked.info),
        model=model_ref_of(found.manifest),
        timings=timings_of(asked.pending.timings),
    )
