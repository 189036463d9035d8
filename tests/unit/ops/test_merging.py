"""`merge_boxes`: what becomes one, and what is refused."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import merge_boxes
from retinue.ops.merging import MergedBoxes


def merge(boxes: object, scores: object, **options: Any) -> MergedBoxes:
    return merge_boxes(np.array(boxes, np.float64), np.array(scores, np.float64), **options)


CHAIN = [[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]


def test_a_part_that_a_seam_cut_off_joins_its_whole() -> None:
    merged = merge([[0.0, 0, 100, 50], [90, 0, 120, 50], [92, 5, 99, 45]], [0.9, 0.8, 0.7], threshold=0.3)
    assert merged.boxes.tolist() == [[0, 0, 120, 50]]
    assert merged.keepers.tolist() == [0, 0, 0]


def test_greedy_merges_only_what_overlaps_the_best() -> None:
    merged = merge(CHAIN, [0.9, 0.8, 0.7], threshold=0.5)
    assert merged.boxes.tolist() == [[0, 0, 14, 10], [8, 0, 18, 10]]


def test_transitive_follows_the_chain() -> None:
    merged = merge(CHAIN, [0.9, 0.8, 0.7], threshold=0.5, mode="transitive")
    assert merged.boxes.tolist() == [[0, 0, 18, 10]]


def test_the_threshold_is_inclusive() -> None:
    assert len(merge(CHAIN[:2], [0.9, 0.8], threshold=0.6).boxes) == 1
    assert len(merge(CHAIN[:2], [0.9, 0.8], threshold=0.61).boxes) == 2


def test_the_metric_may_be_intersection_over_union() -> None:
    assert len(merge(CHAIN[:2], [0.9, 0.8], threshold=0.5, metric="iou").boxes) == 2


def test_other_labels_are_left_alone() -> None:
    merged = merge(CHAIN[:2], [0.8, 0.9], labels=[1, 2], threshold=0.1)
    assert merged.labels.tolist() == [2, 1]
    assert merged.keepers.tolist() == [0, 1]


def test_equal_scores_make_the_first_the_keeper() -> None:
    assert merge(CHAIN, [0.5, 0.5, 0.5]).boxes.tolist() == [[0, 0, 14, 10], [8, 0, 18, 10]]


def test_nothing_gives_nothing() -> None:
    merged = merge(np.empty((0, 4)), [])
    assert [len(part) for part in merged] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, r"^threshold"),
        ({"threshold": 1.1}, r"^threshold"),
        ({"threshold": np.nan}, r"^threshold"),
        ({"metric": "giou"}, r"^metric: must be"),
        ({"mode": "all"}, r"^mode: must be"),
        ({"labels": [1]}, r"^labels: must be \(3,\)"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merge(CHAIN, [0.9, 0.8, 0.7], **options)


def test_bad_boxes_and_scores_are_named() -> None:
    with pytest.raises(ValueError, match=r"^boxes: must be finite"):
        merge([[0.0, 0, np.inf, 1]], [0.5])
    with pytest.raises(ValueError, match=r"^scores: must be \(1,\)"):
        merge([[0.0, 0, 1, 1]], [])
