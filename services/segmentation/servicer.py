"""The edge: requests checked and turned into items, answers into messages."""

from collections.abc import Iterator
from contextlib import closing

import grpc

from retinue.common.v1 import image_pb2
from retinue.runtime.deferred import Deferred
from retinue.runtime.errors import InvalidInput
from retinue.runtime.models import Models
from retinue.runtime.picture import Picture, PictureLimits
from retinue.runtime.slots import Slots
from retinue.runtime.view import WholePicture
from retinue.segmentation.v1 import segmentation_pb2 as pb
from retinue.segmentation.v1 import segmentation_pb2_grpc
from retinue.serving.arrivals import Arrivals
from retinue.serving.call import Call, current_call
from retinue.serving.image_edge import ImageEdge
from retinue.serving.item import Begun
from retinue.serving.metrics import Metrics
from retinue.serving.wire import MAX_ID_CHARACTERS, image_info_of, model_ref_of, timings_of
from services.segmentation.messages import class_map_png, class_regions, instance_of
from services.segmentation.options import Forms, forms_of, options_of, tiling_of
from services.segmentation.pipeline import segmentation_manifest_of
from services.segmentation.segmentations import Codes, Segmentation, SegmentationItem, SegmentationOptions, Thing
from services.segmentation.settings import SegmentationSettings
from services.segmentation.slide_stream import Slide, SlideStream
from services.segmentation.slides import check_windows, geometry_of
from services.segmentation.things import things_of
from services.segmentation.tiled import TiledPicture
from services.segmentation.windows import SegmentationEngine, SegmentationTicket, Tiling


class Asked:
    """One picture that is looked at: what was sent, what is waited for, and how it is to be written."""

    __slots__ = ("engine", "forms", "options", "pending", "picture")

    def __init__(
        self,
        engine: SegmentationEngine,
        picture: Picture,
        pending: SegmentationTicket | Deferred[tuple[Codes, list[Thing]]],
        options: SegmentationOptions,
        forms: Forms,
    ) -> None:
        self.engine = engine
        self.picture = picture
        self.pending = pending
        self.options = options
        self.forms = forms

    def wait_error(self) -> BaseException | None:
        """Return, as soon as it is settled, why there is no answer; None where there is one."""
        return self.pending.wait_error()


