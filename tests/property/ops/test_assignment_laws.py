"""Assignment and pairing against every possible answer, and against scipy and lapx."""

import itertools

import lap
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from retinue.ops import assign, match_boxes, pair_points, pairwise_iou
from retinue.ops._listed_assignment import solve_listed
from retinue.ops._neighbours import neighbours
from retinue.ops.box_matching import Metric
from retinue.ops.stopping import NEVER

Matrix = NDArray[np.float64]

whole = st.integers(-4, 4).map(float)
fine = st.floats(-100, 100, allow_subnormal=False).map(lambda value: round(value, 3))
sides = st.tuples(st.integers(0, 5), st.integers(0, 5))
costs = sides.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=st.one_of(whole, fine, st.just(np.inf))))
large = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda shape: st.one_of(
        hnp.arrays(np.float64, shape, elements=fine),
        hnp.arrays(np.float64, shape, elements=st.integers(0, 9).map(float)),
    )
)
# Rows longer than a block, tall ones longer than a tile, and rows and columns that cannot all be placed.
wide = st.builds(
    lambda shape, seed, share, most: np.where(
        (rng := np.random.default_rng(seed)).random(shape) < share, np.inf, rng.integers(0, most, shape).astype(float)
    ),
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.5, 0.9, 0.98, 0.99]),
    st.sampled_from([1, 5, 10**6]),
)
points = st.integers(0, 6).flatmap(lambda n: hnp.arrays(np.float64, (n, 2), elements=st.integers(0, 6).map(float)))


def best_of_all(cost: Matrix) -> tuple[int, float]:
    """The most pairs and their least total, by trying everything."""
    table = cost if len(cost) <= cost.shape[1] else cost.T
    best = (0, 0.0)
    for columns in itertools.product(range(-1, table.shape[1]), repeat=len(table)):
        used = [column for column in columns if column >= 0]
        if len(set(used)) == len(used):
            total = sum(table[row, column] for row, column in enumerate(columns) if column >= 0)
            if np.isfinite(total):
                best = min(best, (-len(used), float(total)))
    return -best[0], best[1]


