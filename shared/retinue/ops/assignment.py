"""Who goes with whom, so that as many as possible are paired and the pairs cost least."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import native
from retinue.ops._dense_assignment import BLOCK, NOT_A_COST, solve_dense
from retinue.ops.stopping import NEVER, Stop

Indices = NDArray[np.int64]

_DOUBLE = np.dtype(np.float64)


def assign(
    cost: ArrayLike, *, max_cost: float | None = None, maximize: bool = False, stop: Stop = NEVER
) -> tuple[Indices, Indices]:
    """Return pairs of a row and a column, none used twice: most pairs first, then least total cost.

    Args:
        cost: (n, m) costs of real dtype, any n and m. An infinite cost (+inf, or -inf with ``maximize``) forbids
            a pair.
        max_cost: pairs that cost more are forbidden too (with ``maximize``: that are worth less). None for no bound.
        maximize: whether the entries are worths, to be as large as possible in total.
        stop: ends the work, from another thread, before the next row is placed.

    Returns:
        Rows and columns of the pairs, int64 (k,) each, rows ascending. ``k`` is the largest number of allowed pairs.

    Raises:
        ValueError: ``cost`` is no matrix of real numbers, or holds NaN or the infinity that forbids nothing, or
            ``max_cost`` is NaN or no number.
        Stopped: ``stop`` is set.

    Notes:
        Where several answers are equally good it is always the same one; of all equal costs, the diagonal. What is
        forbidden is never paired: rows and columns for which nothing is left stay without a partner, and it is no error
        if that are all of them. Computed in float64 and exact up to its rounding, in O(n^2 m) for n <= m; whoever
        cannot wait that long (seconds beyond 5000 x 5000, minutes at worst) bounds the sizes, or stops it. Needs a copy
        of the matrix in memory.

    Source:
        Jonker and Volgenant, Computing 38, 1987, for any shape and with forbidden entries (see `_dense_assignment`).
        The order of preferences is py-motmetrics'; scipy and lap refuse where not every row can have a column.

    >>> rows, columns = assign([[4.0, 1.0, 3.0], [2.0, 0.0, np.inf]])
    >>> rows.tolist(), columns.tolist()
    ([0, 1], [1, 0])
    """
    matrix = np.asarray(cost)
    if matrix.dtype != _DOUBLE or matrix.ndim != 2:
        if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
            raise ValueError(
                f"cost: must be a matrix of real numbers, got shape {matrix.shape} of dtype {matrix.dtype}"
            )
        matrix = matrix.astype(_DOUBLE)
    sign = -1.0 if maximize else 1.0
    limit = np.inf if max_cost is None else sign * _bound(max_cost)
    n, m = matrix.shape
    if n > m:
        n, m = m, n
    pairs = np.empty((2, n), np.int64)
    work = np.empty((n, (m + BLOCK - 1) // BLOCK, BLOCK))
    count = solve_dense(native(matrix), sign, limit, work, pairs, stop.flag)
    stop.check()
    if count == NOT_A_COST:
        allowed = "-inf" if maximize else "+inf"
        raise ValueError(f"cost: must hold numbers, or {allowed} to forbid a pair; got NaN or the other infinity")
    return pairs[0, :count], pairs[1, :count]


def _bound(max_cost: float) -> float:
    try:
        bound = float(max_cost)
    except (TypeError, ValueError) as error:
        raise ValueError(f"max_cost: must be a number or None, got {max_cost!r}") from error
    if math.isnan(bound):
        raise ValueError("max_cost: must be a number or None, got NaN")
    return bound
