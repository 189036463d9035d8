"""Figures read off curves of a ranking."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, finite_floats


def roc_auc(scores: NDArray[Float], is_positive: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a positive outscores a negative, ties counting one half.

    Args:
        scores: (n,) float32 or float64, higher is more positive; other real dtypes count as float64.
        is_positive: (n,) bool, or numbers that are all 0 or 1.

    Returns:
        The area, in [0, 1].

    Raises:
        ValueError: a score is NaN, infinite or no real number, the shapes differ, a claim is neither 0 nor 1, or
            positives or negatives are missing (an empty input is missing both): there is no area then.

    Source:
        Mann and Whitney, 1947: the U statistic over the number of pairs.

    >>> roc_auc(np.array([0.1, 0.4, 0.4, 0.8]), [False, False, True, True])
    0.875
    """
    array = finite_floats(scores, "scores")
    claims = np.asarray(is_positive)
    if array.ndim != 1 or claims.shape != array.shape:
        raise ValueError(f"is_positive: must be (n,) like scores, got {claims.shape} for scores {array.shape}")
    if claims.dtype != np.bool_:
        if claims.dtype.kind not in "iuf" or not np.isin(claims, (0, 1)).all():
            raise ValueError("is_positive: must be booleans, or numbers that are all 0 or 1")
        claims = claims.astype(np.bool_)
    positive_count = int(claims.sum())
    negative_count = claims.size - positive_count
    if positive_count == 0 or negative_count == 0:
        raise ValueError(f"is_positive: needs both kinds, got {positive_count} true and {negative_count} false")
    _, place, sizes = np.unique(array, return_inverse=True, return_counts=True)
    # Ranks are counted in halves, so that they stay exact integers: equal scores share the mean of their ranks.
    doubled_ranks = 2 * np.cumsum(sizes) - sizes + 1
    doubled_u = int(doubled_ranks[place][claims].sum()) - positive_count * (positive_count + 1)
    return doubled_u / (2 * positive_count * negative_count)
