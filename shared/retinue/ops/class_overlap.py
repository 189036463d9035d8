"""How much each class of two maps covers the same pixels: semantic segmentation."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import number
from retinue.ops.confusion import confusion_matrix


def class_dice(
    true_map: ArrayLike, predicted_map: ArrayLike, class_count: int, *, empty: float = 1.0
) -> NDArray[np.float64]:
    """Return the Dice coefficient of each class of two maps of classes.

    Args:
        true_map: integers in [0, class_count), of any shape.
        predicted_map: the same, of the same shape.
        class_count: how many classes there are.
        empty: the coefficient of a class that neither map has; NaN keeps it apart.

    Returns:
        (class_count,) float64 in [0, 1].

    Raises:
        ValueError: as for `confusion_matrix`, or empty is no number.

    >>> class_dice([[0, 1, 1]], [[0, 0, 1]], 3)
    array([0.66666667, 0.66666667, 1.        ])
    """
    matrix = confusion_matrix(true_map, predicted_map, class_count)
    return _ratio(2 * matrix.diagonal(), matrix.sum(axis=0) + matrix.sum(axis=1), empty)


def class_iou(
    true_map: ArrayLike, predicted_map: ArrayLike, class_count: int, *, empty: float = 1.0
) -> NDArray[np.float64]:
    """Return the IoU of each class of two maps of classes; their mean is the mIoU of semantic segmentation.

    Args:
        true_map: integers in [0, class_count), of any shape.
        predicted_map: the same, of the same shape.
        class_count: how many classes there are.
        empty: the IoU of a class that neither map has; NaN keeps it apart.

    Returns:
        (class_count,) float64 in [0, 1].

    Raises:
        ValueError: as for `confusion_matrix`, or empty is no number.

    >>> class_iou([[0, 1, 1]], [[0, 0, 1]], 3)
    array([0.5, 0.5, 1. ])
    """
    matrix = confusion_matrix(true_map, predicted_map, class_count)
    shared = matrix.diagonal()
    return _ratio(shared, matrix.sum(axis=0) + matrix.sum(axis=1) - shared, empty)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64], empty: float) -> NDArray[np.float64]:
    nothing = math.nan if empty != empty else number(empty, "empty")  # noqa: PLR0124, NaN is not
    return np.where(whole == 0, nothing, part / np.maximum(whole, 1))