def listed(cost: Matrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The answer of the kernel that takes a list of the allowed pairs."""
    rows, columns = np.nonzero(np.isfinite(cost))
    starts = np.searchsorted(rows, np.arange(len(cost) + 1)).astype(np.int64)
    chosen = solve_listed(starts, columns.astype(np.int64), cost[rows, columns], cost.shape[1], NEVER.flag)
    chosen = chosen[chosen >= 0]
    return rows[chosen], columns[chosen]


@settings(deadline=None, max_examples=200)
@given(costs)
def test_no_answer_has_more_pairs_or_costs_less(cost: Matrix) -> None:
    count, total = best_of_all(cost)
    for rows, columns in (assign(cost), listed(cost)):
        assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows) == count
        assert np.all(np.diff(rows) > 0)
        assert np.isclose(cost[rows, columns].sum(), total, rtol=0, atol=1e-9)  # sums in another order


@settings(deadline=None, max_examples=100)
@given(large)
def test_what_it_costs_is_what_scipy_and_lapx_pay(cost: Matrix) -> None:
    rows, columns = assign(cost)
    ours = cost[rows, columns].sum()
    theirs = cost[linear_sum_assignment(cost)].sum()
    assert len(rows) == min(cost.shape)
    assert np.isclose(ours, theirs, rtol=1e-12, atol=1e-9)
    assert np.isclose(ours, lap.lapjv(cost, extend_cost=cost.shape[0] != cost.shape[1])[0], rtol=1e-9, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(large, st.floats(0, 10))
def test_a_list_of_what_is_allowed_gives_as_good_an_answer(cost: Matrix, limit: float) -> None:
    gated = np.where(cost <= limit, cost, np.inf)
    rows, columns = assign(cost, max_cost=limit)
    listed_rows, listed_columns = listed(gated)
    assert len(rows) == len(listed_rows)
    assert np.isclose(cost[rows, columns].sum(), cost[listed_rows, listed_columns].sum(), rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(costs)
def test_worths_are_costs_with_another_sign(cost: Matrix) -> None:
    worth = -cost
    assert [part.tolist() for part in assign(worth, maximize=True)] == [part.tolist() for part in assign(cost)]


@settings(deadline=None, max_examples=60)
@given(costs)
def test_the_transposed_question_has_as_good_an_answer(cost: Matrix) -> None:
    rows, columns = assign(cost)
    back_rows, back_columns = assign(cost.T)
    assert len(rows) == len(back_rows)
    assert np.isclose(cost[rows, columns].sum(), cost.T[back_rows, back_columns].sum(), rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=150)
@given(points, points, st.integers(0, 4).map(float))
def test_pairs_of_points_are_the_gated_assignment(a: Matrix, b: Matrix, radius: float) -> None:
    pairing = pair_points(a, b, radius)
    distances = cdist(a, b) if len(a) and len(b) else np.empty((len(a), len(b)))
    rows, columns = assign(distances, max_cost=radius)
    assert len(pairing) == len(rows)
    assert np.isclose(pairing.values.sum(), distances[rows, columns].sum(), rtol=0, atol=1e-9)
    assert np.array_equal(pairing.values, distances[pairing.index_a, pairing.index_b])
    assert sorted([*pairing.index_a.tolist(), *pairing.unpaired_a.tolist()]) == list(range(len(a)))
    assert sorted([*pairing.index_b.tolist(), *pairing.unpaired_b.tolist()]) == list(range(len(b)))


@settings(deadline=None, max_examples=100)
@given(points, points, st.floats(0, 5))
def test_hovernet_never_finds_more_and_is_scipy_gated_afterwards(a: Matrix, b: Matrix, radius: float) -> None:
    compatible = pair_points(a, b, radius, mode="hovernet")
    assert len(compatible) <= len(pair_points(a, b, radius))
    if len(a) and len(b):
        distances = cdist(a, b)
        rows, columns = linear_sum_assignment(distances)
        is_near = distances[rows, columns] <= radius
        assert compatible.index_a.tolist() == rows[is_near].tolist()
        assert compatible.index_b.tolist() == columns[is_near].tolist()


@settings(deadline=None, max_examples=150)
@given(wide)
def test_large_questions_have_the_answer_that_scipy_gives_with_a_filler(cost: Matrix) -> None:
    """Whole costs, and a filler above all of them together: float64 holds every sum exactly."""
    filled = np.where(np.isinf(cost), 1e9, cost)
    rows, columns = linear_sum_assignment(filled)
    is_allowed = np.isfinite(cost[rows, columns])
    for own_rows, own_columns in (assign(cost), listed(cost)):
        assert len(set(own_columns.tolist())) == len(own_rows) == is_allowed.sum()
        assert np.all(np.diff(own_rows) > 0)
        assert cost[own_rows, own_columns].sum() == cost[rows, columns][is_allowed].sum()


def clouds(dimensions: int) -> st.SearchStrategy[Matrix]:
    return st.integers(0, 30).flatmap(
        lambda n: hnp.arrays(np.float64, (n, dimensions), elements=st.one_of(whole, fine))
    )


@settings(deadline=None, max_examples=150)
@given(st.data(), st.integers(1, 3), st.one_of(whole.map(abs), st.floats(0, 200)))
def test_neighbours_are_the_entries_of_the_distance_matrix_within_reach(
    data: st.DataObject, dimensions: int, radius: float
) -> None:
    a, b = data.draw(clouds(dimensions)), data.draw(clouds(dimensions))
    starts, columns, distances = neighbours(a, b, radius, 10**6, NEVER.flag)
    found = np.full((len(a), len(b)), np.inf)
    found[np.repeat(np.arange(len(a)), np.diff(starts)), columns] = distances
    expected = cdist(a, b) if len(a) and len(b) else np.empty((len(a), len(b)))
    np.testing.assert_array_equal(found, np.where(expected <= radius, expected, np.inf))


metrics: st.SearchStrategy[Metric] = st.sampled_from(["iou", "ios", "giou", "diou"])
boxes = st.integers(0, 12).flatmap(
    lambda n: hnp.arrays(np.int64, (n, 4), elements=st.integers(0, 8)).map(
        lambda array: np.hstack([array[:, :2], array[:, :2] + array[:, 2:]])
    )
)


@settings(deadline=None, max_examples=200)
@given(boxes, boxes, st.data())
def test_matched_boxes_are_the_gated_assignment_of_overlaps(
    a: NDArray[np.int64], b: NDArray[np.int64], data: st.DataObject
) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    metric = data.draw(metrics)
    threshold = data.draw(st.sampled_from([0.0, 0.25, 0.5] if metric in {"iou", "ios"} else [-0.75, 0.0, 0.25]))
    first, second = a.astype(dtype), b.astype(dtype)
    labels_a, labels_b = np.arange(len(a)) % 2, np.arange(len(b)) % 2
    overlaps = pairwise_iou(first, second, kind=metric)
    is_pair = (overlaps >= threshold) & (labels_a[:, None] == labels_b)
    if metric in {"iou", "ios"}:
        is_pair &= overlaps > 0
    rows, columns = assign(np.where(is_pair, overlaps, -np.inf), maximize=True)
    pairing = match_boxes(first, second, threshold=threshold, metric=metric, labels_a=labels_a, labels_b=labels_b)
    assert len(pairing) == len(rows)
    assert is_pair[pairing.index_a, pairing.index_b].all()
    assert np.array_equal(pairing.values, overlaps[pairing.index_a, pairing.index_b])
    assert np.isclose(pairing.values.sum(), overlaps[rows, columns].sum(), rtol=0, atol=1e-5)  # float32 sums
