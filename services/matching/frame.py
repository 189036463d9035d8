"""The detections of one frame, checked and in an order of their own."""

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.matching.invalid_field import InvalidField

MAX_COORDINATE_PX = 2.0**31
"""No picture is larger, and products of four coordinates still have a meaning in float64."""

_MAX_FRAME_INDEX = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The n detections of one frame: by descending score, then by ascending corners and class.

    What is done with them so never depends on the order in which they were given.

    Args:
        positions: int64 [n], where each stood.
        boxes: float64 [n, 4] corners, pixels.
        scores: float64 [n] in [0, 1].
        class_ids: int64 [n].
    """

    positions: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    class_ids: NDArray[np.int64]


def checked_detections(boxes_xyxy_px: ArrayLike, scores: ArrayLike, class_ids: ArrayLike | None) -> Detections:
    """Return the detections of a frame.

    Args:
        boxes_xyxy_px: [n, 4] corners, ``x_min <= x_max``, ``y_min <= y_max``, none beyond 2**31.
        scores: [n] in [0, 1].
        class_ids: [n] integers; None: all are of class 0.

    Raises:
        InvalidField: an argument is not as said.

    >>> checked_detections([[0, 0, 2, 2], [5, 5, 6, 6]], [0.5, 0.75], None).positions
    array([1, 0])
    """
    boxes = _numbers(boxes_xyxy_px, "boxes_xyxy_px")
    if boxes.shape == (0,):
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InvalidField("boxes_xyxy_px", f"must be [n, 4], got {list(boxes.shape)}")
    count = len(boxes)
    is_usable = (np.abs(boxes) <= MAX_COORDINATE_PX).all(axis=1)
    if not is_usable.all():
        first = np.argmin(is_usable)
        raise InvalidField("boxes_xyxy_px", f"box {first} has a corner that is not finite or beyond 2**31 pixels")
    is_usable = (boxes[:, :2] <= boxes[:, 2:]).all(axis=1)
    if not is_usable.all():
        first = np.argmin(is_usable)
        raise InvalidField("boxes_xyxy_px", f"box {first} ends before it begins")
    certainties = _numbers(scores, "scores")
    if certainties.shape != (count,):
        raise InvalidField("scores", f"must be one for each of {count} boxes, got shape {list(certainties.shape)}")
    is_usable = (certainties >= 0) & (certainties <= 1)
    if not is_usable.all():
        first = np.argmin(is_usable)
        raise InvalidField("scores", f"score {first} is {certainties[first]:g}; 0 to 1 are allowed")
    classes = np.zeros(count, np.int64) if class_ids is None else _classes(class_ids, count)
    x_min, y_min, x_max, y_max = boxes.T
    order = np.lexsort((classes, y_max, x_max, y_min, x_min, -certainties))
    return Detections(order, boxes[order], certainties[order], classes[order])


def checked_frame_index(frame_index: int, last_frame_index: int) -> int:
    """Return the number of a frame.

    Args:
        frame_index: whole, at least 0, at most 2**63 - 1, and greater than the last one's.
        last_frame_index: that of the frame before; -1 if there was none.

    Raises:
        InvalidField: it is not as said.

    >>> checked_frame_index(7, last_frame_index=3)
    7
    """
    try:
        number = operator.index(frame_index)
    except TypeError as error:
        raise InvalidField("frame_index", f"must be a whole number, got {frame_index!r}") from error
    if not last_frame_index < number <= _MAX_FRAME_INDEX:
        raise InvalidField("frame_index", f"is {number}; {last_frame_index + 1} or more is needed here")
    return number


def _numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidField(name, "is ragged") from error
    if array.dtype.kind not in "biuf":
        raise InvalidField(name, f"must be real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)


def _classes(class_ids: ArrayLike, count: int) -> NDArray[np.int64]:
    classes = np.asarray(class_ids)
    if classes.shape != (count,):
        raise InvalidField("class_ids", f"must be one for each of {count} boxes, got shape {list(classes.shape)}")
    if classes.size and classes.dtype.kind not in "iu":
        raise InvalidField("class_ids", f"must be whole numbers, got dtype {classes.dtype}")
    return classes.astype(np.int64)
