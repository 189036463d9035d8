"""From logits to scores, and the best of them."""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import Float, finite_floats, finite_rows, whole_number

_PICKED_ONE_BY_ONE = 8  # so few are found faster one after the other than by a partition
_SORTED_OUTRIGHT = 256  # so few scores sort faster than they can be searched


def softmax(logits: NDArray[Float], axis: int = -1) -> NDArray[Float]:
    """Return the softmax of logits along one axis: positive scores that sum to 1.

    Args:
        logits: float32 or float64 of any shape with at least one axis; other real dtypes count as float64.
        axis: the axis of the classes.

    Returns:
        Same shape and dtype, in [0, 1].

    Raises:
        ValueError: a logit is NaN, infinite or no real number, or there is no such axis.

    Notes:
        No finite logit overflows: the maximum is taken off first. An empty array, or one without classes, comes back
        empty.

    >>> softmax(np.array([[1000.0, 1000.0], [0.0, -5000.0]]))
    array([[0.5, 0.5], [1. , 0. ]])
    """
    array = finite_rows(logits, "logits")
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis: must be in [{-array.ndim}, {array.ndim}), got {axis}")
    # Logits at both ends of the dtype's range differ by more than it holds; -inf is then the right exponent.
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp(array - array.max(axis=axis, keepdims=True, initial=-np.inf))
        scores: NDArray[Float] = weights / weights.sum(axis=axis, keepdims=True)
    return scores


def sigmoid(logits: NDArray[Float]) -> NDArray[Float]:
    """Return the logistic sigmoid of each logit, ``1 / (1 + exp(-z))``.

    Args:
        logits: float32 or float64 of any shape; other real dtypes count as float64.

    Returns:
        Same shape and dtype, in [0, 1].

    Raises:
        ValueError: a logit is NaN, infinite or no real number.

    Notes:
        Only exponents of negative numbers are taken, so neither side overflows and small scores keep their digits.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    array = finite_floats(logits, "logits")
    with np.errstate(under="ignore"):
        weight = np.exp(-np.abs(array))
        scores: NDArray[Float] = np.where(array >= 0, 1, weight) / (1 + weight)
    return scores


def top_k(scores: NDArray[Float], k: int) -> NDArray[np.intp]:
    """Return the indices of the k best scores along the last axis, best first, equal scores by lowest index.

    Args:
        scores: [..., n] float32 or float64; other real dtypes count as float64.
        k: how many, at least 0; more than n gives all n.

    Returns:
        [..., min(k, n)] indices into the last axis.

    Raises:
        ValueError: a score is NaN, infinite or no real number, there is no axis, or k is negative or no whole number.

    Notes:
        Equal to a stable descending sort cut after k, without sorting the rest. 0.0 and -0.0 are equal.

    >>> top_k(np.array([0.1, 0.4, 0.1, 0.4]), 3)
    array([1, 3, 0])
    """
    array = finite_rows(scores, "scores")
    count = array.shape[-1]
    k = min(whole_number(k, "k", at_least=0), count)
    if 0 < k <= _PICKED_ONE_BY_ONE and count > k:
        return _picked(array, k)
    if k in (0, count) or array.size <= _SORTED_OUTRIGHT:
        return np.argsort(-array, axis=-1, kind="stable")[..., :k]
    rows = array.reshape(-1, count)
    weakest = np.partition(rows, count - k, axis=-1)[:, count - k, None]
    is_taken = rows >= weakest
    if np.count_nonzero(is_taken) > k * len(rows):
        # Of the scores equal to the k-th best, only the first so many as there is room for.
        is_tied = rows == weakest
        room = k - (rows > weakest).sum(axis=-1, keepdims=True)
        is_taken &= ~is_tied | (is_tied.cumsum(axis=-1) <= room)
    # Each row has exactly k places now, in index order, so that the stable sort leaves ties to the lowest index.
    taken = is_taken.nonzero()[1].reshape(-1, k)
    order = np.argsort(-np.take_along_axis(rows, taken, axis=-1), axis=-1, kind="stable")
    return np.take_along_axis(taken, order, axis=-1).reshape(*array.shape[:-1], k)


def _picked(scores: NDArray[Float], k: int) -> NDArray[np.intp]:
    """Return the k best by taking the first largest k times: for few of them quicker than any partition."""
    rows = scores.reshape(-1, scores.shape[-1]).copy()
    everyone = np.arange(len(rows))
    best = np.empty((len(rows), k), np.intp)
    for place in range(k):
        best[:, place] = leaders = rows.argmax(axis=-1)
        rows[everyone, leaders] = -np.inf  # below every finite score
    return best.reshape(*scores.shape[:-1], k)
