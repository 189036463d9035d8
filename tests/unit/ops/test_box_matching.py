"""`match_boxes`: who is matched, by what, and what is refused."""

import numpy as np
import pytest

from retinue.ops import match_boxes

LEFT, RIGHT, BOTH = [0.0, 0, 4, 4], [4.0, 0, 8, 4], [0.0, 0, 8, 4]


def test_boxes_that_overlap_enough_are_matched() -> None:
    pairing = match_boxes(np.array([LEFT, RIGHT]), np.array([RIGHT, [0.0, 0, 4, 3]]))
    assert (pairing.index_a.tolist(), pairing.index_b.tolist()) == ([0, 1], [1, 0])
    assert pairing.values.tolist() == [0.75, 1.0]


def test_the_threshold_is_inclusive() -> None:
    assert len(match_boxes(np.array([LEFT]), np.array([BOTH]), threshold=0.5)) == 1
    assert len(match_boxes(np.array([LEFT]), np.array([BOTH]), threshold=0.51)) == 0


def test_more_pairs_come_before_more_overlap() -> None:
    """The exact hit goes to the one that has nothing else."""
    a = np.array([[0.0, 0, 10, 10], [0, 0, 10, 8]])
    b = np.array([[0.0, 0, 10, 10], [0, 0, 10, 20]])
    assert match_boxes(a, b, threshold=0.5).index_b.tolist() == [1, 0]


def test_boxes_of_other_labels_are_not_matched() -> None:
    boxes = np.array([LEFT, LEFT])
    assert match_boxes(boxes, boxes, labels_a=[0, 1], labels_b=[1, 2]).index_a.tolist() == [1]


def test_boxes_that_do_not_touch_are_no_pair_at_threshold_zero() -> None:
    assert len(match_boxes(np.array([LEFT]), np.array([[20.0, 20, 24, 24]]), threshold=0.0)) == 0


def test_intersection_over_the_smaller_area_pairs_a_part_with_its_whole() -> None:
    assert match_boxes(np.array([LEFT]), np.array([BOTH]), threshold=0.9, metric="ios").values.tolist() == [1.0]


@pytest.mark.parametrize(("count_a", "count_b"), [(0, 0), (0, 2), (2, 0)])
def test_no_boxes_give_no_pairs(count_a: int, count_b: int) -> None:
    pairing = match_boxes(np.tile(LEFT, (count_a, 1)), np.tile(LEFT, (count_b, 1)))
    assert (len(pairing), len(pairing.unpaired_a), len(pairing.unpaired_b)) == (0, count_a, count_b)


def test_boxes_that_lie_apart_are_paired_where_the_threshold_says_so() -> None:
    pairing = match_boxes(np.array([LEFT]), np.array([RIGHT]), threshold=-0.5, metric="giou")
    assert pairing.values.tolist() == [0.0]


def test_a_threshold_counts_in_the_dtype_of_the_boxes() -> None:
    whole, part = np.array([[0.0, 0, 10, 1]], np.float32), np.array([[0.0, 0, 9, 1]], np.float32)
    assert len(match_boxes(whole, part, threshold=0.9)) == 1  # 0.9 of float32 is less than 0.9


def test_a_reversed_box_is_no_partner() -> None:
    assert len(match_boxes(np.array([[4.0, 4, 0, 0]]), np.array([LEFT]), threshold=0.0)) == 0


def test_huge_boxes_do_not_overflow() -> None:
    boxes = np.array([LEFT, BOTH]) * 1e307
    assert match_boxes(boxes, boxes).values.tolist() == [1.0, 1.0]


def test_of_equal_partners_the_lowest_is_taken() -> None:
    assert match_boxes(np.array([LEFT]), np.array([RIGHT, LEFT, LEFT])).index_b.tolist() == [1]


def test_more_candidates_than_asked_for_are_refused() -> None:
    boxes = np.tile(LEFT, (10, 1))
    assert len(match_boxes(boxes[:2], boxes, most_candidates=20)) == 2
    with pytest.raises(ValueError, match=r"^threshold: must leave at most 19 possible pairs"):
        match_boxes(boxes[:2], boxes, most_candidates=19)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, "^threshold"),
        ({"threshold": np.nan}, "^threshold"),
        ({"metric": "area"}, "^metric: must be"),
        ({"labels_a": [1]}, "^labels_b: must be given with labels_a"),
        ({"labels_a": [1, 2], "labels_b": [1]}, "^labels_a: must be"),
    ],
)
def test_a_bad_argument_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        match_boxes(np.array([LEFT]), np.array([LEFT]), **options)  # type: ignore[arg-type] # the point
