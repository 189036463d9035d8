"""The overlaps of detections with objects, of boxes or masks, as COCO measures them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel
from retinue.ops.detection_records import Detections, GroundTruth
from retinue.ops.rle_algebra import rle_iou

Places = NDArray[np.int64]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]


def mask_overlaps(
    truth: GroundTruth,
    detections: Detections,
    groups: Places,
    truth_order: Places,
    order: Places,
    is_crowd: Flags,
) -> Doubles:
    """Return the IoU of detections (rows) and objects (columns) of every group, one after the other.

    Raises:
        ValueError: the masks of an image differ in size.
    """
    masks, truth_masks = detections.masks or (), truth.masks or ()
    parts = []
    for first, last, truth_first, truth_last in groups.tolist():
        ours = [masks[i] for i in order[first:last].tolist()]
        theirs = [truth_masks[i] for i in truth_order[truth_first:truth_last].tolist()]
        try:
            parts.append(rle_iou(ours, theirs, is_crowd=is_crowd[truth_first:truth_last]).ravel())
        except ValueError as error:
            image = truth.image_ids[truth_order[truth_first]]
            raise ValueError(f"masks: those of one image must be of one size, got several in image {image}") from error
    return np.concatenate(parts) if parts else np.empty(0)


@kernel("(i8[:,::1], f8[:,::1], f8[:,::1], b1[::1])")
def box_overlaps(groups: Places, boxes: Doubles, truth_boxes: Doubles, is_crowd: Flags) -> Doubles:
    """Return the IoU of detections (rows) and objects (columns) of every group, one after the other."""
    size = 0
    for k in range(len(groups)):
        size += (groups[k, 1] - groups[k, 0]) * (groups[k, 3] - groups[k, 2])
    overlaps = np.empty(size)
    at = 0
    for k in range(len(groups)):
        for d in range(groups[k, 0], groups[k, 1]):
            for g in range(groups[k, 2], groups[k, 3]):
                overlaps[at] = _box_overlap(boxes[d], truth_boxes[g], is_crowd[g])
                at += 1
    return overlaps


@kernel()
def _box_overlap(box: Doubles, truth: Doubles, is_crowd: Any) -> float:
    """Return the IoU of two boxes ``x, y, w, h``, operation for operation as COCO's mask API does."""
    width = min(box[2] + box[0], truth[2] + truth[0]) - max(box[0], truth[0])
    if not width > 0:
        return 0.0
    height = min(box[3] + box[1], truth[3] + truth[1]) - max(box[1], truth[1])
    if not height > 0:
        return 0.0
    shared: float = width * height
    area: float = box[2] * box[3]
    union: float = area if is_crowd else area + truth[2] * truth[3] - shared
    return shared / union
