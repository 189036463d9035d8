"""Instances that tiles share become one."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import merge_across_seams
from retinue.ops.seams import SeamMerger


class Place(NamedTuple):
    y: int
    x: int


def test_an_instance_on_both_sides_of_a_seam_is_one() -> None:
    tiles = [(Place(0, 0), np.array([[0, 0, 7, 7]])), (Place(0, 2), np.array([[4, 4, 4, 0]]))]
    [found] = merge_across_seams(tiles)
    assert (found.label, found.area, found.box) == (1, 3, (2, 0, 5, 1))
    assert found.runs.tolist() == [[0, 2, 5]]


def test_a_mask_lies_where_its_box_says() -> None:
    [found] = merge_across_seams([(Place(3, 5), np.array([[0, 1], [1, 1]]))])
    y, x, mask = found.crop()
    assert (y, x, mask.tolist()) == (3, 5, [[False, True], [True, True]])
    assert (found.box, found.area) == ((5, 3, 7, 5), 3)


@pytest.mark.parametrize(("threshold", "count"), [(0.5, 1), (0.51, 2)])
def test_the_share_is_of_the_smaller_area_in_the_band(threshold: float, count: int) -> None:
    """In the band, columns 2 to 5, one has two pixels and the other three; they share one."""
    left = np.array([[1, 1, 1, 1, 0, 0]])
    right = np.array([[0, 2, 2, 2, 2, 2]])
    found = merge_across_seams([(Place(0, 0), left), (Place(0, 2), right)], ios_threshold=threshold)
    assert len(list(found)) == count


def test_instances_that_only_touch_are_not_one() -> None:
    tiles = [(Place(0, 0), np.array([[1, 0]])), (Place(0, 1), np.array([[1, 1]]))]
    assert len(list(merge_across_seams(tiles, ios_threshold=0))) == 2


def test_merging_is_transitive() -> None:
    row = np.array([[1, 1, 1, 1]])
    [found] = merge_across_seams([(Place(0, x), row) for x in (0, 3, 6)])
    assert found.box == (0, 0, 10, 1)


def test_tiles_that_meet_in_a_corner_share_it() -> None:
    full = np.ones((2, 2), dtype=np.int32)
    [found] = merge_across_seams([(Place(0, 0), full), (Place(1, 1), full)])
    assert found.area == 7
    assert found.runs.tolist() == [[0, 0, 2], [1, 0, 3], [2, 1, 3]]


def test_an_instance_is_given_out_when_the_next_row_begins_below_it() -> None:
    merger = SeamMerger()
    assert merger.add(Place(0, 0), np.array([[1], [0], [2]])) == []
    assert [found.box for found in merger.add(Place(2, 0), np.array([[1], [1]]))] == [(0, 0, 1, 1)]
    assert [found.box for found in merger.finish()] == [(0, 2, 1, 4)]


def test_ids_count_on_from_row_to_row_and_begin_anew_after_the_end() -> None:
    merger = SeamMerger()
    for _ in range(2):
        merger.add(Place(0, 0), np.array([[5, 9]]))
        first = merger.add(Place(1, 0), np.array([[3, 0]]))
        assert [found.label for found in (*first, *merger.finish())] == [1, 2, 3]


def test_memory_follows_the_rows_that_are_open() -> None:
    merger = SeamMerger()
    tile = np.eye(8, dtype=np.int32)
    given = sum(len(merger.add(Place(y, x), tile)) for y in range(0, 600, 6) for x in (0, 6))
    assert given > 90
    assert len(merger._tiles) <= 4
    assert len(merger._runs) <= 6
    assert merger._runs.keys() == merger._parents.keys() == merger._bottoms.keys()


def test_a_row_comes_in_any_order() -> None:
    row = [(Place(0, x), np.array([[1, 0, 1, 1]])) for x in (0, 3, 6)]
    one, other = ([found.runs.tolist() for found in merge_across_seams(tiles)] for tiles in (row, row[::-1]))
    assert one == other


def test_instances_of_a_batch_come_in_raster_order() -> None:
    tiles = [(Place(0, 0), np.array([[0, 9, 0, 1], [2, 0, 0, 0]]))]
    found = [(found.runs[0, 0], found.runs[0, 1]) for found in merge_across_seams(tiles)]
    assert all(a < b for a, b in pairwise(found))


@pytest.mark.parametrize(
    "tile", [np.zeros((0, 3), dtype=int), np.zeros((3, 0), dtype=int), np.zeros((2, 2), dtype=int)]
)
def test_a_tile_without_instances_adds_none(tile: NDArray[Any]) -> None:
    assert list(merge_across_seams([(Place(0, 0), tile), (Place(0, 1), tile)])) == []


def test_no_tiles_have_no_instances() -> None:
    assert list(merge_across_seams([])) == []


@pytest.mark.parametrize(
    ("place", "label_map", "message"),
    [
        (Place(0, 0), np.ones((1, 1), dtype=int), "place.y: must be at least that of the tile before, 4, got 0"),
        (Place(4, -1), np.ones((1, 1), dtype=int), "place.x: must be at least 0"),
        (Place(4, 0), np.ones((1, 1)), "label_map: must be integers"),
    ],
)
def test_a_bad_tile_is_refused_by_name(place: Place, label_map: NDArray[Any], message: str) -> None:
    merger = SeamMerger()
    merger.add(Place(4, 0), np.ones((1, 1), dtype=int))
    with pytest.raises(ValueError, match=f"^{message}"):
        merger.add(place, label_map)


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan, "half"])
def test_a_threshold_outside_its_range_is_refused_at_once(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^ios_threshold: must be"):
        merge_across_seams([], ios_threshold=bad)


# --- sums


def test_what_is_said_of_parts_adds_up_where_they_become_one() -> None:
    merger = SeamMerger()
    merger.add(Place(0, 0), np.array([[1, 0, 2, 2]]), [[1, 10], [2, 20]])
    merger.add(Place(0, 2), np.array([[7, 7, 7, 0, 9]]), [[4, 40], [8, 80]])
    found = merger.finish()
    assert [one.box for one in found] == [(0, 0, 1, 1), (2, 0, 5, 1), (6, 0, 7, 1)]
    assert [one.sums.tolist() for one in found] == [[1, 10], [6, 60], [8, 80]]


def test_sums_are_by_ascending_id_and_none_is_lost_over_three_rows() -> None:
    merger = SeamMerger()
    found = []
    for row in range(3):
        found += merger.add(Place(row, 0), np.array([[9, 0, 3], [9, 0, 3]]), [[1], [100]])
    found += merger.finish()
    assert [(one.area, one.sums.tolist()) for one in found] == [(4, [300]), (4, [3])]


def test_what_is_said_is_copied() -> None:
    merger, said = SeamMerger(), np.ones((1, 2))
    merger.add(Place(0, 0), np.array([[1]]), said)
    said[:] = 99
    assert merger.finish()[0].sums.tolist() == [1, 1]


def test_where_nothing_is_said_sums_are_empty() -> None:
    merger = SeamMerger()
    merger.add(Place(0, 0), np.array([[1]]))
    assert merger.finish()[0].sums.shape == (0,)
    merger.add(Place(0, 0), np.zeros((2, 2), np.int32), np.zeros((0, 3)))
    assert merger.finish() == []


@pytest.mark.parametrize("sums", [[], [[1]], [[1], [2], [3]], [1, 2], 5])
def test_sums_are_one_row_for_each_instance(sums: Any) -> None:
    with pytest.raises(ValueError, match=r"sums: must be \(2, k\)"):
        SeamMerger().add(Place(0, 0), np.array([[1, 0, 2]]), sums)


def test_a_tile_with_more_instances_than_a_byte_counts_meets_the_next_row() -> None:
    labels = np.arange(1, 301).reshape(1, 300).repeat(2, axis=0)
    merger = SeamMerger()
    assert merger.add(Place(0, 0), labels) == []
    assert merger.add(Place(1, 0), labels) == []
    found = merger.finish()
    assert [one.area for one in found] == [3] * 300


def test_of_a_row_of_tiles_only_what_the_next_can_meet_is_kept() -> None:
    merger = SeamMerger()
    merger.add(Place(0, 0), np.ones((100, 50), np.int32))
    merger.add(Place(90, 0), np.ones((100, 50), np.int32))
    assert [(tile.y, tile.labels.shape) for tile in merger._tiles] == [(90, (10, 50)), (90, (100, 50))]
    assert [one.area for one in merger.finish()] == [190 * 50]


# --- what comes next


def test_what_ends_above_the_row_that_comes_next_is_finished_before_it_comes() -> None:
    merger = SeamMerger()
    assert merger.add(Place(0, 0), np.array([[1, 0, 2], [0, 0, 2], [3, 0, 2]])) == []
    assert [one.box for one in merger.advance(2)] == [(0, 0, 1, 1)]
    assert merger.advance(2) == []
    assert merger.add(Place(2, 0), np.array([[5, 0, 6], [0, 0, 0]])) == []
    assert [one.area for one in merger.finish()] == [3, 1]


@pytest.mark.parametrize("row", [1, 2.5, "3"])
def test_nothing_comes_above_what_has_come(row: Any) -> None:
    merger = SeamMerger()
    merger.add(Place(2, 0), np.array([[1]]))
    with pytest.raises(ValueError, match="row"):
        merger.advance(row)
    merger.advance(7)
    with pytest.raises(ValueError, match="at least that of the tile before, 7"):
        merger.add(Place(6, 0), np.array([[1]]))
