"""`pair_points`: who is paired, what is refused, and numbers at the ends of what a float holds."""

import numpy as np
import pytest

from retinue.ops import pair_points


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
