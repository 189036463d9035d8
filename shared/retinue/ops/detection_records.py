"""What detections are judged by and what is judged: objects and detections of many images, as flat arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import float_boxes, float_vector, native, whole_vector
from retinue.ops.rle import Rle, rle_area

BoxFormat = Literal["xyxy", "xywh"]
_FORMATS = ("xyxy", "xywh")


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """The objects of any number of images, one row per object.

    Args:
        image_ids: (n,) integers, any.
        labels: (n,) integers, any.
        boxes: (n, 4) boxes in pixels, kept as float64; None where there are masks.
        areas: (n,) pixels squared, which say whether an object counts as small, medium or large; COCO's field `area`.
            None takes the area of the masks, or that of the boxes where there are none.
        is_crowd: (n,) bool: the region of a crowd, in which any number of detections may lie; None means none.
        is_ignored: (n,) bool: an object that need not be found; None means none.
        masks: n masks; None where there are boxes.
        box_format: ``"xyxy"`` corners, or ``"xywh"`` corner and size as in COCO's files.

    Raises:
        ValueError: a length or dtype is wrong, a number is not finite, or there are neither boxes nor masks.

    Notes:
        Arrays are not copied where they are of the right dtype already. pycocotools overwrites its field `ignore` by
        `iscrowd`; here both are kept apart. A box with a negative side overlaps nothing, as in pycocotools.

    >>> len(GroundTruth(image_ids=[7, 7], labels=[1, 3], boxes=[[0, 0, 9, 9], [5, 5, 20, 30]]))
    2
    """

    image_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float64] | None = None
    areas: NDArray[np.float64] | None = None
    is_crowd: NDArray[np.bool_] | None = None
    is_ignored: NDArray[np.bool_] | None = None
    masks: Sequence[Rle] | None = None
    box_format: BoxFormat = "xyxy"

    def __post_init__(self) -> None:
        count = _check_common(self)
        for name in ("is_crowd", "is_ignored"):
            object.__setattr__(self, name, _flags(getattr(self, name), name, count))

    def __len__(self) -> int:
        return len(self.image_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The detections of any number of images, one row per detection.

    Args:
        image_ids: (n,) integers, any.
        labels: (n,) integers, any.
        scores: (n,) real numbers, higher is better, kept as float64.
        boxes: (n, 4) boxes in pixels, kept as float64; None where there are masks.
        areas: (n,) pixels squared, which say whether a detection counts as small, medium or large. None takes the area
            of what is judged, masks or boxes.
        masks: n masks; None where there are boxes.
        box_format: ``"xyxy"`` corners, or ``"xywh"`` corner and size as in COCO's files.

    Raises:
        ValueError: as for `GroundTruth`.

    Notes:
        Where a result file has boxes and masks, pycocotools takes the area of the box also where it judges masks; give
        `areas` to do the same.

    >>> len(Detections(image_ids=[7], labels=[1], scores=[0.9], boxes=[[0, 0, 9, 9]]))
    1
    """

    image_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64] | None = None
    areas: NDArray[np.float64] | None = None
    masks: Sequence[Rle] | None = None
    box_format: BoxFormat = "xyxy"

    def __post_init__(self) -> None:
        count = _check_common(self)
        object.__setattr__(self, "scores", _doubles(float_vector(self.scores, "scores", count)))

    def __len__(self) -> int:
        return len(self.image_ids)


def boxes_xywh(records: GroundTruth | Detections) -> NDArray[np.float64]:
    """Return the boxes as COCO computes with them, corner and size; none where there are masks alone."""
    boxes = _boxes(records)
    if records.box_format == "xyxy":
        with np.errstate(over="ignore"):  # an infinite side is a side like any other
            boxes[:, 2:] -= boxes[:, :2]
    return boxes


def boxes_xyxy(records: GroundTruth | Detections) -> NDArray[np.float64]:
    """Return the boxes by their corners; none where there are masks alone."""
    boxes = _boxes(records)
    if records.box_format == "xywh":
        with np.errstate(over="ignore"):
            boxes[:, 2:] += boxes[:, :2]
    return boxes


def areas_of(records: GroundTruth | Detections, *, by_mask: bool) -> NDArray[np.float64]:
    """Return the areas given, or else those of the masks or of the boxes."""
    if records.areas is not None:
        return records.areas
    if by_mask and records.masks is not None:
        return np.array([rle_area(mask) for mask in records.masks], np.float64)
    boxes = boxes_xywh(records)
    with np.errstate(over="ignore", under="ignore"):
        return boxes[:, 2] * boxes[:, 3]


def _boxes(records: GroundTruth | Detections) -> NDArray[np.float64]:
    return np.empty((0, 4)) if records.boxes is None else records.boxes.copy()


def _check_common(records: GroundTruth | Detections) -> int:
    """Bring what both kinds share into its form; return how many rows there are."""
    image_ids = whole_vector(records.image_ids, "image_ids")
    count = len(image_ids)
    kept: dict[str, Any] = {"image_ids": image_ids, "labels": whole_vector(records.labels, "labels", count)}
    if records.boxes is None and records.masks is None:
        raise ValueError("boxes: must be given where there are no masks")
    if records.box_format not in _FORMATS:
        raise ValueError(f"box_format: must be one of {', '.join(_FORMATS)}, got {records.box_format!r}")
    if records.boxes is not None:
        kept["boxes"] = _doubles(float_boxes(records.boxes))
        if len(kept["boxes"]) != count:
            raise ValueError(f"boxes: must be ({count}, 4), got {kept['boxes'].shape}")
    if records.areas is not None:
        kept["areas"] = _doubles(float_vector(records.areas, "areas", count))
    if records.masks is not None:
        kept["masks"] = masks = tuple(records.masks)
        if len(masks) != count or not all(isinstance(mask, Rle) for mask in masks):
            raise ValueError(f"masks: must be {count} of type Rle, got {len(masks)} values")
    for name, value in kept.items():
        object.__setattr__(records, name, value)
    return count


def _doubles(values: NDArray[Any]) -> NDArray[np.float64]:
    return native(values.astype(np.float64, copy=False))


def _flags(values: ArrayLike | None, name: str, count: int) -> NDArray[np.bool_]:
    if values is None:
        return np.zeros(count, np.bool_)
    flags = np.asarray(values)
    if flags.shape != (count,):
        raise ValueError(f"{name}: must be ({count},), got {flags.shape}")
    if flags.dtype != np.bool_ and flags.size and (flags.dtype.kind not in "iuf" or not np.isin(flags, (0, 1)).all()):
        raise ValueError(f"{name}: must be booleans, or numbers that are all 0 or 1")
    return native(flags.astype(np.bool_, copy=False))
