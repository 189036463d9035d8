"""Which detection goes on which track: overlapping enough, as much in total as possible."""

import numpy as np
from numpy.typing import NDArray

from retinue.ops import assign, pairwise_iou

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


def associate(
    predicted: Doubles,
    boxes: Doubles,
    least_iou: float,
    *,
    predicted_class_ids: Indices | None = None,
    class_ids: Indices | None = None,
) -> tuple[Indices, Indices]:
    """Return pairs of a predicted box and a detected one, none used twice, with the greatest total IoU.

    Args:
        predicted: [n, 4] corners.
        boxes: [m, 4] corners, same frame.
        least_iou: the gate: below it there is no pair, in [0, 1].
        predicted_class_ids: [n]; with ``class_ids``, only boxes of the same class are paired. None: classes do not
            matter.
        class_ids: [m].

    Returns:
        Positions in ``predicted`` and ``boxes``, int64 [k] each, the first ascending.

    Notes:
        Boxes without area in common are never a pair. Not the most pairs are wanted but the most overlap: a sure pair
        is not given up so that two doubtful ones come about. Of equally good answers it is always the same one.

    >>> here, near, there = [0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [50.0, 0.0, 60.0, 10.0]
    >>> rows, columns = associate(np.array([near, there]), np.array([there, here]), 0.5)
    >>> rows.tolist(), columns.tolist()
    ([0, 1], [1, 0])
    """
    iou = pairwise_iou(predicted, boxes)
    is_allowed = (iou >= least_iou) & (iou > 0)
    if predicted_class_ids is not None and class_ids is not None:
        is_allowed &= predicted_class_ids[:, None] == class_ids
    rows, columns = np.nonzero(is_allowed)
    row_choices, column_choices = is_allowed.sum(axis=1), is_allowed.sum(axis=0)
    # Mostly a track and a detection have each other alone, and then there is nothing to solve.
    is_clear = (row_choices[rows] == 1) & (column_choices[columns] == 1)
    clear_rows, clear_columns = rows[is_clear], columns[is_clear]
    open_rows, open_columns = np.unique(rows[~is_clear]), np.unique(columns[~is_clear])
    if not open_rows.size:
        return clear_rows, clear_columns
    among = np.ix_(open_rows, open_columns)
    # A gain of nothing is no reason to pair, yet no reason to leave a pair out either: such pairs are dropped after.
    first, second = assign(np.where(is_allowed[among], iou[among], 0.0), maximize=True)
    is_real = is_allowed[among][first, second]
    all_rows = np.concatenate([clear_rows, open_rows[first[is_real]]])
    all_columns = np.concatenate([clear_columns, open_columns[second[is_real]]])
    order = np.argsort(all_rows)
    return all_rows[order], all_columns[order]
