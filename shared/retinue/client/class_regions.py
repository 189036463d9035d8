"""Where the classes are, on a picture or on a tile: how many pixels each has, and which."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retinue.client.masks import EncodedMask, decode_png
from retinue.common.v1 import geometry_pb2
from retinue.segmentation.v1 import segmentation_pb2

ClassPixels = NDArray[np.uint8] | NDArray[np.uint16]

NO_CLASS = 255
"""In a class map: the pixel is of no class, as thresholds may decide. In a map of uint16 it is 65535."""

_MOST_CLASSES_OF_UINT8 = 256


@dataclass(frozen=True, slots=True)
class ClassRegion:
    """Where one class is.

    Args:
        label_id: index of the class in the model's label list, from 0.
        label: name of the class.
        pixel_count: how many pixels belong to it.
        encoded: which ones, as it was sent; None where it was not.
    """

    label_id: int
    label: str
    pixel_count: int
    encoded: EncodedMask | None = field(default=None, repr=False)

    def mask(self) -> NDArray[np.bool_]:
        """Return which pixels belong to it, bool [height, width] of the picture or tile; decoded at every call.

        Raises:
            ValueError: masks of classes were not asked for, that is ``class_map`` was not ``"rle"``; or what was sent
                is no mask of this size.
        """
        if self.encoded is None:
            raise ValueError("the answer has no masks of classes: ask with class_map='rle', or look at its class_map")
        return self.encoded.pixels()


def read_class_regions(
    regions: Iterable[segmentation_pb2.ClassRegion], height: int, width: int
) -> tuple[ClassRegion, ...]:
    """Return the values that messages hold, of a picture or tile of this size."""
    return tuple(
        ClassRegion(
            region.label.id,
            region.label.name,
            region.pixel_count,
            EncodedMask(geometry_pb2.Mask(rle=region.mask), height, width) if region.HasField("mask") else None,
        )
        for region in regions
    )


def decode_class_map(regions: Sequence[ClassRegion], png: bytes, height: int, width: int) -> ClassPixels:
    """Return the class of each pixel, `NO_CLASS` where it is of none; uint16 with more than 256 classes.

    Where thresholds put a pixel in several classes, a PNG has the most probable of them and masks give the last.

    Args:
        regions: of all classes, by class id.
        png: a class map as it was sent; empty where masks were.
        height: of the picture or tile, pixels.
        width: of the picture or tile, pixels.

    Returns:
        [height, width], which cannot be written.

    Raises:
        ValueError: neither was asked for, or what was sent is of another size.
    """
    if png:
        pixels: ClassPixels = decode_png(png)
        if pixels.shape != (height, width):
            raise ValueError(f"the class map is {pixels.shape[1]}x{pixels.shape[0]} pixels, its frame {width}x{height}")
    elif all(region.encoded is None for region in regions):
        raise ValueError("the answer has no class map: ask with class_map='rle' or 'png'")
    else:
        is_small = len(regions) <= _MOST_CLASSES_OF_UINT8
        pixels = np.zeros((height, width), np.uint8) if is_small else np.zeros((height, width), np.uint16)
        pixels[:] = np.iinfo(pixels.dtype).max
        for region in regions:
            if region.pixel_count:  # most classes of long label lists have none
                pixels[region.mask()] = region.label_id
    pixels.flags.writeable = False
    return pixels