class SegmentationServicer(segmentation_pb2_grpc.SegmentationServiceServicer):
    """Answers the RPCs of `retinue.segmentation.v1.SegmentationService`.

    Args:
        models: the engines.
        metrics: where pictures are counted.
        settings: limits on pictures, batches and slides.
    """

    def __init__(
        self, models: Models[SegmentationItem, Segmentation], metrics: Metrics, settings: SegmentationSettings
    ) -> None:
        self._edge = ImageEdge(models, metrics, settings)
        self._slides = settings.slides
        # A tile may be raw: three bytes for each pixel that is allowed.
        self._tile_limits = PictureLimits(
            max_bytes=max(settings.images.max_bytes, 3 * settings.slides.max_tile_pixels),
            max_pixels=settings.slides.max_tile_pixels,
        )
        self._slots = Slots(settings.slides.max_picture_count)

    def Segment(
        self,
        request: pb.SegmentRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.SegmentResponse:
        """Segment one picture."""
        call = current_call()
        engine = self._edge.engine(request.model, call)
        asked = self._put(engine, self._edge.picture(request.image, "image"), request.options, call)
        asked.pending.wait()
        timings = asked.pending.timings
        call.facts.update(queue_s=round(timings.queue_s, 6), batch_size=timings.batch_size)
        return _response_of(request.image.id, asked)

    def BatchSegment(
        self,
        request: pb.BatchSegmentRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.BatchSegmentResponse:
        """Segment several pictures, each answered or failed on its own."""
        call = current_call()
        engine = self._edge.engine(request.model, call)
        self._checked(engine, request.options)

        def start(image: image_pb2.Image, field: str) -> Asked:
            return self._put(engine, self._edge.picture(image, field), request.options, call)

        begun = self._edge.begin_batch(request.images, start, call)
        return pb.BatchSegmentResponse(results=[self._result_of(item, call) for item in begun])

    def SegmentStream(
        self,
        request_iterator: Iterator[pb.SegmentStreamRequest],
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> Iterator[pb.SegmentStreamResponse]:
        """Segment a picture that comes tile by tile."""
        call = current_call()
        arrivals = Arrivals(request_iterator, call.caller, self._slides.stall_timeout_s)
        with closing(iter(arrivals)) as messages:
            slide = self._begun(messages, call)
            yield from slide.answers(messages, lambda: arrivals.is_next_there)

    def _begun(self, messages: Iterator[pb.SegmentStreamRequest], call: Call) -> SlideStream:
        """Return the stream that the first message of a caller begins."""
        first = next(messages, None)
        if first is None or first.WhichOneof("message") != "start":
            raise InvalidInput("message", "the first message must be start")
        start = first.start
        if len(start.image_id) > MAX_ID_CHARACTERS:
            problem = f"has {len(start.image_id)} characters; at most {MAX_ID_CHARACTERS} are allowed"
            raise InvalidInput("start.image_id", problem)
        engine = self._edge.engine(start.model, call)
        manifest = segmentation_manifest_of(engine.manifest)
        geometry = geometry_of(start.geometry, self._slides)
        tiling = tiling_of(start.options, manifest, "start.options")
        check_windows(geometry, tiling.tile_size_px, self._slides)
        slide = Slide(
            start.image_id,
            geometry,
            tiling,
            options_of(start.options, manifest, self._slides.max_instances, "start.options"),
            forms_of(start.options, manifest, "start.options"),
        )
        return SlideStream(engine, slide, self._tile_limits, call.caller)

    def _put(self, engine: SegmentationEngine, picture: Picture, options: pb.SegmentationOptions, call: Call) -> Asked:
        """Return a picture on its way; one that is looked at through windows goes when it is waited for."""
        chosen, forms, tiling = self._checked(engine, options)
        if tiling is not None:
            tiled = TiledPicture(engine, picture, chosen, tiling, call.caller, self._slots)
            return Asked(engine, picture, Deferred(tiled), chosen, forms)
        item = SegmentationItem(WholePicture(picture), chosen)
        ticket = engine.submit(item, call.caller, byte_count=picture.byte_count)
        return Asked(engine, picture, ticket, chosen, forms)

    def _checked(
        self, engine: SegmentationEngine, options: pb.SegmentationOptions
    ) -> tuple[SegmentationOptions, Forms, Tiling | None]:
        manifest = segmentation_manifest_of(engine.manifest)
        tiling = tiling_of(options, manifest) if options.HasField("tiling") else None
        return options_of(options, manifest, self._slides.max_instances), forms_of(options, manifest), tiling

    def _result_of(self, begun: Begun[Asked], call: Call) -> pb.SegmentResult:
        failure = self._edge.failure(begun, call)
        if failure is not None or begun.ticket is None:
            return pb.SegmentResult(image_id=begun.image_id, error=failure)
        return pb.SegmentResult(image_id=begun.image_id, response=_response_of(begun.image_id, begun.ticket))


def _response_of(image_id: str, asked: Asked) -> pb.SegmentResponse:
    answer = asked.pending.wait()
    if isinstance(answer, Segmentation):
        codes = answer.codes
        things = [] if answer.found is None else things_of(answer.found, asked.options)
    else:
        codes, things = answer
    labels, info, forms = asked.engine.manifest.labels, asked.picture.info, asked.forms
    return pb.SegmentResponse(
        image_id=image_id,
        classes=class_regions(codes, labels, forms.classes),
        class_map_png=class_map_png(codes, forms.classes),
        instances=[instance_of(thing, labels, forms.masks, (info.height, info.width)) for thing in things],
        image_info=image_info_of(info),
        model=model_ref_of(asked.engine.manifest),
        timings=timings_of(asked.pending.timings),
    )
