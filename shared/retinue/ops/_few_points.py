"""A few points paired at once: what `pair_points` does in three steps, in one, as a step costs more than its work."""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel
from retinue.ops._listed_assignment import solve_listed
from retinue.ops._listed_pairs import listed_pairs
from retinue.ops._neighbours import neighbours

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@kernel("(f8[:,::1], f8[:,::1], f8, i8, i8, u1[::1])", is_brief=True)
def few_points(
    a: Floats, b: Floats, radius: float, most: int, dense: int, stop: NDArray[np.uint8]
) -> tuple[bool, Indices, Indices, Floats, Indices, Indices]:
    """Return whether the points are paired, and the fields of a `Pairing`, which mean nothing if not.

    Args:
        a: [n, d], d at least 1, n at least 1.
        b: [m, d], m at least 1.
        radius: the largest distance, inclusive; sums of n of it are finite.
        most: more pairs within reach are not paired.
        dense: nor are they where there are so many cells, n times m, and more than half are within reach.
        stop: [1], the flag of a `Stop`; once it is set, what is returned means nothing.
    """
    starts, columns, distances = neighbours(a, b, radius, most, stop)
    cell_count = len(a) * len(b)
    if starts[-1] < 0 or (cell_count >= dense and 2 * len(columns) > cell_count):
        none = np.empty(0, np.int64)
        return False, none, none, distances, none, none
    chosen = solve_listed(starts, columns, distances, len(b), stop)
    rows, taken, kept, free_a, free_b = listed_pairs(chosen, columns, distances, len(b))
    return True, rows, taken, kept, free_a, free_b
