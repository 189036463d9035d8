"""What comes back while a slide is sent: finished tiles, finished instances, and at the end a summary."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retinue.client.class_regions import ClassPixels, ClassRegion, decode_class_map, read_class_regions
from retinue.client.masks import EncodedMask
from retinue.client.segmentation_answer import Box, read_box
from retinue.client.timings import Timings, read_timings
from retinue.segmentation.v1 import segmentation_pb2


@dataclass(frozen=True)
class SegmentedTile:
    """The finished class map of one tile.

    Args:
        x: left edge of the tile in the picture, pixels.
        y: top edge of the tile in the picture, pixels.
        width: pixels.
        height: pixels.
        classes: one for each class of the model, by class id; counts and masks are the tile's own.
        class_map_png: the class map as it was sent, if it was sent as a PNG.
    """

    x: int
    y: int
    width: int
    height: int
    classes: tuple[ClassRegion, ...]
    class_map_png: bytes = field(default=b"", repr=False)

    @cached_property
    def class_map(self) -> ClassPixels:
        """The class of each pixel, [height, width], as `decode_class_map` says; decoded when it is first looked at.

        Raises:
            ValueError: none was asked for, or what was sent is of another size than the tile.
        """
        return decode_class_map(self.classes, self.class_map_png, self.height, self.width)


@dataclass(frozen=True, slots=True)
class SlideInstance:
    """One thing on the slide, put together across seams.

    Args:
        number: from 1 on, in the order of sending.
        box: ``x_min, y_min, x_max, y_max``, whole pixels of the whole picture, half-open.
        centroid: ``x, y``, the mean position of its pixels' centres in the whole picture; may lie outside it.
        area_px: how many pixels it has.
        label_id: index of the class in the model's label list, from 0.
        label: name of the class.
        score: how sure the model is, in [0, 1].
        encoded: its pixels in its own box, as they were sent; None where masks were not asked for.
    """

    number: int
    box: Box
    centroid: tuple[float, float]
    area_px: int
    label_id: int
    label: str
    score: float
    encoded: EncodedMask | None = field(default=None, repr=False)

    def box_mask(self) -> NDArray[np.bool_]:
        """Return its pixels in its own box, bool [y_max - y_min, x_max - x_min]; decoded at every call.

        Raises:
            ValueError: masks were not asked for, or what was sent is no mask of the box's size.
        """
        if self.encoded is None:
            raise ValueError("the answer has no masks: ask with instance_masks='rle', 'png' or 'polygons'")
        return self.encoded.pixels()


@dataclass(frozen=True, slots=True)
class SlideInstances:
    """Things that no later tile can change; at least one, and each comes once."""

    instances: tuple[SlideInstance, ...]


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """All of one class on the slide.

    Args:
        label_id: index of the class in the model's label list, from 0.
        label: name of the class.
        pixel_count: how many pixels belong to it.
        instance_count: how many instances came.
        instance_area_px: how many pixels those have together.
    """

    label_id: int
    label: str
    pixel_count: int
    instance_count: int
    instance_area_px: int


@dataclass(frozen=True, slots=True)
class SlideSummary:
    """The end of a slide that went well.

    Args:
        image_id: the slide's name, as it was sent.
        classes: one for each class of the model, by class id.
        tile_count: how many tiles the service got.
        instance_count: how many instances came, all classes together.
        model_name: the model that answered.
        model_version: its version.
        timings: where the time went, summed over the tiles.
        is_semantic_only: whether the model tells classes only: then there are no instances, whatever is on the slide.
    """

    image_id: str
    classes: tuple[ClassSummary, ...]
    tile_count: int
    instance_count: int
    model_name: str
    model_version: str
    timings: Timings
    is_semantic_only: bool = False


SlideEvent = SegmentedTile | SlideInstances | SlideSummary


def read_slide_event(response: segmentation_pb2.SegmentStreamResponse) -> SlideEvent | None:
    """Return the value that a message holds; None for a kind that this client does not know."""
    match response.WhichOneof("message"):
        case "tile":
            return _read_tile(response.tile)
        case "instances":
            return SlideInstances(tuple(_read_instance(one) for one in response.instances.instances))
        case "summary":
            return _read_summary(response.summary)
        case _:
            return None


def _read_tile(tile: segmentation_pb2.SegmentedTile) -> SegmentedTile:
    return SegmentedTile(
        tile.x,
        tile.y,
        tile.width,
        tile.height,
        read_class_regions(tile.classes, tile.height, tile.width),
        tile.class_map_png,
    )


def _read_instance(one: segmentation_pb2.SlideInstance) -> SlideInstance:
    box = read_box(one.box)
    return SlideInstance(
        one.id,
        box,
        (one.centroid.x, one.centroid.y),
        one.area_px,
        one.label.id,
        one.label.name,
        one.score,
        EncodedMask(one.box_mask, box[3] - box[1], box[2] - box[0]) if one.HasField("box_mask") else None,
    )


def _read_summary(summary: segmentation_pb2.SlideSummary) -> SlideSummary:
    return SlideSummary(
        image_id=summary.image_id,
        classes=tuple(
            ClassSummary(one.label.id, one.label.name, one.pixel_count, one.instance_count, one.instance_area_px)
            for one in summary.classes
        ),
        tile_count=summary.tile_count,
        instance_count=summary.instance_count,
        model_name=summary.model.name,
        model_version=summary.model.version,
        timings=read_timings(summary.timings),
        is_semantic_only=summary.is_semantic_only,
    )
