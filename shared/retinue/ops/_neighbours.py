"""Which points of one set are within reach of which of another: time and memory follow the number of such pairs.

The second set is cut into strips no wider than the reach, along the first coordinate, and each strip is sorted by the
second. So the points to be looked at for one of the first set are a few runs, found by bisection. A grid would have to
number its cells; here coordinates are only compared and subtracted, and no spread of them can overflow or leave a strip
empty. Points are near where their distance as computed is, so comparisons are of differences, as in the distance.
"""

import math

import numpy as np
from numpy.typing import NDArray

from retinue.ops._growing import grown
from retinue.ops._kernel import kernel

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

_SQUARES_FIT = 2.0**-900, 2.0**1000  # sums of squares between these have lost nothing to the ends of the range


@kernel("(f8[:,::1], f8[:,::1], f8, i8, u1[::1])")
def neighbours(
    a: NDArray[np.float64], b: NDArray[np.float64], radius: float, most: int, stop: NDArray[np.uint8]
) -> tuple[Indices, Indices, Floats]:
    """Return for each point of `a` the points of `b` within reach and how far they are.

    Args:
        a: [n, d], d at least 1.
        b: [m, d].
        radius: the largest distance, inclusive.
        most: stops where there are more pairs.
        stop: [1], the flag of a `Stop`; once it is set, what is returned means nothing.

    Returns:
        starts [n + 1], columns [pairs] and distances [pairs]: the neighbours of ``a[i]`` are ``columns`` from
        ``starts[i]`` to ``starts[i + 1]``, in no order that means anything. The last start is -1 after a stop.
    """
    n, axis = len(a), min(1, b.shape[1] - 1)
    order, begins, rank_x, strip_of_rank = _strips(b, axis, radius)
    x, y = b[order, 0], b[order, axis]
    starts = np.zeros(n + 1, np.int64)
    columns, distances = np.empty(4 * n, np.int64), np.empty(4 * n)
    row = 0
    while True:
        row = _fill(a, b, radius, order, begins, rank_x, strip_of_rank, x, y, row, starts, columns, distances, stop)
        if starts[row] > most or stop[0]:
            starts[n] = -1
            return starts, columns, distances
        if row == n:
            return starts, columns[: starts[n]], distances[: starts[n]]
        columns, distances = grown(columns), grown(distances)


@kernel()
def _fill(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    radius: float,
    order: Indices,
    begins: Indices,
    rank_x: Floats,
    strip_of_rank: Indices,
    x: Floats,
    y: Floats,
    row: int,
    starts: Indices,
    columns: Indices,
    distances: Floats,
    stop: NDArray[np.uint8],
) -> int:
    """Write the neighbours of points from one on; return the first for which there was no room, or how many there are.

    In a function of its own, because a loop in which arrays are replaced by larger ones counts references in every
    step: it took ten times as long.
    """
    m, axis = len(b), min(1, b.shape[1] - 1)
    for i in range(row, len(a)):
        own_x, own_y = a[i, 0], a[i, axis]
        count = starts[i]
        rank = _bisect(rank_x, 0, m, own_x, radius)
        strip = strip_of_rank[rank] if rank < m else len(begins)
        while strip < len(begins) - 1 and rank_x[begins[strip]] - own_x <= radius:
            end = begins[strip + 1]
            k = _bisect(y, begins[strip], end, own_y, radius)
            while k < end and y[k] - own_y <= radius:
                if abs(x[k] - own_x) <= radius:
                    j = order[k]
                    square = 0.0
                    for d in range(a.shape[1]):
                        square += (a[i, d] - b[j, d]) * (a[i, d] - b[j, d])
                    is_exact = _SQUARES_FIT[0] < square < _SQUARES_FIT[1]
                    distance = math.sqrt(square) if is_exact else _extreme_distance(a, i, b, j)
                    if distance <= radius:
                        if count == len(columns):
                            return i
                        columns[count], distances[count] = j, distance
                        count += 1
                k += 1
            strip += 1
        starts[i + 1] = count
        if stop[0]:
            return i
    return len(a)


@kernel()
def _strips(b: NDArray[np.float64], axis: int, radius: float) -> tuple[Indices, Indices, Floats, Indices]:
    """Return the points strip by strip, where strips begin, and first coordinates in order with the strip of each."""
    m = len(b)
    by_x = np.argsort(b[:, 0], kind="mergesort")
    by_y = np.argsort(b[:, axis], kind="mergesort")
    rank_x = b[by_x, 0]
    strip_of_rank, strip_of = np.empty(m, np.int64), np.empty(m, np.int64)
    begins = np.empty(m + 1, np.int64)
    count = 0
    for rank in range(m):
        if rank == 0 or rank_x[rank] - rank_x[begins[count - 1]] > radius:
            begins[count] = rank
            count += 1
        strip_of_rank[rank] = strip_of[by_x[rank]] = count - 1
    begins[count] = m
    begins = begins[: count + 1]
    order, fill = np.empty(m, np.int64), begins.copy()
    for point in by_y:
        order[fill[strip_of[point]]] = point
        fill[strip_of[point]] += 1
    return order, begins, rank_x, strip_of_rank


@kernel()
def _bisect(values: Floats, begin: int, end: int, origin: float, radius: float) -> int:
    """Return the first place from which on sorted values lie no farther below the origin than the radius."""
    while begin < end:
        middle = (begin + end) >> 1
        if values[middle] - origin < -radius:
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel()
def _extreme_distance(a: NDArray[np.float64], i: int, b: NDArray[np.float64], j: int) -> float:
    """Return the distance of two points where the sum of squares has lost digits to the ends of the range."""
    most = 0.0
    for k in range(a.shape[1]):
        most = max(most, abs(a[i, k] - b[j, k]))
    if most in (0.0, np.inf):
        return most
    square = 0.0
    for k in range(a.shape[1]):
        square += ((a[i, k] - b[j, k]) / most) ** 2
    return most * math.sqrt(square)
