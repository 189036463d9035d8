"""Box sets paired."""

from typing import Any

import numpy as np
import pytest

from retinue.runtime.errors import InvalidInput
from services.matching.boxes import BoxesProblem, Metric

LEFT, RIGHT, FAR = [0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0], [9.0, 9.0, 9.5, 9.5]


def problem(metric: Metric, threshold: float, *, classes: Any = None, most: int = 100) -> BoxesProblem:
    """Return two boxes against two, one of them far from all."""
    a_class_ids, b_class_ids = (None, None) if classes is None else (np.array(one, np.int32) for one in classes)
    return BoxesProblem(
        np.array([LEFT, LEFT]), np.array([RIGHT, FAR]), a_class_ids, b_class_ids, metric, threshold, most
    )


@pytest.mark.parametrize(
    ("metric", "likeness"), [("iou", 1 / 3), ("giou", 1 / 3), ("diou", 1 / 3 - 1 / 13), ("ios", 0.5)]
)
def test_likeness_is_measured_as_asked(metric: Metric, likeness: float) -> None:
    pairing = problem(metric, 0.1).solve().pairing
    assert pairing.values.tolist() == pytest.approx([likeness])
    assert pairing.unpaired_b.tolist() == [1]


@pytest.mark.parametrize("metric", ["iou", "ios"])
def test_from_a_threshold_of_0_boxes_with_nothing_in_common_can_be_paired(metric: Metric) -> None:
    pairing = problem(metric, 0.0).solve().pairing
    assert len(pairing) == 2
    assert pairing.values.tolist()[pairing.index_b.tolist().index(1)] == 0.0


@pytest.mark.parametrize("metric", ["giou", "diou"])
def test_from_a_threshold_of_minus_1_all_can_be_paired(metric: Metric) -> None:
    assert len(problem(metric, -1.0).solve().pairing) == 2


@pytest.mark.parametrize("threshold", [0.0, 0.1])
def test_only_boxes_of_one_class_are_paired_if_classes_matter(threshold: float) -> None:
    pairing = problem("iou", threshold, classes=([4, 5], [5, 6])).solve().pairing
    assert (pairing.index_a.tolist(), pairing.index_b.tolist()) == ([1], [0])


def test_more_candidates_than_may_be_are_told_as_the_threshold() -> None:
    with pytest.raises(InvalidInput, match="threshold: leaves more possible pairs than the limit of 1"):
        problem("iou", 0.1, most=1).solve()


def test_no_boxes_have_no_pairs_at_any_threshold() -> None:
    none = np.empty((0, 4))
    for threshold in (0.0, 0.5):
        pairing = BoxesProblem(none, np.array([FAR]), None, None, "iou", threshold, 1).solve().pairing
        assert (len(pairing), pairing.unpaired_b.tolist()) == (0, [0])
