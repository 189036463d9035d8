"""Cost matrices assigned."""

from typing import Any

import numpy as np
import pytest

from services.matching.assignment import AssignmentProblem, worst_fault

INF, NAN = np.inf, np.nan


def solve(costs: Any, max_cost: float | None = None, *, is_maximized: bool = False) -> Any:
    matched = AssignmentProblem(np.array(costs, np.float32), max_cost, is_maximized).solve()
    return list(zip(matched.pairing.index_a.tolist(), matched.pairing.index_b.tolist(), strict=True)), matched.total


def test_as_many_pairs_as_can_be_come_before_cost() -> None:
    assert solve([[1, INF], [2, 90]]) == ([(0, 0), (1, 1)], 91)
    assert solve([[1, 5], [2, 90]], is_maximized=True) == ([(0, 0), (1, 1)], 91)


def test_what_is_forbidden_is_never_paired_and_nothing_is_infeasible() -> None:
    assert solve([[INF, INF], [INF, 3]]) == ([(1, 1)], 3)
    assert solve([[-INF]], is_maximized=True) == ([], 0)
    assert solve(np.empty((0, 3))) == ([], 0)


def test_the_limit_forbids_what_costs_more_or_brings_less() -> None:
    assert solve([[1, 9], [9, 4]], 3) == ([(0, 0)], 1)
    assert solve([[1, 9], [9, 4]], 9, is_maximized=True) == ([(0, 1), (1, 0)], 18)


@pytest.mark.parametrize("is_maximized", [False, True])
def test_a_cost_of_a_tenth_is_not_above_a_limit_of_a_tenth(*, is_maximized: bool) -> None:
    """Although the float nearest to 0.1 is a little more than the double."""
    assert len(solve([[0.1]], 0.1, is_maximized=is_maximized)[0]) == 1


@pytest.mark.parametrize(("limit", "count"), [(1e300, 1), (-1e300, 0), (1e-300, 0)])
def test_limits_beyond_the_range_of_floats_mean_what_they_say(limit: float, count: int) -> None:
    assert len(solve([[5.0]], limit)[0]) == count


@pytest.mark.parametrize(
    ("costs", "is_maximized", "fault"),
    [
        ([], False, None),
        ([1, INF], False, None),
        ([1, -INF], True, None),
        ([1, NAN], False, "NaN"),
        ([NAN, INF], True, "NaN"),
        ([1, -INF], False, "holds -infinity"),
        ([1, INF], True, "holds +infinity"),
    ],
)
def test_what_is_no_cost_is_told(costs: Any, fault: str | None, *, is_maximized: bool) -> None:
    found = worst_fault(np.array(costs, np.float32), is_maximized=is_maximized)
    assert (found is None) if fault is None else (found is not None and fault in found)
