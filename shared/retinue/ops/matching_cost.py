"""What DETR pays for taking a query as a target."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, finite_floats, float_boxes, number, whole_vector
from retinue.ops.boxes import convert_boxes
from retinue.ops.overlap import pairwise_iou


def detr_cost(
    probabilities: NDArray[Float],
    boxes: NDArray[Float],
    target_labels: ArrayLike,
    target_boxes: NDArray[Float],
    *,
    class_weight: float = 1.0,
    box_weight: float = 5.0,
    iou_weight: float = 2.0,
) -> NDArray[np.float64]:
    """Return the cost of every query for every target: give it to `assign`.

    Args:
        probabilities: (q, classes) float32 or float64, a softmax, no-object among the classes.
        boxes: (q, 4) ``cx, cy, w, h``, usually in [0, 1].
        target_labels: (t,) integers in [0, classes).
        target_boxes: (t, 4) as ``boxes``.
        class_weight: weight of ``-probability`` of the target's class.
        box_weight: weight of the L1 distance of the four numbers.
        iou_weight: weight of ``-GIoU`` of the boxes as corners.

    Returns:
        (q, t) float64.

    Raises:
        ValueError: an argument is not as said, or a weight is not finite.

    Notes:
        No targets give (q, 0). The default weights are those that DETR is trained with (``main.py``); the matcher class
        alone defaults to 1, 1, 1.

    Source:
        Carion et al., ECCV 2020, arXiv:2005.12872, ``HungarianMatcher``.

    >>> same = np.array([[0.5, 0.5, 0.2, 0.2]])
    >>> detr_cost(np.array([[0.25, 0.75]]), same, [1], same).round(6)
    array([[-2.75]])
    """
    scores = finite_floats(probabilities, "probabilities")
    if scores.ndim != 2:
        raise ValueError(f"probabilities: must be (q, classes), got {scores.shape}")
    queries = float_boxes(boxes, "boxes").astype(np.float64, copy=False)
    targets = float_boxes(target_boxes, "target_boxes").astype(np.float64, copy=False)
    if len(queries) != len(scores):
        raise ValueError(f"boxes: must be ({len(scores)}, 4) like probabilities, got {queries.shape}")
    labels = whole_vector(target_labels, "target_labels", len(targets))
    if labels.size and not (labels.min() >= 0 and labels.max() < scores.shape[1]):
        raise ValueError(f"target_labels: must be in [0, {scores.shape[1]}), got {labels.min()} to {labels.max()}")
    by_class = number(class_weight, "class_weight")
    by_box = number(box_weight, "box_weight")
    by_iou = number(iou_weight, "iou_weight")
    distance = np.abs(queries[:, None] - targets[None]).sum(axis=-1)
    corners, target_corners = (convert_boxes(one, "cxcywh", "xyxy") for one in (queries, targets))
    giou = pairwise_iou(corners, target_corners, kind="giou")
    cost: NDArray[np.float64] = by_box * distance - by_class * scores[:, labels] - by_iou * giou
    return cost
