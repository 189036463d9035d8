"""How far two boxes overlap: the arithmetic that `pairwise_iou`, suppression, fusion and merging share.

It is torchvision's, in the dtype of the boxes and in its order of operations, so that comparisons at equality come out
the same. What is undefined there is 0 here: where nothing is covered, nothing overlaps.
"""

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import Float, float_boxes, native
from retinue.ops._kernel import kernel

IOU, GIOU, DIOU, CIOU, IOS = range(5)

# Up to these coordinates areas, sums of areas and squares of diagonals stay within the range of the dtype.
_LARGEST = {np.dtype(np.float32): 2.0**62, np.dtype(np.float64): 2.0**510}
_SHRINK = 2.0**-514


def measurable_boxes(boxes: NDArray[Float], name: str = "boxes") -> NDArray[Float]:
    """Return boxes [n, 4] as kernels take them, of which areas are finite: float64 and scaled down if need be.

    Overlap does not depend on the scale, and a power of two changes no digit.

    Raises:
        ValueError: as `float_boxes` does.
    """
    return _measurable(*_measured(boxes, name))


def comparable_boxes(a: NDArray[Float], b: NDArray[Float]) -> tuple[NDArray[Float], NDArray[Float], np.dtype[Any]]:
    """Return both sets as `measurable_boxes` does, in one dtype and one scale, and the dtype they came in.

    Raises:
        ValueError: as there, naming `a` or `b`.
    """
    (first, most_a), (second, most_b) = _measured(a, "a"), _measured(b, "b")
    if first.dtype != second.dtype:
        first, second = cast("Any", first.astype(np.float64)), cast("Any", second.astype(np.float64))
    most = max(most_a, most_b)
    return _measurable(first, most), _measurable(second, most), first.dtype


def _measured(boxes: NDArray[Float], name: str) -> tuple[NDArray[Float], float]:
    array = native(np.asarray(boxes))
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype not in _LARGEST:
        array = native(float_boxes(array, name))
    most = largest_magnitude(array)
    if most == math.inf:
        float_boxes(array, name)  # says what is wrong
    return array, most


def _measurable(boxes: NDArray[Float], most: float) -> NDArray[Float]:
    if most <= _LARGEST[boxes.dtype]:
        return boxes
    wide: Any = boxes.astype(np.float64)
    return cast("NDArray[Float]", wide if most <= _LARGEST[wide.dtype] else wide * _SHRINK)


@kernel("(f4[:,::1],)", "(f8[:,::1],)")
def largest_magnitude(values: NDArray[Any]) -> float:
    """Return the largest magnitude of all; infinity where one is NaN."""
    flat = values.reshape(-1)
    most = values.dtype.type(0)
    is_number = True
    for k in range(len(flat)):
        magnitude = abs(flat[k])
        most = max(most, magnitude)
        is_number &= magnitude == magnitude  # noqa: PLR0124, NaN is not
    return np.float64(most) if is_number else np.inf


@kernel()
def intersection(ax1: Any, ay1: Any, ax2: Any, ay2: Any, bx1: Any, by1: Any, bx2: Any, by2: Any, zero: Any) -> Any:
    """Return the area that two boxes share; branches would keep the loop from taking many boxes at a time."""
    width, height = min(ax2, bx2) - max(ax1, bx1), min(ay2, by2) - max(ay1, by1)
    return max(width, zero) * max(height, zero)


@kernel()
def enclosure(ax1: Any, ay1: Any, ax2: Any, ay2: Any, bx1: Any, by1: Any, bx2: Any, by2: Any) -> Any:
    """Return width and height of the smallest box around both."""
    return max(ax2, bx2) - min(ax1, bx1), max(ay2, by2) - min(ay1, by1)


