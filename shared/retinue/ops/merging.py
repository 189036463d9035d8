"""Boxes that show the same thing made one: for what has been cut by the edges of tiles."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, float_boxes, number, whole_vector
from retinue.ops._overlap_kernels import IOS, IOU, measurable_boxes
from retinue.ops._suppression_loops import keepers_of
from retinue.ops._suppression_order import ranked
from retinue.ops._suppression_tiles import dense_groups

_METRICS = {"ios": IOS, "iou": IOU}
_MODES = ("greedy", "transitive")


class MergedBoxes(NamedTuple):
    """What merging leaves, by descending score.

    Args:
        boxes: (m, 4) the smallest boxes around their groups.
        scores: (m,) the best of each group.
        labels: (m,) of each group; zeros where no labels were given.
        keepers: (n,) for each box that went in, the index of the best of its group; its own if it is that.
    """

    boxes: NDArray[Any]
    scores: NDArray[Any]
    labels: NDArray[np.int64]
    keepers: NDArray[np.int64]


def merge_boxes(
    boxes: NDArray[Float],
    scores: NDArray[Float],
    *,
    labels: ArrayLike | None = None,
    threshold: float = 0.5,
    metric: Literal["ios", "iou"] = "ios",
    mode: Literal["greedy", "transitive"] = "greedy",
) -> MergedBoxes:
    """Return one box for each group of boxes that overlap: the smallest around all of them, with the best score.

    Non-maximum merging: the best box takes all that overlap it enough, then the best of the rest, and so on. An object
    that lies across the edge of a tile is found in parts, and a part lies within the whole: hence the metric.

    Args:
        boxes: (n, 4) corners ``x1, y1, x2, y2`` in one frame, float32 or float64; other real dtypes count as float64.
        scores: (n,) float32 or float64, higher is better.
        labels: (n,) integers: boxes of different labels are never merged. None: all are of one label.
        threshold: in [0, 1]; a box is taken if its overlap is at least that, and if they overlap at all.
        metric: ``"ios"``, intersection over the smaller area, or ``"iou"``, over the union.
        mode: ``"greedy"`` compares with the best box of a group only; ``"transitive"`` also lets every box that has
            been taken take what overlaps it, if its score is lower and nothing better has taken it.

    Returns:
        Boxes, scores and labels of the groups by descending score, and for each box that went in the index of the best
        of its group.

    Raises:
        ValueError: an input is of another shape or not finite, the threshold is outside [0, 1], labels are no
            integers, or metric or mode is another.

    Notes:
        Boxes are compared as they went in, not as their group has grown. Of equal scores the lowest index is the
        better. A box without area, or with a reversed side, overlaps nothing and stays as it is. A transitive group
        may reach far along a chain of boxes; two groups stay two if all that joins them is worse than both.

    Source:
        sahi's NMM and greedy NMM. It breaks ties by coordinates, and drops a box that was taken but does not overlap
        what its group has grown to by then: we keep every box in its group.

    >>> boxes = np.array([[0.0, 0.0, 10.0, 10.0], [8.0, 2.0, 12.0, 8.0], [30.0, 0.0, 40.0, 10.0]])
    >>> merged = merge_boxes(boxes, np.array([0.9, 0.6, 0.8]))
    >>> merged.boxes
    array([[ 0.,  0., 12., 10.],
           [30.,  0., 40., 10.]])
    >>> merged.keepers
    array([0, 0, 2])
    """
    code = _METRICS.get(metric)
    if code is None:
        raise ValueError(f"metric: must be one of {', '.join(_METRICS)}, got {metric!r}")
    if mode not in _MODES:
        raise ValueError(f"mode: must be one of {', '.join(_MODES)}, got {mode!r}")
    array = measurable_boxes(boxes)
    given, order = ranked(scores, len(array))
    least = number(threshold, "threshold", at_least=0, at_most=1)
    groups, group_count = dense_groups(labels, len(array))
    keepers = keepers_of(array, order, groups, group_count, least, code, mode == "transitive")
    best = order[keepers[order] == order]
    return MergedBoxes(
        _around(float_boxes(boxes), keepers)[best],
        given[best],
        np.zeros(len(best), np.int64) if labels is None else whole_vector(labels, "labels")[best],
        keepers,
    )


def _around(boxes: NDArray[Float], keepers: NDArray[np.int64]) -> NDArray[Float]:
    """Return the smallest box around each group, in the row of its keeper."""
    around = boxes.copy()
    taken = (keepers != np.arange(len(keepers))).nonzero()[0]
    for column, bound in enumerate((np.minimum, np.minimum, np.maximum, np.maximum)):
        bound.at(around[:, column], keepers[taken], boxes[taken, column])
    return around
