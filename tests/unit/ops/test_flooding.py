"""Floods rise from markers, lowest places first."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops.flooding import deep_minima, watershed

ROW = np.array([[1.0, 2.0, 9.0, 3.0, 1.0]])
ENDS = np.array([[4, 0, 0, 0, 7]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floods_meet_at_the_ridge(dtype: type[np.floating[Any]]) -> None:
    assert watershed(ROW.astype(dtype), ENDS).tolist() == [[4, 4, 4, 7, 7]]


def test_heights_below_zero_are_lower_than_zero() -> None:
    """Bits of negative floats are ordered the other way round."""
    elevation = np.array([[-5.0, -1.0, -0.5, -3.0, 0.0, 2.0, -4.0]])
    assert watershed(elevation, np.array([[1, 0, 0, 0, 0, 0, 2]])).tolist() == [[1, 1, 1, 1, 1, 2, 2]]


def test_the_two_zeros_are_one_height() -> None:
    """Were -0.0 lower, the right flood would take the middle."""
    assert watershed(np.array([[0.0, 0.0, 0.0, -0.0, -0.0]]), ENDS).tolist() == [[4, 4, 4, 7, 7]]


def test_a_plateau_is_shared_and_the_middle_goes_to_the_first_in_raster_order() -> None:
    assert watershed(np.zeros((1, 7)), [[1, 0, 0, 0, 0, 0, 2]]).tolist() == [[1, 1, 1, 1, 2, 2, 2]]


def test_a_pixel_behind_a_ridge_counts_as_high_as_the_ridge() -> None:
    """The right flood steps down to 2 at height 6, and has to wait for the left one, which is at 6 too."""
    assert watershed(np.array([[4.0, 6.0, 0.0, 2.0, 6.0]]), ENDS).tolist() == [[4, 4, 4, 7, 7]]


def test_the_flood_stays_inside_the_mask() -> None:
    mask = np.array([[True, True, False, True, True]])
    assert watershed(ROW, np.array([[4, 0, 0, 0, 0]]), mask=mask).tolist() == [[4, 4, 0, 0, 0]]


def test_markers_outside_the_mask_count_for_nothing() -> None:
    mask = np.array([[False, True, True, True, True]])
    assert watershed(ROW, ENDS, mask=mask).tolist() == [[0, 7, 7, 7, 7]]


@pytest.mark.parametrize(("connectivity", "expected"), [(4, [[1, 0], [0, 0]]), (8, [[1, 0], [0, 1]])])
def test_corners_are_passed_only_at_connectivity_8(connectivity: Any, expected: list[list[int]]) -> None:
    labels = watershed(np.zeros((2, 2)), [[1, 0], [0, 0]], mask=np.eye(2, dtype=bool), connectivity=connectivity)
    assert labels.tolist() == expected


def test_rows_do_not_run_into_each_other() -> None:
    mask = np.array([[False, True], [True, False]])
    assert watershed(np.zeros((2, 2)), [[0, 3], [0, 0]], mask=mask).tolist() == [[0, 3], [0, 0]]


def test_without_markers_nothing_is_flooded() -> None:
    assert not watershed(np.zeros((3, 3)), np.zeros((3, 3), dtype=int)).any()


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_an_empty_landscape_stays_empty(shape: tuple[int, int]) -> None:
    assert watershed(np.zeros(shape), np.zeros(shape, dtype=int)).shape == shape


def test_arguments_are_left_as_they_were() -> None:
    markers = ENDS.astype(np.int32)
    watershed(ROW, markers)
    assert markers.tolist() == ENDS.tolist()


@pytest.mark.parametrize("order", ["F", "strided", "read-only"])
def test_the_layout_in_memory_does_not_matter(order: str) -> None:
    heights = np.arange(12.0).reshape(3, 4) % 5
    given: NDArray[Any] = {"F": np.asfortranarray(heights), "strided": np.repeat(heights, 2, axis=1)[:, ::2]}.get(
        order, heights.copy()
    )
    given.flags.writeable = order != "read-only"
    markers = np.zeros((3, 4), dtype=int)
    markers[0, 0], markers[2, 3] = 1, 2
    assert watershed(given, markers).tolist() == watershed(heights, markers).tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"elevation": np.array([[np.nan] * 5])}, "elevation: must be finite"),
        ({"elevation": np.zeros((5, 1))}, r"elevation: must be \(H, W\) like markers"),
        ({"markers": np.zeros((1, 5))}, "markers: must be integers"),
        ({"markers": -ENDS}, "markers: ids must be in"),
        ({"mask": np.ones((1, 5))}, "mask: must be bool"),
        ({"mask": np.ones((5, 1), dtype=bool)}, r"mask: must be \(1, 5\)"),
        ({"connectivity": 6}, "connectivity: must be 4 or 8"),
    ],
)
def test_a_bad_argument_is_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        watershed(**{"elevation": ROW, "markers": ENDS, **arguments})


@pytest.mark.parametrize(("depth", "expected"), [(2.0, [1, 0, 0, 0, 2]), (2.5, [1, 0, 0, 0, 0])])
def test_a_minimum_is_as_deep_as_the_flood_rises_before_it_meets_a_deeper(depth: float, expected: list[int]) -> None:
    elevation = np.array([[0.0, 3.0, 5.0, 4.0, 3.0]])
    assert deep_minima(elevation, np.ones((1, 5), dtype=bool), depth).tolist() == [expected]


def test_each_part_of_the_mask_has_a_minimum_however_shallow() -> None:
    mask = np.array([[True, True, False, True]])
    assert deep_minima(np.zeros((1, 4)), mask, 100.0).tolist() == [[1, 0, 0, 2]]
