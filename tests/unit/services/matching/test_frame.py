from typing import Any

import numpy as np
import pytest

from services.matching.frame import MAX_COORDINATE_PX, checked_detections, checked_frame_index
from services.matching.invalid_field import InvalidField

BOX = [0.0, 0.0, 2.0, 2.0]


def test_the_order_is_by_score_then_place_then_class() -> None:
    boxes = [[5, 0, 6, 1], [0, 0, 1, 1], [0, 0, 1, 1], [9, 9, 9, 9]]
    found = checked_detections(boxes, [0.5, 0.5, 0.5, 0.75], [0, 8, 7, 0])
    assert found.positions.tolist() == [3, 2, 1, 0]
    assert found.class_ids.tolist() == [0, 7, 8, 0]
    assert found.boxes[0].tolist() == [9, 9, 9, 9]


def test_without_classes_all_are_of_class_0() -> None:
    assert checked_detections([BOX], [1], None).class_ids.tolist() == [0]


def test_an_empty_frame_is_a_frame() -> None:
    assert checked_detections([], [], None).boxes.shape == (0, 4)
    assert checked_detections(np.zeros((0, 4)), [], None).boxes.shape == (0, 4)
    assert checked_detections([], [], []).class_ids.shape == (0,)


@pytest.mark.parametrize(
    ("boxes", "scores", "class_ids", "complaint"),
    [
        ([[0, 0, 1]], [0.5], None, r"boxes_xyxy_px: must be \[n, 4\], got \[1, 3\]"),
        (BOX, [0.5], None, r"boxes_xyxy_px: must be \[n, 4\]"),
        ([BOX, [0.0]], [0.5, 0.5], None, "boxes_xyxy_px: is ragged"),
        ([["a"] * 4], [0.5], None, "boxes_xyxy_px: must be real numbers"),
        ([[0, 0, np.nan, 1]], [0.5], None, "boxes_xyxy_px: box 0 .* not finite"),
        ([BOX, [0, 0, np.inf, 1]], [0.5, 0.5], None, "boxes_xyxy_px: box 1 .* not finite"),
        ([[0, 0, MAX_COORDINATE_PX * 1.01, 1]], [0.5], None, "boxes_xyxy_px: .* beyond"),
        ([[2, 0, 1, 1]], [0.5], None, "boxes_xyxy_px: box 0 ends before it begins"),
        ([[0, 2, 1, 1]], [0.5], None, "boxes_xyxy_px: box 0 ends before it begins"),
        ([BOX], [], None, "scores: must be one for each of 1 boxes"),
        ([BOX], [0.5, 0.5], None, "scores: must be one for each"),
        ([], [0.5], None, "scores: must be one for each of 0 boxes"),
        ([BOX], [np.nan], None, "scores: score 0 is nan"),
        ([BOX], [1.01], None, "scores: score 0 is 1.01"),
        ([BOX], [-0.01], None, "scores: score 0 is -0.01"),
        ([BOX], [0.5], [], "class_ids: must be one for each of 1 boxes"),
        ([BOX], [0.5], [0.5], "class_ids: must be whole numbers"),
    ],
)
def test_what_cannot_be_used_is_named(boxes: Any, scores: Any, class_ids: Any, complaint: str) -> None:
    with pytest.raises(InvalidField, match=complaint):
        checked_detections(boxes, scores, class_ids)


@pytest.mark.parametrize("index", [3, 2, -1, 2**63, 4.0, None])
def test_a_frame_comes_after_the_last_one(index: Any) -> None:
    with pytest.raises(InvalidField, match="frame_index"):
        checked_frame_index(index, last_frame_index=3)


def test_the_largest_index_is_a_frame() -> None:
    assert checked_frame_index(2**63 - 1, last_frame_index=3) == 2**63 - 1
