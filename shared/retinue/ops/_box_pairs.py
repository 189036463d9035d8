"""Which boxes of two sets overlap enough: memory follows the number of such pairs.

The second set is sorted by where its boxes begin. Those that can touch a box of the first are then a run: it ends at
the first that begins beyond the box, and begins where for the first time some box so far ends within it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops._growing import grown
from retinue.ops._kernel import kernel
from retinue.ops._overlap_kernels import DIOU, GIOU, IOS, enclosure, intersection, remoteness

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@kernel(
    "(f4[:,::1], f4[:,::1], i8[::1], i8[::1], i8, f8, b1, i8, u1[::1])",
    "(f8[:,::1], f8[:,::1], i8[::1], i8[::1], i8, f8, b1, i8, u1[::1])",
)
def box_pairs(
    boxes_a: NDArray[Any],
    boxes_b: NDArray[Any],
    labels_a: Indices,
    labels_b: Indices,
    kind: int,
    least: float,
    is_apart_asked: bool,
    most: int,
    stop: NDArray[np.uint8],
) -> tuple[Indices, Indices, Floats]:
    """Return for each box of the first set those of the second that overlap it by at least `least`, and how much.

    Args:
        boxes_a: [n, 4].
        boxes_b: [m, 4].
        labels_a: [n], or empty where labels do not matter.
        labels_b: [m], or empty.
        kind: `IOU`, `GIOU`, `DIOU` or `IOS`, as `pairwise_iou` computes it.
        least: the threshold, inclusive; it counts in the dtype of the boxes.
        is_apart_asked: whether boxes that have no area in common count too.
        most: stops where there are more pairs.
        stop: [1], the flag of a `Stop`; once it is set, what is returned means nothing.

    Returns:
        starts [n + 1], columns [pairs] and overlaps [pairs]: the partners of box i are ``columns`` from ``starts[i]``
        to ``starts[i + 1]``, in no order that means anything. The last start is -1 after a stop.
    """
    n, m = len(boxes_a), len(boxes_b)
    order = np.argsort(boxes_b[:, 0], kind="mergesort")
    sides = np.empty((6, m), boxes_b.dtype)
    x1, y1, x2, y2, areas, farthest = sides
    for k in range(m):
        box = boxes_b[order[k]]
        x1[k], y1[k], x2[k], y2[k] = box[0], box[1], max(box[0], box[2]), max(box[1], box[3])  # reversed is no side
        areas[k] = (x2[k] - x1[k]) * (y2[k] - y1[k])
        farthest[k] = max(x2[k], farthest[k - 1]) if k else x2[k]
    starts = np.zeros(n + 1, np.int64)
    columns, overlaps = np.empty(4 * n, np.int64), np.empty(4 * n)
    row = 0
    while True:
        row = _fill(
            boxes_a, sides, order, labels_a, labels_b, kind, least, is_apart_asked, row, starts, columns, overlaps, stop
        )
        if starts[row] > most or stop[0]:
            starts[n] = -1
            return starts, columns, overlaps
        if row == n:
            return starts, columns[: starts[n]], overlaps[: starts[n]]
        columns, overlaps = grown(columns), grown(overlaps)


@kernel()
def _fill(
    boxes_a: NDArray[Any],
    sides: NDArray[Any],
    order: Indices,
    labels_a: Indices,
    labels_b: Indices,
    kind: int,
    least: float,
    is_apart_asked: bool,
    row: int,
    starts: Indices,
    columns: Indices,
    overlaps: Floats,
    stop: NDArray[np.uint8],
) -> int:
    """Write the partners of boxes from one on; return the first for which there was no room, or how many there are.

    In a function of its own, for the reason that `_neighbours` has for the same.
    """
    x1, y1, x2, y2, areas, farthest = sides
    real = boxes_a.dtype.type
    zero, half, epsilon, threshold = real(0), real(0.5), real(1e-7), real(least)
    for i in range(row, len(boxes_a)):
        left, top = boxes_a[i, 0], boxes_a[i, 1]
        right, bottom = max(left, boxes_a[i, 2]), max(top, boxes_a[i, 3])
        area = (right - left) * (bottom - top)
        begin, end = 0, len(x1)
        if not is_apart_asked:
            begin, end = np.searchsorted(farthest, left, "right"), np.searchsorted(x1, right)
        count = starts[i]
        for k in range(begin, end):
            if not is_apart_asked and (x2[k] <= left or y2[k] <= top or y1[k] >= bottom):
                continue
            j = order[k]
            if len(labels_a) and labels_a[i] != labels_b[j]:
                continue
            inter = intersection(left, top, right, bottom, x1[k], y1[k], x2[k], y2[k], zero)
            if inter > zero or is_apart_asked:
                whole = min(area, areas[k]) if kind == IOS else area + areas[k] - inter
                overlap = inter / whole if whole > zero else zero
                if kind == GIOU:
                    width, height = enclosure(left, top, right, bottom, x1[k], y1[k], x2[k], y2[k])
                    around = width * height
                    overlap -= (around - (area + areas[k] - inter)) / around if around > zero else zero
                elif kind == DIOU:
                    overlap -= remoteness(left, top, right, bottom, x1[k], y1[k], x2[k], y2[k], half, epsilon)
                if overlap >= threshold:
                    if count == len(columns):
                        return i
                    columns[count], overlaps[count] = j, overlap
                    count += 1
        starts[i + 1] = count
        if stop[0]:
            return i
    return len(boxes_a)
