"""What a segmentation service answers, as values: the class of every pixel, and single things with their masks."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retinue.client.class_regions import ClassPixels, ClassRegion, decode_class_map, read_class_regions
from retinue.client.image_info import ImageInfo, read_image_info
from retinue.client.masks import EncodedMask
from retinue.client.timings import Timings, read_timings
from retinue.common.v1 import geometry_pb2
from retinue.segmentation.v1 import segmentation_pb2

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Instance:
    """One thing, told from its neighbours.

    Args:
        box: ``x_min, y_min, x_max, y_max``, whole pixels of the upright picture, half-open: the smallest around the
            thing, so that ``picture[y_min:y_max, x_min:x_max]`` shows it.
        centroid: ``x, y``, the mean position of its pixels' centres; may lie outside it.
        area_px: how many pixels it has.
        label_id: index of the class in the model's label list, from 0.
        label: name of the class.
        score: how sure the model is, in [0, 1].
        encoded: its pixels, as they were sent; None where masks were not asked for.
    """

    box: Box
    centroid: tuple[float, float]
    area_px: int
    label_id: int
    label: str
    score: float
    encoded: EncodedMask | None = field(default=None, repr=False)

    def mask(self) -> NDArray[np.bool_]:
        """Return its pixels, bool [height, width] of the picture; decoded at every call.

        Raises:
            ValueError: masks were not asked for, or what was sent is no mask of the picture's size.
        """
        return self._encoded().pixels()

    def box_mask(self) -> NDArray[np.bool_]:
        """Return its pixels in its own box, bool [y_max - y_min, x_max - x_min]; much cheaper than `mask`.

        Raises:
            ValueError: masks were not asked for, or what was sent is no mask of the picture's size.
        """
        return self._encoded().window(self.box)

    def _encoded(self) -> EncodedMask:
        if self.encoded is None:
            raise ValueError("the answer has no masks: ask with instance_masks='rle', 'png' or 'polygons'")
        return self.encoded


@dataclass(frozen=True)
class SegmentationAnswer:
    """What is on one picture.

    Args:
        image_id: the picture's name, as it was sent.
        classes: one for each class of the model, by class id.
        instances: single things, best first; empty from models that do not tell them apart.
        image_info: the picture as the service saw it, the frame of everything here.
        model_name: the model that answered.
        model_version: its version.
        timings: where the time went; with tiling, summed over the tiles.
        class_map_png: the class map as it was sent, if it was sent as a PNG.
    """

    image_id: str
    classes: tuple[ClassRegion, ...]
    instances: tuple[Instance, ...]
    image_info: ImageInfo
    model_name: str
    model_version: str
    timings: Timings
    class_map_png: bytes = field(default=b"", repr=False)

    @cached_property
    def class_map(self) -> ClassPixels:
        """The class of each pixel, [height, width], as `decode_class_map` says; decoded when it is first looked at.

        Raises:
            ValueError: none was asked for, or what was sent is of another size than the picture.
        """
        return decode_class_map(self.classes, self.class_map_png, self.image_info.height, self.image_info.width)

    @property
    def has_class_map(self) -> bool:
        """Whether a class map was asked for."""
        return bool(self.class_map_png) or any(region.encoded is not None for region in self.classes)

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """The boxes of the instances, row by row, int64 [n, 4]."""
        return np.array([one.box for one in self.instances], np.int64).reshape(-1, 4)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The scores of the instances, float32 [n]."""
        return np.array([one.score for one in self.instances], np.float32)

    @cached_property
    def label_ids(self) -> NDArray[np.int64]:
        """The classes of the instances, int64 [n]."""
        return np.array([one.label_id for one in self.instances], np.int64)

    def instance_map(self) -> NDArray[np.int32]:
        """Return which instance each pixel is of, int32 [height, width]: 1 for the first, 0 for none.

        Where masks overlap, which thresholds never make them do, the better one has the pixel.

        Raises:
            ValueError: masks were not asked for, or what was sent is of another size than the picture.
        """
        label_map = np.zeros((self.image_info.height, self.image_info.width), np.int32)
        for number, one in reversed(list(enumerate(self.instances, 1))):
            x_min, y_min, x_max, y_max = one.box
            label_map[y_min:y_max, x_min:x_max][one.box_mask()] = number
        return label_map


def read_segmentation_answer(response: segmentation_pb2.SegmentResponse) -> SegmentationAnswer:
    """Return the value that a message holds."""
    info = read_image_info(response.image_info)
    return SegmentationAnswer(
        image_id=response.image_id,
        classes=read_class_regions(response.classes, info.height, info.width),
        instances=tuple(
            Instance(
                read_box(one.box),
                (one.centroid.x, one.centroid.y),
                one.area_px,
                one.label.id,
                one.label.name,
                one.score,
                EncodedMask(one.mask, info.height, info.width) if one.HasField("mask") else None,
            )
            for one in response.instances
        ),
        image_info=info,
        model_name=response.model.name,
        model_version=response.model.version,
        timings=read_timings(response.timings),
        class_map_png=response.class_map_png,
    )


def read_box(box: geometry_pb2.BoundingBox) -> Box:
    """Return a box of whole pixels; edges that are no numbers count as 0."""
    x_min, y_min, x_max, y_max = np.nan_to_num([box.x_min, box.y_min, box.x_max, box.y_max], posinf=0, neginf=0)
    return round(x_min), round(y_min), round(x_max), round(y_max)
