"""`assign`: shapes, what is forbidden, ties, and what is refused."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import assign

INF = np.inf


def pairs(cost: object, **options: Any) -> list[tuple[int, int]]:
    rows, columns = assign(np.array(cost), **options)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def test_the_cheapest_pairs_are_taken() -> None:
    assert pairs([[4, 1, 3], [2, 0, 5], [3, 2, 2]]) == [(0, 1), (1, 0), (2, 2)]


def test_more_rows_than_columns_leave_rows_over() -> None:
    assert pairs([[3.0], [1.0], [2.0]]) == [(1, 0)]


def test_more_columns_than_rows_leave_columns_over() -> None:
    assert pairs([[3.0, 1.0, 2.0]]) == [(0, 1)]


def test_equal_costs_give_the_diagonal() -> None:
    assert pairs(np.ones((3, 3))) == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_pair_gives_no_pairs(shape: tuple[int, int]) -> None:
    assert pairs(np.empty(shape)) == []


def test_forbidden_pairs_are_left_out_and_it_is_no_error() -> None:
    assert pairs([[INF, INF], [INF, 1.0]]) == [(1, 1)]


def test_everything_forbidden_gives_no_pairs() -> None:
    assert pairs(np.full((2, 3), INF)) == []


def test_more_pairs_come_before_cheaper_ones() -> None:
    """Row 0 alone with column 0 would cost 0; two pairs cost 200."""
    assert pairs([[0.0, 100.0], [100.0, INF]]) == [(0, 1), (1, 0)]


def test_of_rows_that_compete_for_one_column_the_cheapest_is_paired() -> None:
    assert pairs([[5.0, INF], [3.0, INF], [4.0, INF]]) == [(1, 0)]


def test_max_cost_is_inclusive() -> None:
    assert pairs([[2.0, 9.0], [9.0, 2.1]], max_cost=2.0) == [(0, 0)]


def test_maximize_takes_the_largest_and_forbids_minus_infinity() -> None:
    assert pairs([[1.0, 5.0], [-INF, 4.0]], maximize=True) == [(0, 0), (1, 1)]


def test_max_cost_bounds_from_below_when_maximizing() -> None:
    assert pairs([[0.3, 0.9], [0.6, 0.1]], maximize=True, max_cost=0.5) == [(0, 1), (1, 0)]
    assert pairs([[0.3, 0.9], [0.4, 0.1]], maximize=True, max_cost=0.5) == [(0, 1)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.bool_])
def test_every_real_dtype_is_taken(dtype: type) -> None:
    assert pairs(np.array([[1, 0], [0, 1]], dtype)) == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    "cost",
    [np.array([[1.0, 2], [0, 3]], order="F"), np.array([[1.0, 9, 2], [0, 9, 3]])[:, ::2]],
    ids=["fortran", "strided"],
)
def test_any_layout_is_taken_and_left_alone(cost: NDArray[np.float64]) -> None:
    cost.flags.writeable = False
    before = cost.copy()
    assert pairs(cost) == [(0, 1), (1, 0)]
    assert np.array_equal(cost, before)


@pytest.mark.parametrize("bad", [np.nan, -INF])
def test_nan_and_the_other_infinity_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"^cost: must hold numbers, or \+inf"):
        assign(np.array([[1.0, bad]]))


def test_plus_infinity_is_refused_when_maximizing() -> None:
    with pytest.raises(ValueError, match=r"^cost: must hold numbers, or -inf"):
        assign(np.array([[1.0, INF]]), maximize=True)


@pytest.mark.parametrize("cost", [np.ones(3), np.ones((2, 2, 2)), np.array([["a"]]), np.ones((2, 2), complex)])
def test_what_is_no_matrix_of_real_numbers_is_refused(cost: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"^cost: must be a matrix"):
        assign(cost)


def test_a_bound_that_is_nan_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^max_cost: must be a number"):
        assign(np.ones((2, 2)), max_cost=np.nan)


@pytest.mark.parametrize("bad", ["dear", None, [1.0]])
def test_a_bound_that_is_no_number_is_refused(bad: Any) -> None:
    if bad is None:
        assert pairs([[1.0]], max_cost=bad) == [(0, 0)]
        return
    with pytest.raises(ValueError, match=r"^max_cost: must be a number"):
        assign(np.ones((2, 2)), max_cost=bad)


def test_both_zeros_cost_the_same() -> None:
    assert pairs([[0.0, -0.0], [-0.0, 0.0]]) == [(0, 0), (1, 1)]


def test_costs_at_the_ends_of_the_range_do_not_overflow() -> None:
    most = np.finfo(np.float64).max
    cost = np.full((4, 4), most)
    cost[[0, 1, 2, 3], [1, 2, 3, 0]] = -most
    assert pairs(cost) == [(0, 1), (1, 2), (2, 3), (3, 0)]
    assert pairs(-cost, maximize=True) == [(0, 1), (1, 2), (2, 3), (3, 0)]


def test_small_costs_keep_their_digits_beside_what_is_forbidden() -> None:
    """A large number in place of infinity would leave no room for them."""
    assert pairs([[1e-300, 2e-300, INF], [1e-300, 3e-300, INF], [INF, INF, INF]]) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("shape", [(200, 200), (70, 200), (200, 70)])
def test_equal_costs_give_the_diagonal_of_a_matrix_of_many_blocks(shape: tuple[int, int]) -> None:
    assert pairs(np.zeros(shape)) == [(k, k) for k in range(min(shape))]
