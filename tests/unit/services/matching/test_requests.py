"""From the wire to problems: what a field becomes."""

import numpy as np
import pytest

from retinue.matching.v1 import matching_pb2 as pb
from retinue.runtime.errors import InvalidInput
from services.matching.requests import RequestReader, check_corners
from services.matching.settings import LimitSettings

READER = RequestReader(LimitSettings())


def test_defaults_are_those_of_the_contract() -> None:
    boxes = READER.boxes(pb.BoxesProblem())
    assert (boxes.metric, boxes.threshold, boxes.a_class_ids) == ("iou", 0.5, None)
    assert READER.points(pb.PointsProblem(radius=0)).mode == "max"
    sides = pb.InstanceSet(mask_list=pb.MaskList())
    assert READER.instances(pb.InstancesProblem(a=sides, b=sides)).iou_threshold == 0.5
    detr = READER.detr(pb.DetrProblem(class_count=3))
    assert (detr.class_weight, detr.box_weight, detr.giou_weight) == (1, 5, 2)
    assert detr.probabilities.shape == (0, 3)
    costs = READER.assignment(pb.AssignmentProblem(cost_matrix=pb.CostMatrix()))
    assert (costs.costs.shape, costs.max_cost, costs.is_maximized) == ((0, 0), None, False)


def test_a_zero_that_was_sent_is_no_default() -> None:
    assert READER.boxes(pb.BoxesProblem(threshold=0)).threshold == 0
    assert READER.detr(pb.DetrProblem(class_count=1, class_weight=0, box_weight=0, giou_weight=0)).box_weight == 0
    assert READER.assignment(pb.AssignmentProblem(cost_matrix=pb.CostMatrix(), max_cost=0)).max_cost == 0


def test_errors_stand_under_their_problem() -> None:
    with pytest.raises(InvalidInput) as caught:
        READER.problems([pb.PointsProblem(radius=1), pb.PointsProblem()], READER.points)
    assert caught.value.field == "problems[1].radius"


def test_a_reversed_box_is_named_by_its_place() -> None:
    check_corners(np.array([[1.0, 1.0, 1.0, 1.0]]), "a")
    with pytest.raises(InvalidInput, match=r"a: box 1 is reversed: 3, 0, 2, 5"):
        check_corners(np.array([[0.0, 0.0, 1.0, 1.0], [3.0, 0.0, 2.0, 5.0]]), "a")
