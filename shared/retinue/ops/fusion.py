"""The boxes of several models made one set, in which each box is the mean of those that agree."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, float_boxes, float_vector, number, whole_vector
from retinue.ops._suppression_loops import fused_clusters
from retinue.ops._suppression_order import descending_order
from retinue.ops._suppression_tiles import dense_groups
from retinue.ops.boxes import clip_boxes

_CONFIDENCES = ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")


def weighted_boxes_fusion(  # noqa: PLR0913, all but the first three by name
    boxes_list: Sequence[NDArray[Float]],
    scores_list: Sequence[NDArray[Float]],
    labels_list: Sequence[ArrayLike],
    *,
    weights: Sequence[float] | None = None,
    iou_threshold: float = 0.55,
    min_score: float = 0.0,
    confidence: Literal["avg", "max", "box_and_model_avg", "absent_model_aware_avg"] = "avg",
    allows_overflow: bool = False,
    size: tuple[float, float] | None = None,
) -> tuple[NDArray[Float], NDArray[Float], NDArray[np.int64]]:
    """Return the boxes on which models agree, each the mean of a cluster weighted by score, by descending score.

    By descending score, each box joins the cluster of its label whose mean it overlaps most, if by more than the
    threshold, and moves that mean; else it starts a cluster.

    Args:
        boxes_list: for each model (n, 4) corners ``x1, y1, x2, y2`` in one frame and any unit; float32 or float64,
            other real dtypes count as float64.
        scores_list: for each model (n,), at least 0.
        labels_list: for each model (n,) integers.
        weights: how much each model counts, above 0; its scores are multiplied by it. None: all alike.
        iou_threshold: in [0, 1].
        min_score: boxes with a score below, before it is weighted, are left out.
        confidence: the score of a cluster. ``"avg"``: the mean of its scores, lowered where it has fewer boxes than
            there are models. ``"max"``: the largest over the largest weight. ``"box_and_model_avg"``: the weighted mean
            times the share that its models have of all weights. ``"absent_model_aware_avg"``: the sum over the weights
            of its boxes and of the models that have none in it.
        allows_overflow: with ``"avg"``: count more boxes than there are models, which may raise a score above 1.
        size: height and width to clip boxes to. None: they are not clipped.

    Returns:
        Boxes (m, 4), scores (m,) and labels (m,); boxes and scores in float32 if all that went in are, otherwise in
        float64.

    Raises:
        ValueError: the lists differ in length, an input is of another shape or not finite, a score is negative, labels
            are no integers, a number is outside its range, or `confidence` is another.

    Notes:
        Equal scores are taken in the order of the models and then of their boxes; of clusters that a box overlaps as
        much, it joins the one that began first. Boxes that cover nothing are left out, reversed ones among them.

    Source:
        Solovyev et al., arXiv:1910.13302, and its package ensemble_boxes. That takes coordinates in [0, 1] and clips
        all others, swaps reversed corners, and rounds means to float32; ours are float64 until the end.

    >>> one, other = [[0.0, 0.0, 10.0, 10.0]], [[0.0, 0.0, 12.0, 10.0]]
    >>> boxes, scores, labels = weighted_boxes_fusion([one, other], [[0.6], [0.3]], [[1], [1]])
    >>> boxes.round(3), scores.round(3), labels
    (array([[ 0.   ,  0.   , 10.667, 10.   ]]), array([0.45]), array([1]))
    """
    if confidence not in _CONFIDENCES:
        raise ValueError(f"confidence: must be one of {', '.join(_CONFIDENCES)}, got {confidence!r}")
    model_count = len(boxes_list)
    for name, values in (("scores_list", scores_list), ("labels_list", labels_list), ("weights", weights)):
        if values is not None and len(values) != model_count:
            raise ValueError(f"{name}: must be as long as boxes_list, {model_count}, got {len(values)}")
    trust = np.ones(model_count)
    if weights is not None:
        trust[:] = [number(weight, "weights", above=0) for weight in weights]
    threshold = number(iou_threshold, "iou_threshold", at_least=0, at_most=1)
    boxes = [float_boxes(values, f"boxes_list[{k}]") for k, values in enumerate(boxes_list)]
    scores = [float_vector(values, f"scores_list[{k}]", len(boxes[k])) for k, values in enumerate(scores_list)]
    labels = [whole_vector(values, f"labels_list[{k}]", len(boxes[k])) for k, values in enumerate(labels_list)]
    all_boxes, all_scores, all_labels = _joined(boxes, (0, 4)), _joined(scores, (0,)), _joined(labels, (0,), np.int64)
    box_dtype, score_dtype = all_boxes.dtype, all_scores.dtype
    if all_scores.min(initial=0) < 0:
        raise ValueError("scores_list: must be at least 0")
    if size is not None:
        if np.shape(size) != (2,):
            raise ValueError(f"size: must be height and width, got {size!r}")
        height, width = (number(side, "size", at_least=0) for side in size)
        all_boxes = clip_boxes(all_boxes, height, width)
    models = np.repeat(np.arange(model_count), [len(values) for values in boxes])
    is_taken = (all_boxes[:, 0] < all_boxes[:, 2]) & (all_boxes[:, 1] < all_boxes[:, 3])
    is_taken &= all_scores >= number(min_score, "min_score")
    all_boxes, all_labels, models = all_boxes[is_taken].astype(np.float64), all_labels[is_taken], models[is_taken]
    weighted = all_scores[is_taken] * trust[models]
    order = descending_order(weighted)
    groups, group_count = dense_groups(all_labels, len(order))
    clusters, fused, firsts = fused_clusters(all_boxes, weighted, order, groups, group_count, threshold)
    result = _confidences(weighted[order], clusters[order], models[order], trust, confidence, allows_overflow)
    ranks = descending_order(result)
    return (
        fused[ranks].astype(box_dtype, copy=False),
        result[ranks].astype(score_dtype, copy=False),
        all_labels[firsts[ranks]],
    )


def _joined(arrays: list[NDArray[Any]], empty: tuple[int, ...], dtype: type = np.float64) -> NDArray[Any]:
    """Return the arrays of all models in one; an empty one has no say in the dtype."""
    filled = [array for array in arrays if len(array)]
    return np.concatenate(filled) if filled else np.zeros(empty, dtype)


def _confidences(
    scores: NDArray[np.float64],
    clusters: NDArray[np.int64],
    models: NDArray[np.int64],
    trust: NDArray[np.float64],
    confidence: str,
    allows_overflow: bool,  # noqa: FBT001
) -> NDArray[np.float64]:
    """Return the score of each cluster, from the boxes in the order in which they joined."""
    sizes, sums = np.bincount(clusters), np.bincount(clusters, scores)
    total: float = trust.sum()
    result: NDArray[np.float64]
    if confidence == "max":
        result = np.zeros(len(sizes))
        np.maximum.at(result, clusters, scores)
        result /= trust.max(initial=0)
    elif confidence == "avg":
        result = sums / sizes * (sizes if allows_overflow else np.minimum(sizes, len(trust))) / total
    else:
        held = np.bincount(clusters, trust[models])
        present = np.unique(clusters * len(trust) + models)  # each model once for each cluster
        present_trust = np.bincount(present // max(1, len(trust)), trust[present % max(1, len(trust))])
        if confidence == "box_and_model_avg":
            result = sums / held * present_trust / total
        else:
            result = sums / (held + (total - present_trust))
    return result
