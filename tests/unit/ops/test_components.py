"""Components are found and numbered as the eye reads."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import connected_components

HOOK = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)


def test_sides_join_and_corners_do_not_at_connectivity_4() -> None:
    labels, count = connected_components(np.eye(3, dtype=bool), connectivity=4)
    assert labels.tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 3]]
    assert count == 3


@pytest.mark.parametrize("mask", [np.eye(3, dtype=bool), np.eye(3, dtype=bool)[::-1]])
def test_corners_join_at_connectivity_8(mask: NDArray[np.bool_]) -> None:
    labels, count = connected_components(mask, connectivity=8)
    assert (labels == mask).all()
    assert count == 1


def test_what_meets_below_is_one() -> None:
    labels, count = connected_components(HOOK, connectivity=4)
    assert (labels == HOOK).all()
    assert count == 1


def test_labels_come_in_raster_order_of_first_pixels() -> None:
    """OpenCV walks in blocks of 2 x 2, and finds the left one first."""
    mask = np.array([[0, 0, 0, 1], [1, 0, 0, 0]], dtype=bool)
    assert connected_components(mask, connectivity=8)[0].tolist() == [[0, 0, 0, 1], [2, 0, 0, 0]]


def test_rows_do_not_run_into_each_other() -> None:
    assert connected_components(np.array([[0, 1], [1, 0]], dtype=bool), connectivity=4)[1] == 2


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">i4", ">i2"])
def test_pixels_of_a_label_map_are_joined_only_where_equal(dtype: str) -> None:
    label_map = np.array([[1, 1, 2], [0, 1, 2]], dtype=dtype)
    labels, count = connected_components(label_map, connectivity=4)
    assert labels.tolist() == [[1, 1, 2], [0, 1, 2]]
    assert count == 2


def test_ids_that_differ_only_in_their_high_bits_are_not_joined() -> None:
    assert connected_components(np.array([[1, 2**32 + 1, -1]]), connectivity=4)[1] == 3


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_an_empty_mask_has_no_components(shape: tuple[int, int]) -> None:
    labels, count = connected_components(np.ones(shape, dtype=bool), connectivity=8)
    assert labels.shape == shape
    assert labels.dtype == np.int32
    assert count == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (70, 1), (64, 64)])
def test_a_full_mask_is_one_component(shape: tuple[int, int]) -> None:
    labels, count = connected_components(np.ones(shape, dtype=bool), connectivity=4)
    assert (labels == 1).all()
    assert count == 1


def test_a_checkerboard_has_a_component_for_every_other_pixel() -> None:
    board = np.indices((60, 61)).sum(axis=0) % 2 == 0
    assert connected_components(board, connectivity=4)[1] == 1830
    assert connected_components(board, connectivity=8)[1] == 1


@pytest.mark.parametrize("order", ["F", "strided", "read-only"])
def test_the_layout_in_memory_does_not_matter(order: str) -> None:
    mask = HOOK.copy(order="F") if order == "F" else np.repeat(HOOK, 2, axis=1)[:, ::2] if order == "strided" else HOOK
    mask.flags.writeable = order != "read-only"
    assert (connected_components(mask, connectivity=4)[0] == HOOK).all()


@pytest.mark.parametrize("bad", [np.zeros(3, dtype=bool), np.zeros((1, 2, 3), dtype=bool), np.zeros((2, 2)), [["a"]]])
def test_what_is_no_mask_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^mask: must be"):
        connected_components(bad, connectivity=4)


def test_more_pixels_than_labels_hold_are_refused() -> None:
    endless = np.broadcast_to(np.zeros(1, dtype=bool), (2**16, 2**15))  # takes no memory
    with pytest.raises(ValueError, match=r"^mask: must have at most 2147483647 pixels"):
        connected_components(endless, connectivity=4)


@pytest.mark.parametrize("bad", [0, 1, 6, "4", None])
def test_a_connectivity_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^connectivity: must be 4 or 8"):
        connected_components(HOOK, connectivity=bad)
