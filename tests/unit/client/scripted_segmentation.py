"""A segmentation service on a real port whose answers each test writes itself."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from google.protobuf import duration_pb2
from numpy.typing import NDArray

from retinue.common.v1 import geometry_pb2, image_pb2, model_pb2
from retinue.ops import rle_encode, rle_to_string
from retinue.segmentation.v1 import segmentation_pb2 as pb
from retinue.segmentation.v1 import segmentation_pb2_grpc
from tests.unit.client.scripted_service import Record, error_status, listening

LABELS = ("background", "coin", "token")
WIDTH, HEIGHT = 40, 30


def things() -> NDArray[np.int32]:
    """Return a label map [30, 40] of three things: 1 and 2 touch, 3 has a hole and ends at the picture's edge."""
    label_map = np.zeros((HEIGHT, WIDTH), np.int32)
    label_map[4:12, 5:15] = 1
    label_map[4:12, 15:20] = 2
    label_map[15:30, 22:40] = 3
    label_map[20:24, 28:33] = 0
    return label_map


CLASS_OF = (0, 1, 2, 1)
"""The class of each number in `things`."""


def coco(mask: NDArray[Any]) -> geometry_pb2.CocoRle:
    """Return a mask as it is sent."""
    runs = rle_encode(mask)
    return geometry_pb2.CocoRle(height=runs.height, width=runs.width, counts=rle_to_string(runs))


def regions(classes: NDArray[Any], labels: Sequence[str] = LABELS) -> list[pb.ClassRegion]:
    """Return the classes of a map as they are sent."""
    return [
        pb.ClassRegion(
            label=model_pb2.Label(id=class_id, name=name),
            pixel_count=int((classes == class_id).sum()),
            mask=coco(classes == class_id),
        )
        for class_id, name in enumerate(labels)
    ]


def answer(image_id: str = "", label_map: NDArray[np.int32] | None = None) -> pb.SegmentResponse:
    """Return a complete answer about things, the classes of which are as `CLASS_OF` says."""
    label_map = things() if label_map is None else label_map
    classes = np.array(CLASS_OF)[label_map]
    return pb.SegmentResponse(
        image_id=image_id,
        classes=regions(classes),
        instances=[_instance(number, label_map == number) for number in range(1, int(label_map.max()) + 1)],
        image_info=image_pb2.ImageInfo(
            width=label_map.shape[1],
            height=label_map.shape[0],
            exif_orientation=1,
            format=image_pb2.IMAGE_FORMAT_PNG,
        ),
        model=model_pb2.ModelRef(name="rounds", version="2"),
        timings=model_pb2.Timings(
            queue=duration_pb2.Duration(nanos=1_000_000), infer=duration_pb2.Duration(seconds=1), batch_size=4
        ),
    )


def _instance(number: int, mask: NDArray[np.bool_]) -> pb.Instance:
    box, centroid = _place(mask)
    return pb.Instance(
        box=box,
        centroid=centroid,
        area_px=int(mask.sum()),
        label=model_pb2.Label(id=CLASS_OF[number], name=LABELS[CLASS_OF[number]]),
        score=1 - number / 8,
        mask=geometry_pb2.Mask(rle=coco(mask)),
    )


def _place(mask: NDArray[np.bool_]) -> tuple[geometry_pb2.BoundingBox, geometry_pb2.Point]:
    y, x = np.nonzero(mask)
    box = geometry_pb2.BoundingBox(x_min=x.min(), y_min=y.min(), x_max=x.max() + 1, y_max=y.max() + 1)
    return box, geometry_pb2.Point(x=x.mean() + 0.5, y=y.mean() + 0.5)


