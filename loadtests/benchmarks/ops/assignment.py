"""Assignment and pairing beside scipy's and lapx's."""

from collections.abc import Iterator
from functools import partial

import lap
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from loadtests.benchmarks.ops.case import Case, MemoryCase
from retinue.ops import assign, detr_cost, match_boxes, pair_points, pairwise_iou

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
    hard = {
        "distances": cdist(rng.random((1000, 2)), rng.random((1000, 2))),
        "a hundred costs, so ties": rng.integers(0, 100, (1000, 1000)).astype(np.float64),
        "a thousand costs": rng.integers(0, 1000, (1000, 1000)).astype(np.float64),
    }
    for name, cost in hard.items():
        yield Case(
            f"assign 1000x1000, {name}",
            partial(assign, cost),
            {"scipy": partial(linear_sum_assignment, cost), "lapx": partial(lap.lapjv, cost)},
            target=_NOISE,
        )
    for queries, targets in ((100, 15), (300, 60)):
        cost = _detr_like(rng, queries, targets)
        yield Case(
            f"assign {queries}x{targets}, detr_cost",
            partial(assign, cost),
            {"scipy": partial(linear_sum_assignment, cost), "lapx": partial(lap.lapjv, cost, extend_cost=True)},
            target=_NOISE,
        )
    a, b = nuclei(1000)
    distances = cdist(a, b)
    yield Case(
        f"assign {len(a)}x{len(b)}, all but neighbours forbidden",
        partial(assign, distances, max_cost=12.0),
        {
            "scipy": lambda: linear_sum_assignment(np.where(distances <= 12, distances, 1e6)),
            "lapx": partial(lap.lapjv, distances, extend_cost=True, cost_limit=24.0),
        },
        target=_NOISE,
        note="scipy is given a filler, lapx a limit: neither promises most pairs first",
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
    a, b = nuclei(1000)
    yield Case(
        "pair_points n=1000, hovernet",
        partial(pair_points, a, b, 12.0, mode="hovernet"),
        {"cdist + scipy": partial(_gated_afterwards, a, b, 12.0)},
        note="the same calls, so no faster: what checks cost",
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
    boxes = np.hstack([a[:1000], a[:1000] + rng.uniform(10, 40, (1000, 2))])
    found = boxes + rng.normal(0, 3, boxes.shape)
    yield Case(
        "match_boxes 1000x1000",
        partial(match_boxes, boxes, found),
        {"pairwise_iou + scipy": partial(_matched_by_matrix, boxes, found)},
        note="the peer's first step alone is ours too",
    )


def nuclei(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return true and found centres: jitter of 4 px, a tenth missed, a tenth invented, as dense as a tissue."""
    rng = np.random.default_rng(count)
    side = 12.0 * np.sqrt(count)
    true = rng.uniform(0, side, (count, 2))
    found = true[rng.random(count) > 0.1]
    found = found + rng.normal(0, 4, found.shape)
    return true, np.concatenate([found, rng.uniform(0, side, (count // 10, 2))])


def _detr_like(rng: np.random.Generator, queries: int, targets: int) -> NDArray[np.float64]:
    return detr_cost(
        rng.dirichlet(np.full(92, 0.1), queries),
        rng.uniform(0.1, 0.9, (queries, 4)),
        rng.integers(0, 91, targets),
        rng.uniform(0.1, 0.9, (targets, 4)),
    )


def _matched_by_matrix(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.int64]:
    overlaps = pairwise_iou(a, b)
    rows, columns = linear_sum_assignment(np.where(overlaps >= 0.5, overlaps + 1e3, 0.0), maximize=True)
    return np.stack([rows, columns])[:, overlaps[rows, columns] >= 0.5]


def _gated_afterwards(a: NDArray[np.float64], b: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    distances = cdist(a, b)
    rows, columns = linear_sum_assignment(distances)
    return np.stack([rows, columns])[:, distances[rows, columns] <= radius]
