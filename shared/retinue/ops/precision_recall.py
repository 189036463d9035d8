"""Precision against recall of a ranking, and the area under their steps."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, finite_floats, native
from retinue.ops._kernel import kernel

Doubles = NDArray[np.float64]


def precision_recall_curve(scores: NDArray[Float], is_positive: ArrayLike) -> tuple[Doubles, Doubles, NDArray[Float]]:
    """Return precision and recall at every score that occurs, and these scores.

    Args:
        scores: (n,) float32 or float64, higher is more positive; other real dtypes count as float64.
        is_positive: (n,) bool, or numbers that are all 0 or 1.

    Returns:
        Precision (t + 1,), recall (t + 1,) and thresholds (t,), in the order of scikit-learn: thresholds ascend, so
        recall falls. Entry i is of those whose score is at least ``thresholds[i]``; the last precision is 1, the last
        recall 0. float64; thresholds have the dtype of the scores.

    Raises:
        ValueError: a score is NaN, infinite or no real number, the shapes differ, a claim is neither 0 nor 1, or
            nothing is positive (nor in an empty input): there is no recall then.

    Notes:
        Equal scores make one threshold. The thresholds begin with the lowest score, as in scikit-learn unless
        intermediates are dropped.

    >>> precision, recall, thresholds = precision_recall_curve(np.array([0.1, 0.4, 0.35, 0.8]), [0, 0, 1, 1])
    >>> precision
    array([0.5       , 0.66666667, 0.5       , 1.        , 1.        ])
    >>> recall, thresholds
    (array([1. , 1. , 0.5, 0.5, 0. ]), array([0.1 , 0.35, 0.4 , 0.8 ]))
    """
    positives, negatives = _ranked(scores, is_positive)
    thresholds = np.empty(len(positives) + len(negatives), positives.dtype)
    precision, recall = np.empty(thresholds.size + 1), np.empty(thresholds.size + 1)
    count = _curve(positives, negatives, precision, recall, thresholds)
    return precision[: count + 1].copy(), recall[: count + 1].copy(), thresholds[:count].copy()


def average_precision(scores: NDArray[Float], is_positive: ArrayLike) -> float:
    """Return the average precision of a ranking: the precision at each score, weighted by the recall won there.

    Args:
        scores: (n,) float32 or float64, higher is more positive; other real dtypes count as float64.
        is_positive: (n,) bool, or numbers that are all 0 or 1.

    Returns:
        The sum of ``(R_n - R_{n-1}) * P_n`` over thresholds, in (0, 1]. Nothing is interpolated.

    Raises:
        ValueError: as for `precision_recall_curve`.

    Notes:
        Equal scores make one threshold, so their order does not matter.

    Source:
        As scikit-learn defines it. COCO interpolates instead: see `evaluate_detections`.

    >>> round(average_precision(np.array([0.1, 0.4, 0.35, 0.8]), [0, 0, 1, 1]), 4)
    0.8333
    """
    return float(_steps(*_ranked(scores, is_positive)))


def _ranked(scores: NDArray[Float], is_positive: ArrayLike) -> tuple[NDArray[Float], NDArray[Float]]:
    """Return the scores of positives and of negatives, ascending: sorted apart, no index needs to move with them."""
    array = finite_floats(scores, "scores")
    claims = np.asarray(is_positive)
    if array.ndim != 1 or claims.shape != array.shape:
        raise ValueError(f"is_positive: must be (n,) like scores, got {claims.shape} for scores {array.shape}")
    if claims.dtype != np.bool_:
        if claims.dtype.kind not in "iuf" or not np.isin(claims, (0, 1)).all():
            raise ValueError("is_positive: must be booleans, or numbers that are all 0 or 1")
        claims = claims.astype(np.bool_)
    positives, negatives = native(array[claims]), native(array[~claims])
    if positives.size == 0:
        raise ValueError("is_positive: must be true for one at least")
    positives.sort()
    negatives.sort()
    return positives, negatives


@kernel("(f4[::1], f4[::1], f8[::1], f8[::1], f4[::1])", "(f8[::1], f8[::1], f8[::1], f8[::1], f8[::1])")
def _curve(
    positives: NDArray[Any], negatives: NDArray[Any], precision: Doubles, recall: Doubles, thresholds: NDArray[Any]
) -> int:
    """Fill in the curve; return how many thresholds there are."""
    passed, passed_negatives = 0, 0  # scores below the threshold
    count = 0
    while passed < positives.size or passed_negatives < negatives.size:
        if passed_negatives == negatives.size or (
            passed < positives.size and positives[passed] <= negatives[passed_negatives]
        ):
            threshold = positives[passed]
        else:
            threshold = negatives[passed_negatives]
        hits, misses = positives.size - passed, negatives.size - passed_negatives
        precision[count] = hits / (hits + misses)
        recall[count] = hits / positives.size
        thresholds[count] = threshold
        count += 1
        while passed < positives.size and positives[passed] == threshold:
            passed += 1
        while passed_negatives < negatives.size and negatives[passed_negatives] == threshold:
            passed_negatives += 1
    precision[count] = 1.0
    recall[count] = 0.0
    return count


@kernel("(f4[::1], f4[::1])", "(f8[::1], f8[::1])")
def _steps(positives: NDArray[Any], negatives: NDArray[Any]) -> float:
    """Return the average precision, from the highest score down: only steps of recall need to be looked at."""
    total = 0.0
    left, negatives_left = positives.size, negatives.size  # scores below what was looked at
    while left > 0:
        threshold = positives[left - 1]
        before = left
        while left > 0 and positives[left - 1] == threshold:
            left -= 1
        while negatives_left > 0 and negatives[negatives_left - 1] >= threshold:
            negatives_left -= 1
        hits = positives.size - left
        total += (before - left) * (hits / (hits + negatives.size - negatives_left))
    return total / positives.size
