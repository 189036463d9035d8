"""`pair_points`: who is paired, what is refused, and numbers at the ends of what a float holds."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from retinue.ops import assign, pair_points


def test_the_most_pairs_within_reach_are_found() -> None:
    """The smallest case in which striking out afterwards loses a pair."""
    a, b = [[12.0, 10.0], [1.0, 0.0]], [[17.0, 15.0], [16.0, 10.0]]
    pairing = pair_points(a, b, 6.0)
    assert (pairing.index_a.tolist(), pairing.index_b.tolist(), pairing.values.tolist()) == ([0], [1], [4.0])
    assert (pairing.unpaired_a.tolist(), pairing.unpaired_b.tolist()) == ([1], [0])
    assert len(pair_points(a, b, 6.0, mode="hovernet")) == 0


def test_the_radius_is_inclusive() -> None:
    assert len(pair_points([[0.0, 0.0]], [[3.0, 4.0]], 5.0)) == 1
    assert len(pair_points([[0.0, 0.0]], [[3.0, 4.0]], np.nextafter(5.0, 0.0))) == 0


def test_a_radius_of_zero_pairs_equal_points() -> None:
    assert pair_points([[1.0, 2.0], [1.0, 2.0]], [[1.0, 2.0], [3.0, 2.0]], 0.0).index_b.tolist() == [0]


@pytest.mark.parametrize("mode", ["max", "hovernet"])
@pytest.mark.parametrize(("a", "b"), [([], []), ([], [[1.0, 2.0]]), ([[1.0, 2.0]], [])])
def test_an_empty_set_leaves_the_other_unpaired(a: list[list[float]], b: list[list[float]], mode: str) -> None:
    pairing = pair_points(a, b, 3.0, mode=mode)  # type: ignore[arg-type] # pytest's strings
    assert len(pairing) == 0
    assert (len(pairing.unpaired_a), len(pairing.unpaired_b)) == (len(a), len(b))


def test_precision_recall_and_f1_are_shares() -> None:
    pairing = pair_points([[0.0, 0.0], [9.0, 9.0]], [[0.0, 1.0]], 2.0)
    assert (pairing.precision, pairing.recall, pairing.f1) == (1.0, 0.5, 2 / 3)


def test_shares_of_nothing_are_nan() -> None:
    pairing = pair_points([], [], 2.0)
    assert np.isnan([pairing.precision, pairing.recall, pairing.f1]).all()


@pytest.mark.parametrize("unit", [1e300, 1e-300])
def test_huge_and_tiny_coordinates_keep_their_distances(unit: float) -> None:
    pairing = pair_points(np.array([[0.0, 0.0]]) * unit, np.array([[3.0, 4.0], [1.0, 0.0]]) * unit, 4 * unit)
    assert pairing.values.tolist() == [unit]


def test_many_equal_points_are_all_paired() -> None:
    assert len(pair_points(np.ones((300, 2)), np.ones((200, 2)), 1.0)) == 200


def test_of_equally_near_points_the_lowest_is_taken() -> None:
    assert pair_points([[0.0, 0.0]], [[9.0, 9.0], [0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]], 2.0).index_b.tolist() == [1]


@pytest.mark.parametrize("outlier", [1e300, -1e300])
def test_a_point_far_out_does_not_spoil_the_rest(outlier: float) -> None:
    points = np.arange(20.0).reshape(10, 2)
    crowd = np.concatenate([points, [[outlier, 0.0]]])
    assert pair_points(crowd, points[::-1], 0.5).index_b.tolist() == list(range(9, -1, -1))


def test_where_all_are_within_reach_the_answer_is_that_of_the_whole_matrix() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((90, 2)), rng.random((100, 2))
    pairing = pair_points(a, b, 2.0)
    distances = cdist(a, b)
    rows, columns = assign(distances)
    assert (pairing.index_a.tolist(), pairing.index_b.tolist()) == (rows.tolist(), columns.tolist())
    assert pairing.values.tolist() == distances[rows, columns].tolist()


def test_a_radius_as_large_as_floats_go_reaches_everything_without_overflow() -> None:
    a, b = [[0.0, 0.0], [1e308, 0.0]], [[1.1e308, 0.0], [0.0, 1e308]]
    assert pair_points(a, b, np.finfo(np.float64).max).index_b.tolist() == [1, 0]


def test_more_candidates_than_asked_for_are_refused() -> None:
    points = np.zeros((30, 2))
    assert len(pair_points(points[:3], points, 1.0, most_candidates=90)) == 3
    with pytest.raises(ValueError, match=r"^radius: must leave at most 89 pairs within reach"):
        pair_points(points[:3], points, 1.0, most_candidates=89)


def test_hovernet_does_not_overflow() -> None:
    pairing = pair_points([[0.0, 0.0], [1e300, 0.0]], [[0.0, 3e299], [1e300, 4e299]], 5e299, mode="hovernet")
    assert (pairing.index_b.tolist(), pairing.values.tolist()) == ([0, 1], [3e299, 4e299])


def test_points_may_have_any_number_of_coordinates() -> None:
    assert pair_points([[0.0, 0.0, 0.0]], [[2.0, 3.0, 6.0]], 7.0).values.tolist() == [7.0]


@pytest.mark.parametrize(
    ("a", "b", "radius", "message"),
    [
        ([[np.nan, 0.0]], [[0.0, 0.0]], 1.0, "^a: must be finite"),
        ([[0.0, 0.0]], [[np.inf, 0.0]], 1.0, "^b: must be finite"),
        ([0.0, 1.0], [[0.0, 0.0]], 1.0, r"^a: must be \(n, d\)"),
        ([[0.0, 0.0]], [[0.0, 0.0, 0.0]], 1.0, "^b: must have as many columns"),
        ([[0.0, 0.0]], [[0.0, 0.0]], -1.0, "^radius: must be finite and at least 0"),
        ([[0.0, 0.0]], [[0.0, 0.0]], np.nan, "^radius"),
        ([[0.0, 0.0]], [[0.0, 0.0]], np.inf, "^radius"),
    ],
)
def test_a_bad_argument_is_named(a: list[float], b: list[float], radius: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair_points(a, b, radius)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r'^mode: must be "max" or "hovernet"'):
        pair_points([[0.0, 0.0]], [[0.0, 0.0]], 1.0, mode="best")  # type: ignore[arg-type] # the point
