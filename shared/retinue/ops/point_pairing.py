"""Which points of two sets belong together: within reach of each other, as many as possible, as near as possible."""

from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from retinue.ops._arrays import finite_floats, native, number, whole_number
from retinue.ops._few_points import few_points
from retinue.ops._listed_assignment import solve_listed
from retinue.ops._listed_pairs import listed_pairs
from retinue.ops._neighbours import neighbours
from retinue.ops.assignment import assign
from retinue.ops.pairing import Pairing
from retinue.ops.stopping import NEVER, Stop

Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]

Mode = Literal["max", "hovernet"]

_FEW = 2**14  # a matrix of so many cells is looked through in some microseconds
_DENSE = 4096  # a matrix of so many cells that is half full is solved faster as a matrix
_SUMS_FIT = 2.0**900  # sums of distances up to this stay finite
_SQUARES_FIT = 2.0**500  # squares of coordinates up to this stay finite
_SHRINK = 2.0**-600


def pair_points(
    a: ArrayLike,
    b: ArrayLike,
    radius: float,
    *,
    mode: Mode = "max",
    most_candidates: int = 2**26,
    stop: Stop = NEVER,
) -> Pairing:
    """Return pairs of points of two sets that are at most ``radius`` apart (Euclidean, inclusive), none used twice.

    Args:
        a: (n, d) true points, any d of at least 1, the same unit as ``radius``.
        b: (m, d) found points.
        radius: largest distance of a pair, at least 0.
        mode: ``max``: the largest possible number of pairs, and of those the least total distance. ``hovernet``: the
            least total distance of a pairing of everything with everything, from which pairs that are too far apart
            are then struck out, as HoVer-Net's ``pair_coordinates`` does: it finds fewer.
        most_candidates: with ``max``, how many pairs may be within reach, of which the answer is chosen; 16 bytes each.
        stop: ends the work, from another thread, before the next point is looked at or placed; with ``hovernet`` only
            before the assignment, which is scipy's, and after it.

    Returns:
        The pairs; their values are distances, float64.

    Raises:
        ValueError: a point is NaN or infinite, the sets are no matrices with equally many columns, the radius is
            negative, not finite or (with ``max``) so large that more pairs are within reach than may be, or there is no
            such mode.
        Stopped: ``stop`` is set.

    Notes:
        ``max`` takes memory in proportion to the pairs within reach, which are all n m where the radius is that large;
        ``hovernet`` always takes 8 n m bytes and time that grows with the cube of n. An empty list is a set of no
        points. Where several answers are equally good it is always the same one. No coordinate overflows.

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
        stop.check()
        pairing = Pairing.of(*_pairs_of_all(first, second, reach), n, m)
        stop.check()
        return pairing
    return _most_pairs(first, second, reach, whole_number(most_candidates, "most_candidates", at_least=0), stop)


def _most_pairs(a: NDArray[np.float64], b: NDArray[np.float64], radius: float, most: int, stop: Stop) -> Pairing:
    if len(a) * len(b) <= _FEW and radius <= _SUMS_FIT:
        is_done, rows, found, near, free_a, free_b = few_points(a, b, radius, most, _DENSE, stop.flag)
        stop.check()
        if is_done:
            return Pairing(rows, found, near, free_a, free_b)
    starts, columns, distances = neighbours(a, b, radius, most, stop.flag)
    stop.check()
    if starts[-1] < 0:
        raise ValueError(f"radius: must leave at most {most} pairs within reach, got more at {radius!r}")
    if len(a) * len(b) >= _DENSE and 2 * len(columns) > len(a) * len(b):
        matrix = np.full((len(a), len(b)), np.inf)
        matrix[np.repeat(np.arange(len(a)), np.diff(starts)), columns] = distances
        rows, found = assign(matrix, stop=stop)
        return Pairing.of(rows, found, matrix[rows, found], len(a), len(b))
    costs = distances if radius <= _SUMS_FIT else distances * _SHRINK
    chosen = solve_listed(starts, columns, costs, len(b), stop.flag)
    stop.check()
    return Pairing(*listed_pairs(chosen, columns, distances, len(b)))


def _pairs_of_all(a: NDArray[np.float64], b: NDArray[np.float64], radius: float) -> Found:
    scale = 1.0
    if max(np.abs(a).max(), np.abs(b).max()) > _SQUARES_FIT:
        scale = _SHRINK  # a power of two: it changes no digit, and not which pairs are the nearest
    distances = cdist(a * scale, b * scale)
    rows, columns = linear_sum_assignment(distances)
    near = distances[rows, columns]
    is_near = near <= radius * scale
    return rows[is_near], columns[is_near], near[is_near] / scale


def _points(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = finite_floats(cast("NDArray[np.float64]", values), name).astype(np.float64, copy=False)
    if array.shape == (0,):
        return array.reshape(0, 2)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name}: must be (n, d) with d at least 1, got {array.shape}")
    return native(array)
