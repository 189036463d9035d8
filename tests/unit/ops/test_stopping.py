"""Work that nobody waits for any more ends before the next row is looked at or placed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from retinue.ops import Rle, Stop, Stopped, assign, compare_label_maps, compare_masks, match_boxes, pair_points, rle_iou
from retinue.ops._box_pairs import box_pairs
from retinue.ops._dense_assignment import BLOCK, solve_dense
from retinue.ops._listed_assignment import solve_listed
from retinue.ops._neighbours import neighbours

POINTS = np.random.default_rng(0).uniform(0, 90, (200, 2))
BOXES = np.hstack([POINTS, POINTS + 9])
MASKS = [Rle(1, 4, np.array([0, 2, 2])), Rle(1, 4, np.array([1, 2, 1]))]
COSTS = np.random.default_rng(1).random((60, 60))
OPERATIONS: dict[str, Callable[[Stop], Any]] = {
    "assign": lambda stop: assign(COSTS, stop=stop),
    "compare_label_maps": lambda stop: compare_label_maps(np.eye(4, dtype=int), np.eye(4, dtype=int), stop=stop),
    "compare_masks": lambda stop: compare_masks(MASKS, MASKS, stop=stop),
    "match_boxes": lambda stop: match_boxes(BOXES, BOXES, threshold=0.1, stop=stop),
    "pair_points": lambda stop: pair_points(POINTS, POINTS, 9.0, stop=stop),
    "pair_points, hovernet": lambda stop: pair_points(POINTS, POINTS, 9.0, mode="hovernet", stop=stop),
    "pair_points, all within reach": lambda stop: pair_points(POINTS, POINTS, 900.0, stop=stop),
    "rle_iou": lambda stop: rle_iou(MASKS, MASKS, stop=stop),
}


@pytest.fixture
def stop() -> Stop:
    one = Stop()
    one.set()
    return one


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_that_is_told_to_stop_has_no_answer(operation: str, stop: Stop) -> None:
    OPERATIONS[operation](Stop())
    with pytest.raises(Stopped):
        OPERATIONS[operation](stop)


def test_a_stop_can_be_asked_for_again_and_again(stop: Stop) -> None:
    stop.set()
    with pytest.raises(Stopped):
        stop.check()


def test_no_neighbours_are_looked_for_after_the_first_point(stop: Stop) -> None:
    starts, _, _ = neighbours(POINTS, POINTS, 9.0, 10**6, stop.flag)
    assert starts[1] > 0
    assert (starts[2:-1] == 0).all()
    assert starts[-1] == -1


def test_no_boxes_are_compared_after_the_first(stop: Stop) -> None:
    no_labels = np.zeros(0, np.int64)
    starts, _, _ = box_pairs(BOXES, BOXES, no_labels, no_labels, 0, 0.1, False, 10**6, stop.flag)
    assert starts[1] > 0
    assert (starts[2:-1] == 0).all()
    assert starts[-1] == -1


def test_no_row_of_a_list_is_placed(stop: Stop) -> None:
    starts, columns, distances = neighbours(POINTS, POINTS, 9.0, 10**6, Stop().flag)
    assert (solve_listed(starts, columns, distances, 200, Stop().flag) >= 0).all()
    assert (solve_listed(starts, columns, distances, 200, stop.flag) < 0).all()


def test_no_row_of_a_matrix_is_placed(stop: Stop) -> None:
    work, pairs = np.empty((60, 1, BLOCK)), np.empty((2, 60), np.int64)
    assert solve_dense(COSTS, 1.0, np.inf, work, pairs, Stop().flag) == 60
    assert solve_dense(COSTS, 1.0, np.inf, work, pairs, stop.flag) == 0
