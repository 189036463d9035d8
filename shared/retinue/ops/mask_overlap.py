"""How much two masks cover the same pixels."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import number

Overlap = Any  # a float for a pair of masks, (N,) float64 for stacks: numpy's own idiom


def dice(mask_a: ArrayLike, mask_b: ArrayLike, *, empty: float = 1.0) -> Overlap:
    """Return the Dice coefficient of two masks: twice what they share over the sum of their areas.

    Args:
        mask_a: (H, W), or a stack (..., H, W), of bool or integers; what is not zero is set.
        mask_b: the same, of the same shape.
        empty: what is returned where both masks are empty; NaN keeps such pairs apart.

    Returns:
        float in [0, 1]; for stacks (...) float64, mask by mask.

    Raises:
        ValueError: the shapes differ, a mask has fewer than two axes or another dtype (scores want a threshold first),
            or empty is no number.

    Source:
        Dice, 1945. Exact, where training code commonly adds an epsilon to both sides.

    >>> dice(np.array([[True, True, False]]), np.array([[False, True, False]]))
    0.6666666666666666
    """
    shared, total = _areas(mask_a, mask_b)
    return _ratio(2 * shared, total, empty)


def mask_iou(mask_a: ArrayLike, mask_b: ArrayLike, *, empty: float = 1.0) -> Overlap:
    """Return the IoU (Jaccard index) of two masks: what they share over what either covers.

    Args:
        mask_a: (H, W), or a stack (..., H, W), of bool or integers; what is not zero is set.
        mask_b: the same, of the same shape.
        empty: what is returned where both masks are empty; NaN keeps such pairs apart.

    Returns:
        float in [0, 1]; for stacks (...) float64, mask by mask.

    Raises:
        ValueError: as for `dice`.

    >>> mask_iou(np.array([[True, True, False]]), np.array([[False, True, False]]))
    0.5
    """
    shared, total = _areas(mask_a, mask_b)
    return _ratio(shared, total - shared, empty)


def _areas(mask_a: ArrayLike, mask_b: ArrayLike) -> tuple[Any, Any]:
    """Return how many pixels the masks share, and the sum of their areas."""
    a, b = _mask(mask_a, "mask_a"), _mask(mask_b, "mask_b")
    if a.shape != b.shape:
        raise ValueError(f"mask_b: must be {a.shape} like mask_a, got {b.shape}")
    if a.ndim == 2:  # counted without an array of axes, which is quicker
        return np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b)
    axes = (-2, -1)
    return np.count_nonzero(a & b, axis=axes), np.count_nonzero(a, axis=axes) + np.count_nonzero(b, axis=axes)


def _mask(mask: ArrayLike, name: str) -> NDArray[np.bool_]:
    array = np.asarray(mask)
    if array.ndim < 2 or array.dtype.kind not in "biu":
        raise ValueError(
            f"{name}: must be (H, W) or a stack of such, bool or integers, got {array.shape} {array.dtype}"
        )
    return array if array.dtype == np.bool_ else array != 0


def _ratio(part: Any, whole: Any, empty: float) -> Overlap:
    nothing = math.nan if empty != empty else number(empty, "empty")  # noqa: PLR0124, NaN is not
    if np.ndim(whole) == 0:
        return int(part) / int(whole) if whole else nothing
    return np.where(whole == 0, nothing, part / np.maximum(whole, 1))
