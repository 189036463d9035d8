"""Every instance has an outline, however small."""

import numpy as np
import pytest

from retinue.ops import instance_contours


def test_a_square_has_its_corner_pixels() -> None:
    label_map = np.zeros((5, 6), dtype=np.int32)
    label_map[1:4, 2:5] = 9
    [[contour]] = instance_contours(label_map)
    assert contour.tolist() == [[2, 1], [2, 3], [4, 3], [4, 1]]
    assert contour.dtype == np.int32


def test_all_points_are_kept_where_asked_for() -> None:
    [[contour]] = instance_contours(np.ones((3, 3), dtype=np.int32), is_simplified=False)
    assert len(contour) == 8


@pytest.mark.parametrize(
    ("label_map", "points"), [([[0, 4]], [[1, 0]]), ([[4, 4, 4]], [[0, 0], [2, 0]]), ([[4], [4]], [[0, 0], [0, 1]])]
)
def test_pixels_and_lines_do_not_vanish(label_map: list[list[int]], points: list[list[int]]) -> None:
    [[contour]] = instance_contours(label_map)
    assert contour.tolist() == points


def test_instances_come_in_the_order_of_ids() -> None:
    assert [part[0].tolist() for part in instance_contours([[8, 0, 3]])] == [[[2, 0]], [[0, 0]]]


def test_parts_come_in_raster_order() -> None:
    [parts] = instance_contours([[0, 0, 0, 6], [6, 0, 0, 0], [0, 0, 6, 0]])
    assert [part.tolist() for part in parts] == [[[3, 0]], [[0, 1]], [[2, 2]]]


def test_a_hole_has_no_contour() -> None:
    ring = np.ones((3, 3), dtype=np.int32)
    ring[1, 1] = 0
    assert [len(parts) for parts in instance_contours(ring)] == [1]


def test_a_neighbour_does_not_join_in() -> None:
    assert [parts[0].tolist() for parts in instance_contours([[1, 2]])] == [[[0, 0]], [[1, 0]]]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 3)])
def test_no_instances_have_no_contours(shape: tuple[int, int]) -> None:
    assert instance_contours(np.zeros(shape, dtype=np.int32)) == []


def test_what_is_no_label_map_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^label_map: must be integers"):
        instance_contours(np.zeros((2, 2)))
