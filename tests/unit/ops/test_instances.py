"""Instances are measured, and small ones and holes go."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from retinue.ops import instance_properties
from retinue.ops.instances import fill_holes, remove_small

MAP = np.array(
    [
        [0, 7, 7, 0],
        [0, 0, 7, 0],
        [2, 0, 0, 7],
    ]
)


def test_each_instance_has_a_row_in_the_order_of_ids() -> None:
    found = instance_properties(MAP)
    assert len(found) == 2
    assert found.labels.tolist() == [2, 7]
    assert found.areas.tolist() == [1, 4]


def test_boxes_are_half_open() -> None:
    assert instance_properties(MAP).boxes.tolist() == [[0, 2, 1, 3], [1, 0, 4, 3]]


def test_the_centroid_of_a_pixel_is_its_index_with_x_first() -> None:
    assert instance_properties(MAP).centroids.tolist() == [[0, 2], [2, 0.75]]


def test_ids_far_apart_are_found_without_room_for_all_between() -> None:
    found = instance_properties(np.array([[2**31 - 1, 0], [5, 2**31 - 1]]))
    assert found.labels.tolist() == [5, 2**31 - 1]
    assert found.areas.tolist() == [1, 2]
    assert found.boxes.tolist() == [[0, 1, 1, 2], [0, 0, 2, 2]]


def test_a_bool_mask_is_one_instance() -> None:
    assert instance_properties(MAP > 0).areas.tolist() == [5]


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (3, 3)])
def test_a_map_without_instances_has_no_rows(shape: tuple[int, int]) -> None:
    found = instance_properties(np.zeros(shape, dtype=np.int32))
    assert [len(found), found.labels.size, found.areas.size] == [0, 0, 0]
    assert found.centroids.shape == (0, 2)
    assert found.boxes.shape == (0, 4)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "u8", ">i4"])
def test_any_integers_will_do(dtype: str) -> None:
    assert instance_properties(MAP.astype(dtype)).labels.tolist() == [2, 7]


@pytest.mark.parametrize("order", ["F", "strided", "read-only"])
def test_the_layout_in_memory_does_not_matter(order: str) -> None:
    label_map = MAP.astype(np.int32)
    if order == "F":
        label_map = label_map.copy(order="F")
    elif order == "strided":
        label_map = np.repeat(label_map, 2, axis=1)[:, ::2]
    else:
        label_map.flags.writeable = False
    assert instance_properties(label_map).boxes.tolist() == instance_properties(MAP).boxes.tolist()


def test_an_instance_of_the_smallest_area_stays() -> None:
    assert remove_small(MAP, 4).tolist() == np.where(MAP == 7, 7, 0).tolist()
    assert remove_small(MAP, 5).tolist() == np.zeros_like(MAP).tolist()
    assert remove_small(MAP, 0).tolist() == MAP.tolist()


def test_small_instances_go_whatever_their_ids() -> None:
    assert remove_small(np.array([[2**31 - 1, 2**31 - 1, 9]]), 2).tolist() == [[2**31 - 1, 2**31 - 1, 0]]


@pytest.mark.parametrize("bad", [-1, 1.5, None])
def test_an_area_that_is_no_count_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^min_area: "):
        remove_small(MAP, bad)


def test_a_hole_goes_to_the_instance_around_it() -> None:
    ring = np.array([[3, 3, 3, 3], [3, 0, 0, 3], [3, 3, 3, 3]])
    assert fill_holes(ring).tolist() == np.full((3, 4), 3).tolist()


def test_background_between_instances_stays() -> None:
    ring = np.array([[3, 3, 3], [3, 0, 4], [3, 3, 3]])
    assert fill_holes(ring).tolist() == ring.tolist()


@pytest.mark.parametrize("turn", range(4))
def test_background_at_the_edge_is_no_hole(turn: int) -> None:
    bay = np.rot90(np.array([[3, 3, 3], [3, 0, 3], [3, 0, 3]]), turn)
    assert fill_holes(bay).tolist() == bay.tolist()


def test_a_hole_is_joined_by_sides_only() -> None:
    """The gap at the corner does not let the background in."""
    open_corner = np.array([[0, 3, 3], [3, 0, 3], [3, 3, 3]])
    assert fill_holes(open_corner).tolist() == [[0, 3, 3], [3, 3, 3], [3, 3, 3]]


def test_an_instance_within_a_hole_keeps_it_open() -> None:
    nested = np.full((5, 5), 3)
    nested[1:4, 1:4] = 0
    nested[2, 2] = 8
    assert fill_holes(nested).tolist() == nested.tolist()


@pytest.mark.parametrize("operation", [instance_properties, fill_holes, lambda bad: remove_small(bad, 1)])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((2, 2)), "must be integers"),
        (np.zeros(4, dtype=int), r"must be \(H, W\)"),
        (np.array([[-1, 0]]), r"ids must be in \[0, 2147483647\], got -1"),
        (np.array([[2**31, 0]]), "ids must be in"),
        (np.array([[2**64 - 1, 0]], dtype=np.uint64), "ids must be in"),
        (np.broadcast_to(np.zeros(1, dtype=bool), (2**16, 2**15)), "must have at most"),
    ],
)
def test_what_is_no_label_map_is_refused_by_name(operation: Callable[[Any], Any], bad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^label_map: {message}"):
        operation(bad)


def test_the_map_is_left_as_it_was() -> None:
    ring = np.array([[3, 3, 3], [3, 0, 3], [3, 3, 3]], dtype=np.int32)
    fill_holes(ring)
    remove_small(ring, 100)
    assert ring.tolist() == [[3, 3, 3], [3, 0, 3], [3, 3, 3]]
