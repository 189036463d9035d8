"""Assignment and pairing beside scipy's and lapx's."""

from collections.abc import Iterator
from functools import partial

import lap
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from loadtests.benchmarks.ops.case import Case, MemoryCase
from retinue.ops import assign, pair_points

_NOISE = 0.9  # beyond it "never slower than the better of the two" is missed


def cases() -> Iterator[Case | MemoryCase]:
    """Yield the comparisons of assignment."""
    rng = np.random.default_rng(0)
    shapes: list[tuple[int, int]] = [(100, 15), (300, 300), (1000, 1000), (2000, 2000)]
    for shape in shapes:
        cost = rng.random(shape)
        yield Case(
            f"assign {shape[0]}x{shape[1]}",
            partial(assign, cost),
            {
                "scipy": partial(linear_sum_assignment, cost),
                "lapx": partial(lap.lapjv, cost, extend_cost=shape[0] != shape[1]),
            },
            target=_NOISE,
            note="uniform costs; ours also checks them",
        )
    distances = cdist(rng.random((1000, 2)), rng.random((1000, 2)))
    yield Case(
        "assign 1000x1000, distances",
        partial(assign, distances),
        {"scipy": partial(linear_sum_assignment, distances), "lapx": partial(lap.lapjv, distances)},
        target=_NOISE,
        note="points of a unit square",
    )
    whole = rng.integers(0, 100, (1000, 1000)).astype(np.float64)
    yield Case(
        "assign 1000x1000, integers",
        partial(assign, whole),
        {"scipy": partial(linear_sum_assignment, whole), "lapx": partial(lap.lapjv, whole)},
        note="a hundred different costs, so nearly all are ties",
    )
    for count, target in ((1000, None), (5000, 15.0)):
        a, b = nuclei(count)
        yield Case(
            f"pair_points n={count}",
            partial(pair_points, a, b, 12.0),
            {"cdist + scipy": partial(_gated_afterwards, a, b, 12.0)},
            target=target,
            note="radius 12; the peer strikes out afterwards and finds fewer pairs",
        )
    a, b = nuclei(20000)
    yield Case("pair_points n=20000", partial(pair_points, a, b, 12.0), note="the peer's matrix would be 3.2 GB")
    yield MemoryCase(
        "pair_points n=20000, memory",
        "from loadtests.benchmarks.ops.assignment import nuclei\n"
        "from retinue.ops import pair_points\n"
        "small, large = nuclei(100), nuclei(20000)\n"
        "pair_points(*small, 12.0)",
        "pair_points(*large, 12.0)",
        limit_mib=100,
    )


def nuclei(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return true and found centres: jitter of 4 px, a tenth missed, a tenth invented, as dense as a tissue."""
    rng = np.random.default_rng(count)
    side = 12.0 * np.sqrt(count)
    true = rng.uniform(0, side, (count, 2))
    found = true[rng.random(count) > 0.1]
    found = found + rng.normal(0, 4, found.shape)
    return true, np.concatenate([found, rng.uniform(0, side, (count // 10, 2))])


def _gated_afterwards(a: NDArray[np.float64], b: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    distances = cdist(a, b)
    rows, columns = linear_sum_assignment(distances)
    return np.stack([rows, columns])[:, distances[rows, columns] <= radius]
