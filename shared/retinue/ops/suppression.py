"""Of boxes that show the same thing, the best."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, number, whole_number
from retinue.ops._overlap_kernels import DIOU, IOS, IOU, measurable_boxes
from retinue.ops._suppression_loops import kept_boxes
from retinue.ops._suppression_order import ranked
from retinue.ops._suppression_tiles import dense_groups

SuppressionMetric = Literal["iou", "diou", "ios"]

_METRICS = {"iou": IOU, "diou": DIOU, "ios": IOS}


def nms(
    boxes: NDArray[Float],
    scores: NDArray[Float],
    iou_threshold: float,
    *,
    labels: ArrayLike | None = None,
    max_output: int | None = None,
    metric: SuppressionMetric = "iou",
) -> NDArray[np.int64]:
    """Return the indices of the boxes that no better box overlaps too far, best first.

    Non-maximum suppression: the best box is kept and all that overlap it by more than the threshold are dropped, then
    the best of the rest, and so on.

    Args:
        boxes: (n, 4) corners ``x1, y1, x2, y2`` in any one frame, float32 or float64; other real dtypes count as
            float64. Negative coordinates are as good as others.
        scores: (n,) float32 or float64, higher is better.
        iou_threshold: in [0, 1]; a box is dropped if its overlap with a kept one is above it, not if it is equal.
        labels: (n,) integers: boxes of different labels never suppress each other. None: all are of one label.
        max_output: how many boxes to return at most, at least 0; None for all. The search stops there.
        metric: how overlap is measured: ``"iou"``, ``"diou"`` (which spares boxes whose centres lie apart) or
            ``"ios"`` (intersection over the smaller area), as in `pairwise_iou`.

    Returns:
        (m,) indices by descending score.

    Raises:
        ValueError: an input is of another shape or not finite, the threshold is outside [0, 1], labels are no
            integers, `max_output` is negative or no whole number, or the metric is another.

    Notes:
        Equal scores come by lowest index. A box without area, or with a reversed side, overlaps nothing: it is always
        kept, and drops no other. Labels are exact: no coordinates are shifted to tell them apart. Equal to the plain
        loop over all pairs, whose time it takes only where all boxes overlap.

    Source:
        torchvision's `nms` and its arithmetic in the dtype of the boxes, so that comparisons at equality come out the
        same; and its `batched_nms`, without the shift that loses digits and mixes labels at negative coordinates.
        DIoU-NMS: Zheng et al., AAAI 2020, arXiv:1911.08287. Intersection over the smaller area: sahi, which drops at
        equality too.

    >>> boxes = np.array([[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    >>> nms(boxes, np.array([0.6, 0.9, 0.7]), 0.5)
    array([1, 2])
    >>> nms(boxes, np.array([0.6, 0.9, 0.7]), 0.5, labels=[0, 1, 1])
    array([1, 2, 0])
    """
    code = _METRICS.get(metric)
    if code is None:
        raise ValueError(f"metric: must be one of {', '.join(_METRICS)}, got {metric!r}")
    array = measurable_boxes(boxes)
    _, order = ranked(scores, len(array))
    threshold = number(iou_threshold, "iou_threshold", at_least=0, at_most=1)
    max_count = len(array)
    if max_output is not None:
        max_count = min(max_count, whole_number(max_output, "max_output", at_least=0))
    groups, group_count = dense_groups(labels, len(array))
    return kept_boxes(array, order, groups, group_count, threshold, code, max_count)
