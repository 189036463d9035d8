"""Which boxes of two sets are the same things: overlapping enough, as many as possible, as well as possible."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, float_boxes, number, whole_vector
from retinue.ops._listed_assignment import assign_listed
from retinue.ops.overlap import pairwise_iou
from retinue.ops.pairing import Pairing

Metric = Literal["iou", "giou", "diou", "ios"]

_CELLS_AT_ONCE = 1 << 20  # of the overlap matrix, which is never made as a whole


def match_boxes(
    a: NDArray[Float],
    b: NDArray[Float],
    *,
    threshold: float = 0.5,
    metric: Metric = "iou",
    labels_a: ArrayLike | None = None,
    labels_b: ArrayLike | None = None,
) -> Pairing:
    """Return pairs of boxes that overlap by at least ``threshold``, none used twice.

    Of all such pairings the one with the most pairs, and of those the one with the greatest total overlap.

    Args:
        a: (n, 4) true boxes ``x1, y1, x2, y2``, pixels.
        b: (m, 4) found boxes, same frame.
        threshold: least overlap of a pair, inclusive; in [0, 1] for iou and ios, from -1 for giou and diou.
        metric: how overlap is measured, as in `pairwise_iou`.
        labels_a: (n,) integers; with ``labels_b``, only boxes of the same label are paired. None: labels do not matter.
        labels_b: (m,) integers.

    Returns:
        The pairs; their values are overlaps, float64.

    Raises:
        ValueError: an argument is not as said, or only one of the two sets has labels.

    Notes:
        With iou and ios, boxes that do not touch are no pair, whatever the threshold. Memory follows the number of
        pairs that overlap enough.

    Source:
        The order of preference is that of stardist's ``matching``.

    >>> pairing = match_boxes(np.array([[0.0, 0, 2, 2]]), np.array([[5.0, 5, 6, 6], [0, 0, 2, 1]]))
    >>> pairing.index_b.tolist(), pairing.values.tolist(), pairing.unpaired_b.tolist()
    ([1], [0.5], [0])
    """
    first, second = float_boxes(a, "a"), float_boxes(b, "b")
    if metric not in ("iou", "giou", "diou", "ios"):
        raise ValueError(f'metric: must be "iou", "giou", "diou" or "ios", got {metric!r}')
    least = number(threshold, "threshold", at_least=0.0 if metric in ("iou", "ios") else -1.0, at_most=1.0)
    if (labels_a is None) != (labels_b is None):
        raise ValueError("labels_b: must be given with labels_a, and only with it")
    n, m = len(first), len(second)
    classes = None
    if labels_a is not None and labels_b is not None:
        classes = whole_vector(labels_a, "labels_a", n), whole_vector(labels_b, "labels_b", m)
    rows, columns, overlaps = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    step = max(1, _CELLS_AT_ONCE // max(m, 1))
    for begin in range(0, n, step):
        part = pairwise_iou(first[begin : begin + step], second, kind=metric).astype(np.float64, copy=False)
        is_pair = part >= least
        if metric in ("iou", "ios"):
            is_pair &= part > 0
        if classes is not None:
            is_pair &= classes[0][begin : begin + step, None] == classes[1]
        i, j = np.nonzero(is_pair)
        rows.append(i + begin)
        columns.append(j)
        overlaps.append(part[i, j])
    row, column, overlap = np.concatenate(rows), np.concatenate(columns), np.concatenate(overlaps)
    chosen = assign_listed(row, column, -overlap, n, m)
    return Pairing.of(row[chosen], column[chosen], overlap[chosen], n, m)
