"""Which points of two sets belong together: within reach of each other, as many as possible, as near as possible."""

from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from retinue.ops._arrays import finite_floats, number
from retinue.ops._listed_assignment import assign_listed
from retinue.ops.pairing import Pairing

Mode = Literal["max", "hovernet"]

_SQUARES_FIT = 1e150  # beyond it the square of a coordinate is no float64 any more; below its inverse it is 0
_SLACK = 1e-9  # the tree compares squares, which round otherwise than distances: it is asked for a little more


def pair_points(a: ArrayLike, b: ArrayLike, radius: float, *, mode: Mode = "max") -> Pairing:
    """Return pairs of points of two sets that are at most ``radius`` apart (Euclidean, inclusive), none used twice.

    Args:
        a: (n, d) true points, any d of at least 1, the same unit as ``radius``.
        b: (m, d) found points.
        radius: largest distance of a pair, at least 0.
        mode: ``max``: the largest possible number of pairs, and of those the least total distance. ``hovernet``: the
            least total distance of a pairing of everything with everything, from which pairs that are too far apart
            are then struck out, as HoVer-Net's ``pair_coordinates`` does: it finds fewer.

    Returns:
        The pairs; their values are distances, float64.

    Raises:
        ValueError: a point is NaN or infinite, the sets are no matrices with equally many columns, the radius is
            negative or not finite, or there is no such mode.

    Notes:
        ``max`` takes memory in proportion to the pairs within reach, ``hovernet`` 8 n m bytes. An empty list is a set
        of no points. Where several answers are equally good it is always the same one.

    Source:
        ``hovernet``: Graham et al., Medical Image Analysis 2019, arXiv:1812.06499, evaluation code, on scipy's solver.

    >>> a, b = [[12.0, 10.0], [1.0, 0.0]], [[17.0, 15.0], [16.0, 10.0]]
    >>> len(pair_points(a, b, 6.0)), len(pair_points(a, b, 6.0, mode="hovernet"))
    (1, 0)
    """
    first, second = _points(a, "a"), _points(b, "b")
    if first.size and second.size and first.shape[1] != second.shape[1]:
        raise ValueError(f"b: must have as many columns as a, got {second.shape[1]} and {first.shape[1]}")
    reach = number(radius, "radius", at_least=0.0)
    if mode not in ("max", "hovernet"):
        raise ValueError(f'mode: must be "max" or "hovernet", got {mode!r}')
    n, m = len(first), len(second)
    if not (first.size and second.size):
        none = np.empty(0, np.int64)
        return Pairing.of(none, none, np.empty(0), n, m)
    if mode == "hovernet":
        distances = cdist(first, second)
        rows, columns = linear_sum_assignment(distances)
        is_near = distances[rows, columns] <= reach
        rows, columns = rows[is_near].astype(np.int64), columns[is_near].astype(np.int64)
        return Pairing.of(rows, columns, distances[rows, columns], n, m)
    rows, columns, near = _neighbours(first, second, reach)
    chosen = assign_listed(rows, columns, near, n, m)
    return Pairing.of(rows[chosen], columns[chosen], near[chosen], n, m)


def _points(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = finite_floats(cast("NDArray[np.float64]", values), name).astype(np.float64, copy=False)
    if array.shape == (0,):
        return array.reshape(0, 2)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name}: must be (n, d) with d at least 1, got {array.shape}")
    return array


def _neighbours(
    a: NDArray[np.float64], b: NDArray[np.float64], reach: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return rows, columns and distances of all pairs within reach, by row, then column."""
    largest = max(float(np.abs(a).max()), float(np.abs(b).max()), reach)
    scale = 1.0
    if largest > _SQUARES_FIT or 0 < largest < 1 / _SQUARES_FIT:
        scale = 2.0 ** -max(int(np.frexp(largest)[1]), -1000)  # exact, being a power of two
        a, b = a * scale, b * scale
    found = KDTree(a).sparse_distance_matrix(KDTree(b), reach * scale * (1 + _SLACK), output_type="ndarray")
    rows, columns = found["i"].astype(np.int64), found["j"].astype(np.int64)
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    offset = a[rows] - b[columns]
    distances = np.sqrt(np.einsum("ij,ij->i", offset, offset)) / scale
    is_near = distances <= reach
    return rows[is_near], columns[is_near], distances[is_near]