@kernel()
def remoteness(
    ax1: Any, ay1: Any, ax2: Any, ay2: Any, bx1: Any, by1: Any, bx2: Any, by2: Any, half: Any, epsilon: Any
) -> Any:
    """Return the squared distance of two centres, in squared diagonals of the box around both."""
    width, height = enclosure(ax1, ay1, ax2, ay2, bx1, by1, bx2, by2)
    across, down = (ax1 + ax2) * half - (bx1 + bx2) * half, (ay1 + ay2) * half - (by1 + by2) * half
    return (across * across + down * down) / (width * width + height * height + epsilon)


@kernel(
    "(f4[:,::1], f4[:,::1], b1[::1], i8, f4[:,::1])",
    "(f8[:,::1], f8[:,::1], b1[::1], i8, f8[:,::1])",
)
def overlaps(
    boxes_a: NDArray[Any], boxes_b: NDArray[Any], is_crowd: NDArray[np.bool_], kind: int, result: NDArray[Any]
) -> None:
    """Write the overlap of every pair; an empty `is_crowd` says that there are no crowds."""
    count = len(boxes_b)
    real = boxes_b.dtype.type
    zero, one, half, epsilon = real(0), real(1), real(0.5), real(1e-7)
    x1, y1, x2, y2, areas = np.empty((5, count), boxes_b.dtype)
    angles = np.empty(count, boxes_b.dtype)
    for k in range(count):
        x1[k], y1[k] = boxes_b[k, 0], boxes_b[k, 1]
        x2[k], y2[k] = max(x1[k], boxes_b[k, 2]), max(y1[k], boxes_b[k, 3])  # a reversed side is none
        areas[k] = (x2[k] - x1[k]) * (y2[k] - y1[k])
        if kind == CIOU:
            angles[k] = _angle(x2[k] - x1[k], y2[k] - y1[k], zero)
    for row in range(len(boxes_a)):
        ax1, ay1 = boxes_a[row, 0], boxes_a[row, 1]
        ax2, ay2 = max(ax1, boxes_a[row, 2]), max(ay1, boxes_a[row, 3])
        area = (ax2 - ax1) * (ay2 - ay1)
        out = result[row]
        if kind == IOS:
            for k in range(count):
                inter = intersection(ax1, ay1, ax2, ay2, x1[k], y1[k], x2[k], y2[k], zero)
                least = min(area, areas[k])
                out[k] = inter / (least if least > zero else one)  # no part of nothing is covered: inter is 0
            continue
        for k in range(count):
            inter = intersection(ax1, ay1, ax2, ay2, x1[k], y1[k], x2[k], y2[k], zero)
            union = area + areas[k] - inter
            out[k] = inter / (union if union > zero else one)
        if len(is_crowd):
            for k in range(count):
                if is_crowd[k]:
                    inter = intersection(ax1, ay1, ax2, ay2, x1[k], y1[k], x2[k], y2[k], zero)
                    out[k] = inter / (area if area > zero else one)
        if kind == GIOU:
            for k in range(count):
                inter = intersection(ax1, ay1, ax2, ay2, x1[k], y1[k], x2[k], y2[k], zero)
                width, height = enclosure(ax1, ay1, ax2, ay2, x1[k], y1[k], x2[k], y2[k])
                around = width * height
                out[k] -= (around - (area + areas[k] - inter)) / around if around > zero else zero
        elif kind in (DIOU, CIOU):
            angle = _angle(ax2 - ax1, ay2 - ay1, zero) if kind == CIOU else zero
            for k in range(count):
                iou = out[k]
                out[k] = iou - remoteness(ax1, ay1, ax2, ay2, x1[k], y1[k], x2[k], y2[k], half, epsilon)
                if kind == CIOU:
                    turn = angle - angles[k]
                    aspect = real(4 / math.pi**2) * (turn * turn)
                    out[k] -= aspect / (one - iou + aspect + epsilon) * aspect


@kernel()
def _angle(width: Any, height: Any, zero: Any) -> Any:
    return zero if width == zero else np.arctan(width / height)
