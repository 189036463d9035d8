"""`detr_cost`: the matcher's three parts and their weights."""

import numpy as np
import pytest

from retinue.ops import assign, detr_cost

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
BOXES = np.array([[0.5, 0.5, 0.2, 0.2], [0.2, 0.2, 0.2, 0.2]])


def test_each_part_has_its_weight() -> None:
    """Same box: only the class counts. The other: L1 is 0.6, and the boxes touch in nothing: GIoU -0.68."""
    cost = detr_cost(PROBABILITIES, BOXES, [0], BOXES[:1])
    assert cost[:, 0] == pytest.approx([-0.7 - 2.0, -0.1 + 5 * 0.6 - 2 * (-(0.25 - 0.08) / 0.25)])


def test_the_weights_can_be_those_of_the_matcher_class() -> None:
    cost = detr_cost(PROBABILITIES, BOXES, [0], BOXES[:1], box_weight=1.0, iou_weight=1.0)
    assert cost[0, 0] == pytest.approx(-1.7)


def test_no_targets_give_no_columns() -> None:
    assert detr_cost(PROBABILITIES, BOXES, [], np.empty((0, 4))).shape == (2, 0)


def test_assigned_queries_are_those_that_fit() -> None:
    rows, columns = assign(detr_cost(PROBABILITIES, BOXES, [2, 0], BOXES[::-1]))
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])


@pytest.mark.parametrize(
    ("labels", "boxes", "message"),
    [
        ([3], BOXES[:1], r"^target_labels: must be in \[0, 3\)"),
        ([-1], BOXES[:1], r"^target_labels: must be in"),
        ([0, 1], BOXES[:1], r"^target_labels: must be \(1,\)"),
        ([0], BOXES[0], r"^target_boxes: must be \(n, 4\)"),
    ],
)
def test_a_bad_target_is_named(labels: list[int], boxes: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detr_cost(PROBABILITIES, BOXES, labels, boxes)


def test_boxes_must_be_as_many_as_probabilities() -> None:
    with pytest.raises(ValueError, match=r"^boxes: must be \(2, 4\)"):
        detr_cost(PROBABILITIES, BOXES[:1], [0], BOXES[:1])
