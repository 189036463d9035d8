"""Which boxes of two sets are the same things: overlapping enough, as many as possible, as well as possible."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, native, number, whole_number, whole_vector
from retinue.ops._box_pairs import box_pairs
from retinue.ops._listed_assignment import solve_listed
from retinue.ops._listed_pairs import listed_pairs
from retinue.ops._overlap_kernels import DIOU, GIOU, IOS, IOU, comparable_boxes
from retinue.ops.pairing import Pairing
from retinue.ops.stopping import NEVER, Stop

Metric = Literal["iou", "giou", "diou", "ios"]

_KINDS = {"iou": IOU, "giou": GIOU, "diou": DIOU, "ios": IOS}
_NO_LABELS = np.zeros(0, np.int64)


def match_boxes(  # noqa: PLR0913 - options are keywords
    a: NDArray[Float],
    b: NDArray[Float],
    *,
    threshold: float = 0.5,
    metric: Metric = "iou",
    labels_a: ArrayLike | None = None,
    labels_b: ArrayLike | None = None,
    most_candidates: int = 2**26,
    stop: Stop = NEVER,
) -> Pairing:
    """Return pairs of boxes that overlap by at least ``threshold``, none used twice.

    Of all such pairings the one with the most pairs, and of those the one with the greatest total overlap.

    Args:
        a: (n, 4) true boxes ``x1, y1, x2, y2``, pixels.
        b: (m, 4) found boxes, same frame.
        threshold: least overlap of a pair, inclusive; in [0, 1] for iou and ios, from -1 for giou and diou. It counts
            in the dtype of the boxes, as overlap does: 0.9 of float32 is as much as 0.9.
        metric: how overlap is measured, as in `pairwise_iou`.
        labels_a: (n,) integers; with ``labels_b``, only boxes of the same label are paired. None: labels do not matter.
        labels_b: (m,) integers.
        most_candidates: how many pairs may overlap enough, of which the answer is chosen; 16 bytes each.
        stop: ends the work, from another thread, before the next box is looked at or placed.

    Returns:
        The pairs; their values are overlaps, float64.

    Raises:
        ValueError: an argument is not as said, only one of the two sets has labels, or more pairs overlap by the
            threshold than may.
        Stopped: ``stop`` is set.

    Notes:
        With iou and ios, boxes that have no area in common are no pair, whatever the threshold. Memory follows the
        number of pairs that overlap enough. Where several answers are equally good it is always the same one. Shares
        of the pairing (precision, recall, f1) are NaN where they are 0/0.

    Source:
        The order of preference is that of stardist's ``matching``.

    >>> pairing = match_boxes(np.array([[0.0, 0, 2, 2]]), np.array([[5.0, 5, 6, 6], [0, 0, 2, 1]]))
    >>> pairing.index_b.tolist(), pairing.values.tolist(), pairing.unpaired_b.tolist()
    ([1], [0.5], [0])
    """
    kind = _KINDS.get(metric)
    if kind is None:
        raise ValueError(f"metric: must be one of {', '.join(_KINDS)}, got {metric!r}")
    is_share = kind in (IOU, IOS)
    least = number(threshold, "threshold", at_least=0.0 if is_share else -1.0, at_most=1.0)
    first, second, _ = comparable_boxes(a, b)
    n, m = len(first), len(second)
    classes_a = classes_b = _NO_LABELS
    if labels_a is not None and labels_b is not None:
        classes_a = native(whole_vector(labels_a, "labels_a", n))
        classes_b = native(whole_vector(labels_b, "labels_b", m))
    elif labels_a is not None or labels_b is not None:
        raise ValueError("labels_b: must be given with labels_a, and only with it")
    # Neither giou nor diou is above iou: with a positive threshold, boxes without an area in common are no pair.
    is_apart_asked = not is_share and least <= 0
    most = whole_number(most_candidates, "most_candidates", at_least=0)
    starts, columns, overlaps = box_pairs(
        first, second, classes_a, classes_b, kind, least, is_apart_asked, most, stop.flag
    )
    stop.check()
    if starts[-1] < 0:
        raise ValueError(f"threshold: must leave at most {most} possible pairs, got more at {threshold!r}")
    chosen = solve_listed(starts, columns, -overlaps, m, stop.flag)
    stop.check()
    return Pairing(*listed_pairs(chosen, columns, overlaps, m))
