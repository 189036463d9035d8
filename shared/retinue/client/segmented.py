"""Segmented things of one picture on their way to a service: label maps and masks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.common.v1 import geometry_pb2
from retinue.matching.v1 import matching_pb2 as pb

if TYPE_CHECKING:
    from retinue.ops import Rle

InstanceSource = NDArray[Any] | Sequence["Rle"] | bytes
"""One of: a label map, integers [height, width] in 0 to 65535, where 0 is background and every other value one
instance; masks, bool [n, height, width] or several `Rle`, which may overlap; a label map as a PNG file's bytes."""

_PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 1)  # label maps are small after any; more would only take time


def instance_message(source: InstanceSource, name: str) -> pb.InstanceSet:
    """Return the message that carries a segmentation.

    Raises:
        TypeError: it is of another kind.
        ValueError: its shape, dtype or values cannot be sent.

    >>> len(instance_message(np.ones((2, 3, 4), bool), "a").mask_list.masks)
    2
    """
    if isinstance(source, bytes):
        return pb.InstanceSet(label_map_png=source)
    if isinstance(source, np.ndarray) and not (source.dtype == np.bool_ and source.ndim == 3):
        return pb.InstanceSet(label_map_png=_label_map_png(source, name))
    return pb.InstanceSet(mask_list=pb.MaskList(masks=_masks(source, name)))


def _masks(source: "NDArray[Any] | Sequence[Rle]", name: str) -> list[geometry_pb2.CocoRle]:
    from retinue.ops import Rle, rle_encode_batch, rle_to_string  # noqa: PLC0415 - compiled loops, for masks alone

    masks = rle_encode_batch(source) if isinstance(source, np.ndarray) else source
    if not all(isinstance(mask, Rle) for mask in masks):
        raise TypeError(f"{name} must be a label map, masks bool [n, height, width], several Rle, or a PNG's bytes")
    return [geometry_pb2.CocoRle(height=mask.height, width=mask.width, counts=rle_to_string(mask)) for mask in masks]


def _label_map_png(labels: NDArray[Any], name: str) -> bytes:
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or labels.size == 0:
        raise ValueError(
            f"{name} is {labels.dtype} {list(labels.shape)}, must be a label map, integers [height, width], "
            "or masks, bool [n, height, width]"
        )
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most > np.iinfo(np.uint16).max:
        raise ValueError(f"{name} has labels from {least} to {most}, must be 0 to 65535; more fit as masks")
    depth = np.uint8 if most <= np.iinfo(np.uint8).max else np.uint16
    return cv2.imencode(".png", np.ascontiguousarray(labels, depth), _PNG_OPTIONS)[1].tobytes()
