"""Who was paired, and who was left over, once a list of possible pairs is solved."""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@kernel("(i8[::1], i8[::1], f8[::1], i8)")
def listed_pairs(
    chosen: Indices, columns: Indices, values: Floats, column_count: int
) -> tuple[Indices, Indices, Floats, Indices, Indices]:
    """Return the fields of a `Pairing`, in their order.

    Args:
        chosen: [n]; which pair of the list each row is in, -1 where in none.
        columns: [pairs], below ``column_count``.
        values: [pairs].
        column_count: how many columns there are.
    """
    n = len(chosen)
    count = 0
    for i in range(n):
        count += chosen[i] >= 0
    rows, taken, kept = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count)
    free_rows, free_columns = np.empty(n - count, np.int64), np.empty(column_count - count, np.int64)
    is_taken = np.zeros(column_count, np.bool_)
    at = 0
    for i in range(n):
        pair = chosen[i]
        if pair < 0:
            free_rows[i - at] = i
            continue
        rows[at], taken[at], kept[at] = i, columns[pair], values[pair]
        is_taken[columns[pair]] = True
        at += 1
    at = 0
    for j in range(column_count):
        if not is_taken[j]:
            free_columns[at] = j
            at += 1
    return rows, taken, kept, free_rows, free_columns
