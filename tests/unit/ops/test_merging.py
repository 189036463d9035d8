"""`merge_boxes`: what becomes one, and what is refused."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import merge_boxes
from retinue.ops.merging import MergedBoxes

CHAIN = [[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]


def merged_from(boxes: Any, scores: Any, **options: Any) -> MergedBoxes:
    return merge_boxes(np.asarray(boxes), np.asarray(scores), **options)


def test_a_part_that_a_seam_cut_off_joins_its_whole() -> None:
    merged = merged_from([[0.0, 0, 100, 50], [90, 0, 120, 50], [92, 5, 99, 45]], [0.9, 0.8, 0.7], threshold=0.3)
    assert merged.boxes.tolist() == [[0, 0, 120, 50]]
    assert merged.keepers.tolist() == [0, 0, 0]


def test_greedy_merges_only_what_overlaps_the_best() -> None:
    merged = merged_from(CHAIN, [0.9, 0.8, 0.7], threshold=0.5)
    assert merged.boxes.tolist() == [[0, 0, 14, 10], [8, 0, 18, 10]]


def test_transitive_follows_the_chain() -> None:
    merged = merged_from(CHAIN, [0.9, 0.8, 0.7], threshold=0.5, mode="transitive")
    assert merged.boxes.tolist() == [[0, 0, 18, 10]]


def test_a_worse_box_joins_the_better_group_and_does_not_join_two_groups() -> None:
    """As in sahi: the middle one overlaps both ends, which do not overlap each other."""
    for mode in ("greedy", "transitive"):
        merged = merged_from(CHAIN, [0.9, 0.1, 0.8], mode=mode)
        assert merged.keepers.tolist() == [0, 0, 2]


def test_the_score_of_a_group_is_its_best_and_groups_come_best_first() -> None:
    merged = merged_from([*CHAIN[:2], [50.0, 0, 60, 10]], [0.2, 0.3, 0.9])
    assert merged.scores.tolist() == [0.9, 0.3]
    assert merged.keepers.tolist() == [1, 1, 2]
    assert merged.boxes.tolist() == [[50, 0, 60, 10], [0, 0, 14, 10]]


def test_boxes_that_cover_nothing_stay_as_they_are() -> None:
    boxes = [[0.0, 0, 10, 10], [5, 5, 5, 5], [2, 2, 2, 8], [8, 8, 2, 2]]
    merged = merged_from(boxes, [0.9, 0.8, 0.7, 0.6], threshold=0)
    assert merged.boxes.tolist() == boxes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_floats_is_kept(dtype: Any) -> None:
    merged = merged_from(np.array(CHAIN, dtype), np.array([0.5, 0.25, 0], dtype))
    assert [part.dtype for part in merged] == [dtype, dtype, np.int64, np.int64]


def test_boxes_beyond_the_areas_of_float32_are_merged_as_they_are() -> None:
    boxes = np.array([[0, 0, 1e30, 1e30], [5e29, 0, 1.5e30, 1e30]], np.float32)
    assert (
        merged_from(boxes, np.array([0.9, 0.8])).boxes.tolist() == np.array([[0, 0, 1.5e30, 1e30]], np.float32).tolist()
    )


def test_the_arguments_are_left_as_they_were() -> None:
    boxes, scores = np.array(CHAIN), np.array([0.9, 0.8, 0.7])
    merged_from(boxes, scores, mode="transitive")
    assert boxes.tolist() == CHAIN
    assert scores.tolist() == [0.9, 0.8, 0.7]


def test_the_threshold_is_inclusive() -> None:
    assert len(merged_from(CHAIN[:2], [0.9, 0.8], threshold=0.6).boxes) == 1
    assert len(merged_from(CHAIN[:2], [0.9, 0.8], threshold=0.61).boxes) == 2


def test_the_metric_may_be_intersection_over_union() -> None:
    assert len(merged_from(CHAIN[:2], [0.9, 0.8], threshold=0.5, metric="iou").boxes) == 2


def test_other_labels_are_left_alone() -> None:
    merged = merged_from(CHAIN[:2], [0.8, 0.9], labels=[1, 2], threshold=0.1)
    assert merged.labels.tolist() == [2, 1]
    assert merged.keepers.tolist() == [0, 1]


def test_equal_scores_make_the_first_the_keeper() -> None:
    assert merged_from(CHAIN, [0.5, 0.5, 0.5]).boxes.tolist() == [[0, 0, 14, 10], [8, 0, 18, 10]]


def test_boxes_that_only_touch_are_not_merged_at_threshold_zero() -> None:
    assert len(merged_from([[0.0, 0, 1, 1], [1, 0, 2, 1]], [0.5, 0.5], threshold=0.0).boxes) == 2


def test_nothing_gives_nothing() -> None:
    merged = merged_from(np.empty((0, 4)), [])
    assert [len(part) for part in merged] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.1}, r"^threshold"),
        ({"threshold": np.nan}, r"^threshold"),
        ({"metric": "giou"}, r"^metric: must be"),
        ({"mode": "all"}, r"^mode: must be"),
        ({"labels": [1]}, r"^labels: must be \(3,\)"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merged_from(CHAIN, [0.9, 0.8, 0.7], **options)


def test_bad_boxes_and_scores_are_named() -> None:
    with pytest.raises(ValueError, match=r"^boxes: must be finite"):
        merged_from([[0.0, 0, np.inf, 1]], [0.5])
    with pytest.raises(ValueError, match=r"^scores: must be \(1,\)"):
        merged_from([[0.0, 0, 1, 1]], [])
