"""How many items a batch may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.runtime.batch_sizes import BatchSizes
from retinue.runtime.cost_model import Line


def area(bucket: object) -> int:
    """Return the pixels of a bucket, which is its side."""
    assert isinstance(bucket, int)
    return bucket * bucket


def test_any_size_up_to_the_largest_may_be_used() -> None:
    sizes = BatchSizes(6)
    assert [sizes.rounded(count, "x") for count in (1, 3, 5, 6, 9)] == [1, 3, 5, 6, 6]


@pytest.mark.parametrize(("side", "largest"), [(1, 8), (10, 8), (20, 2), (28, 1), (29, 1), (1000, 1)])
def test_large_pictures_run_in_small_batches(side: int, largest: int) -> None:
    """The budget is 800 pixels: one picture of 29 x 29 is above it, and still has to be run."""
    assert BatchSizes(8, max_pixels=800, row_pixels=area).largest(side) == largest


@pytest.mark.parametrize(
    ("largest", "warmed"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8]), (9, [1, 2, 4, 8, 9])]
)
def test_powers_of_two_and_the_largest_are_warmed(largest: int, warmed: list[int]) -> None:
    assert BatchSizes(largest).warmed("x") == warmed


def test_sizes_above_the_budget_are_not_warmed() -> None:
    assert BatchSizes(8, max_pixels=300, row_pixels=area).warmed(10) == [1, 2, 3]


@given(largest=st.integers(1, 70), count=st.integers(1, 100), side=st.integers(1, 40), budget=st.integers(1, 5000))
def test_rounding_gives_the_largest_warmed_size_that_is_filled(
    largest: int, count: int, side: int, budget: int
) -> None:
    sizes = BatchSizes(largest, max_pixels=budget, row_pixels=area, is_rounded=True)
    rounded = sizes.rounded(count, side)
    assert rounded == max(size for size in sizes.warmed(side) if size <= count)
    assert rounded == 1 or rounded * side * side <= budget


@pytest.mark.parametrize(
    ("line", "patience_s", "size"),
    [
        (Line(1.0, 2.0), 100.0, 8),
        (Line(1.0, 2.0), 14.0, 5),
        (Line(1.0, 2.0), 1.0, 1),
        (Line(1.0, 0.0), 16.0, 8),
        (Line(0.0, 2.0), 4.0, 8),
        (Line(0.0, 2.0), 3.9, 1),
        (Line(0.0, 0.0), 0.0, 8),
        (Line(1.0, 2.0), 1e300, 8),
    ],
)
def test_batch_takes_half_of_the_patience(line: Line, patience_s: float, size: int) -> None:
    assert BatchSizes(8).affordable(line, patience_s, "x") == size


def test_batch_that_takes_half_of_the_patience_has_a_size_that_was_warmed() -> None:
    assert BatchSizes(8, is_rounded=True).affordable(Line(1.0, 2.0), 14.0, "x") == 4


@pytest.mark.parametrize(("largest", "max_pixels"), [(0, None), (1, 0)])
def test_batch_without_room_for_one_is_refused(largest: int, max_pixels: int | None) -> None:
    with pytest.raises(ValueError, match="at least"):
        BatchSizes(largest, max_pixels=max_pixels)