def slide_answers(
    start: pb.SlideStart, tiles: Iterator[pb.SegmentStreamRequest], label_map: NDArray[np.int32]
) -> Iterator[pb.SegmentStreamResponse]:
    """Yield a finished tile for each that comes, then all things, then the summary; of things as in `answer`."""
    classes, tile_count = np.array(CLASS_OF)[label_map], 0
    geometry = start.geometry
    for message in tiles:
        x, y, tile_count = message.tile.x, message.tile.y, tile_count + 1
        part = classes[y : y + geometry.tile_height, x : x + geometry.tile_width]
        yield pb.SegmentStreamResponse(
            tile=pb.SegmentedTile(x=x, y=y, width=part.shape[1], height=part.shape[0], classes=regions(part))
        )
    count = int(label_map.max())
    instances = [slide_instance(number, label_map == number) for number in range(1, count + 1)]
    if instances:
        yield pb.SegmentStreamResponse(instances=pb.SlideInstances(instances=instances))
    yield pb.SegmentStreamResponse(
        summary=pb.SlideSummary(
            image_id=start.image_id,
            classes=[
                pb.SlideClassSummary(
                    label=model_pb2.Label(id=class_id, name=name),
                    pixel_count=int((classes == class_id).sum()),
                    instance_count=sum(one.label.id == class_id for one in instances),
                    instance_area_px=sum(one.area_px for one in instances if one.label.id == class_id),
                )
                for class_id, name in enumerate(LABELS)
            ],
            tile_count=tile_count,
            instance_count=count,
            model=model_pb2.ModelRef(name="rounds", version="2"),
            timings=model_pb2.Timings(infer=duration_pb2.Duration(seconds=2), batch_size=4),
        )
    )


def slide_instance(number: int, mask: NDArray[np.bool_]) -> pb.SlideInstance:
    """Return a thing of a slide, its mask in the frame of its box."""
    box, centroid = _place(mask)
    inside = mask[int(box.y_min) : int(box.y_max), int(box.x_min) : int(box.x_max)]
    return pb.SlideInstance(
        id=number,
        box=box,
        centroid=centroid,
        area_px=int(mask.sum()),
        label=model_pb2.Label(id=CLASS_OF[number], name=LABELS[CLASS_OF[number]]),
        score=1 - number / 8,
        box_mask=geometry_pb2.Mask(rle=coco(inside)),
    )


def result_for(image: image_pb2.Image) -> pb.SegmentResult:
    """Return an answer, or an error for pictures whose bytes are ``bad``."""
    if image.encoded == b"bad":
        return pb.SegmentResult(image_id=image.id, error=error_status())
    return pb.SegmentResult(image_id=image.id, response=answer(image.id))


def _segment(request: pb.SegmentRequest, context: grpc.ServicerContext) -> pb.SegmentResponse:
    return answer(request.image.id)


def _batch(request: pb.BatchSegmentRequest, context: grpc.ServicerContext) -> pb.BatchSegmentResponse:
    return pb.BatchSegmentResponse(results=[result_for(image) for image in request.images])


def _slide(
    start: pb.SlideStart, tiles: Iterator[pb.SegmentStreamRequest], context: grpc.ServicerContext
) -> Iterator[pb.SegmentStreamResponse]:
    return slide_answers(start, tiles, things())


@dataclass
class ScriptedSegmentation(Record, segmentation_pb2_grpc.SegmentationServiceServicer):
    """Keeps what it was asked, every message of a stream included, and answers by functions that a test may replace."""

    on_segment: Callable[[Any, grpc.ServicerContext], Any] = _segment
    on_batch: Callable[[Any, grpc.ServicerContext], Any] = _batch
    on_slide: Callable[[pb.SlideStart, Iterator[Any], grpc.ServicerContext], Iterator[Any]] = _slide

    def Segment(self, request: pb.SegmentRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        self.keep(request, context)
        return self.on_segment(request, context)

    def BatchSegment(self, request: pb.BatchSegmentRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.keep(request, context)
        return self.on_batch(request, context)

    def SegmentStream(  # noqa: N802
        self, request_iterator: Iterator[pb.SegmentStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        start = next(request_iterator)
        self.keep(start, context)
        yield from self.on_slide(start.start, self._kept(request_iterator, context), context)

    def _kept(
        self, requests: Iterator[pb.SegmentStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.SegmentStreamRequest]:
        for request in requests:
            self.keep(request, context)
            yield request


@dataclass
class RunningSegmentation:
    """A service that is being served."""

    service: ScriptedSegmentation
    address: str


@contextmanager
def running_segmentation() -> Iterator[RunningSegmentation]:
    """Serve a fresh scripted service on a free port."""
    service = ScriptedSegmentation()
    add = segmentation_pb2_grpc.add_SegmentationServiceServicer_to_server
    with listening(lambda server: add(service, server), service.released) as address:
        yield RunningSegmentation(service, address)
