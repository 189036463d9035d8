"""Masks are united, cut, compared and thinned out as runs."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import Rle, rle_encode, rle_iou, rle_merge
from retinue.ops.rle_algebra import rle_nms

LEFT = rle_encode(np.array([[1, 1, 0, 0], [1, 1, 0, 0]]))
MIDDLE = rle_encode(np.array([[0, 1, 1, 0], [0, 1, 1, 0]]))
RIGHT = rle_encode(np.array([[0, 0, 1, 1], [0, 0, 1, 1]]))
NOTHING = Rle(2, 4, np.array([8]))
ALL = Rle(2, 4, np.array([0, 8]))


def test_a_union_is_what_any_mask_has() -> None:
    assert rle_merge([LEFT, MIDDLE]) == rle_encode(np.array([[1, 1, 1, 0]] * 2))
    assert rle_merge([LEFT, MIDDLE, RIGHT]) == ALL
    assert rle_merge([LEFT, RIGHT]) == ALL
    assert rle_merge([NOTHING, RIGHT, NOTHING]) == RIGHT


def test_an_intersection_is_what_all_masks_have() -> None:
    assert rle_merge([LEFT, MIDDLE], is_intersection=True) == rle_encode(np.array([[0, 1, 0, 0]] * 2))
    assert rle_merge([LEFT, MIDDLE, RIGHT], is_intersection=True) == NOTHING
    assert rle_merge([ALL, ALL, LEFT], is_intersection=True) == LEFT
    assert rle_merge([ALL, ALL], is_intersection=True) == ALL


@pytest.mark.parametrize("is_intersection", [False, True])
@pytest.mark.parametrize("rle", [LEFT, RIGHT, NOTHING, ALL, Rle(0, 3, np.array([0]))])
def test_one_mask_is_its_own_union_and_intersection(rle: Rle, is_intersection: bool) -> None:  # noqa: FBT001
    assert rle_merge([rle], is_intersection=is_intersection) == rle
    assert rle_merge([rle, rle, rle], is_intersection=is_intersection) == rle


def test_no_mask_has_no_union() -> None:
    with pytest.raises(ValueError, match=r"^rles: must be at least one mask"):
        rle_merge([])


@pytest.mark.parametrize("other", [Rle(4, 2, np.array([8])), Rle(2, 5, np.array([10]))])
def test_masks_of_different_sizes_are_refused(other: Rle) -> None:
    with pytest.raises(ValueError, match=r"^rles: must all be of one size"):
        rle_merge([LEFT, other])
    with pytest.raises(ValueError, match=r"^rles_b: must all be of one size"):
        rle_iou([LEFT], [LEFT, other])
    with pytest.raises(ValueError, match=r"^rles: must all be of one size"):
        rle_nms([LEFT, other], np.ones(2), 0.5)


def test_what_is_no_rle_is_refused() -> None:
    stranger: Any = b"41202"
    with pytest.raises(ValueError, match=r"^rles: must be an Rle"):
        rle_merge([LEFT, stranger])


def test_iou_is_the_quotient_of_pixels() -> None:
    assert rle_iou([LEFT, ALL], [MIDDLE, RIGHT, LEFT]).tolist() == [[2 / 6, 0, 1], [0.5, 0.5, 0.5]]


def test_against_a_crowd_only_the_own_area_counts() -> None:
    assert rle_iou([LEFT, ALL], [MIDDLE, MIDDLE], is_crowd=[True, False]).tolist() == [[0.5, 2 / 6], [0.5, 0.5]]


@pytest.mark.parametrize("is_crowd", [[0, 1], np.array([0.0, 1.0]), [False, True], np.array([0, 1], np.uint8)])
def test_crowds_are_told_by_booleans_or_by_0_and_1(is_crowd: Any) -> None:
    assert rle_iou([LEFT], [MIDDLE, MIDDLE], is_crowd=is_crowd).tolist() == [[2 / 6, 0.5]]


def test_empty_masks_overlap_nothing() -> None:
    assert rle_iou([NOTHING, ALL], [NOTHING]).tolist() == [[0], [0]]
    assert rle_iou([NOTHING], [NOTHING], is_crowd=[1]).tolist() == [[0]]


def test_no_masks_give_an_empty_matrix() -> None:
    assert rle_iou([], [LEFT, LEFT]).shape == (0, 2)
    assert rle_iou([LEFT], [], is_crowd=[]).shape == (1, 0)


@pytest.mark.parametrize("bad", [[0], [0, 1, 1], [[0, 1]], [0, 2], ["a", "b"], 1])
def test_crowds_that_are_no_claims_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^is_crowd: must be"):
        rle_iou([LEFT], [LEFT, RIGHT], is_crowd=bad)


def test_the_better_mask_stays_where_two_overlap() -> None:
    assert rle_nms([LEFT, MIDDLE, RIGHT], np.array([0.5, 0.9, 0.4]), 0.3).tolist() == [1]
    assert rle_nms([LEFT, MIDDLE, RIGHT], np.array([0.9, 0.5, 0.4]), 0.3).tolist() == [0, 2]


def test_an_overlap_of_the_threshold_is_allowed() -> None:
    assert rle_nms([LEFT, MIDDLE], np.ones(2, np.float32), 2 / 6).tolist() == [0, 1]
    assert rle_nms([LEFT, MIDDLE], np.ones(2), np.nextafter(2 / 6, 0)).tolist() == [0]


def test_equal_scores_go_by_lowest_index() -> None:
    assert rle_nms([LEFT, LEFT, RIGHT], np.ones(3), 0.5).tolist() == [0, 2]


def test_masks_of_different_labels_do_not_compete() -> None:
    assert rle_nms([LEFT, LEFT, LEFT], np.array([1.0, 3.0, 2.0]), 0.5, labels=[0, 1, 0]).tolist() == [1, 2]


def test_at_most_so_many_are_kept() -> None:
    assert rle_nms([LEFT, RIGHT], np.array([0.1, 0.2]), 0.5, max_output=1).tolist() == [1]
    assert rle_nms([LEFT, RIGHT], np.array([0.1, 0.2]), 0.5, max_output=0).shape == (0,)
    assert rle_nms([LEFT, RIGHT], np.array([0.1, 0.2]), 0.5, max_output=9).tolist() == [1, 0]


def test_no_masks_leave_none() -> None:
    kept = rle_nms([], np.empty(0), 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == np.intp


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"scores": np.ones(3)}, "scores"),
        ({"scores": np.array([1, np.nan])}, "scores"),
        ({"iou_threshold": 1.5}, "iou_threshold"),
        ({"iou_threshold": np.nan}, "iou_threshold"),
        ({"labels": [1]}, "labels"),
        ({"labels": [0.5, 1]}, "labels"),
        ({"max_output": -1}, "max_output"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments: dict[str, Any], name: str) -> None:
    given: dict[str, Any] = {"scores": np.ones(2), "iou_threshold": 0.5} | arguments
    with pytest.raises(ValueError, match=rf"^{name}: "):
        rle_nms([LEFT, RIGHT], **given)
