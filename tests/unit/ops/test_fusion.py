"""`weighted_boxes_fusion`: means, scores and what is refused."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import weighted_boxes_fusion

BOX = np.array([[0.0, 0, 10, 10]])
FAR = np.array([[50.0, 50, 60, 60]])


def test_boxes_that_overlap_become_their_weighted_mean() -> None:
    boxes, scores, labels = weighted_boxes_fusion([BOX, BOX + 1], [np.array([0.9]), np.array([0.3])], [[2], [2]])
    assert boxes == pytest.approx(np.array([[0.25, 0.25, 10.25, 10.25]]))
    assert scores == pytest.approx([0.6])
    assert labels.tolist() == [2]


def test_a_box_that_one_model_of_two_sees_loses_half_its_score() -> None:
    assert weighted_boxes_fusion([BOX, FAR], [np.array([0.8]), np.array([0.4])], [[0], [0]])[1] == pytest.approx(
        [0.4, 0.2]
    )


def test_classes_are_not_mixed() -> None:
    assert len(weighted_boxes_fusion([BOX, BOX], [np.array([0.8]), np.array([0.4])], [[0], [1]])[0]) == 2


def test_nothing_gives_nothing() -> None:
    boxes, scores, labels = weighted_boxes_fusion([np.empty((0, 4))], [np.empty(0)], [[]])
    assert (boxes.shape, scores.shape, labels.shape) == ((0, 4), (0,), (0,))
    assert len(weighted_boxes_fusion([], [], [])[0]) == 0


def test_boxes_are_cut_to_the_size() -> None:
    boxes = weighted_boxes_fusion([BOX - 5], [np.array([1.0])], [[0]], size=(4, 8))[0]
    assert boxes.tolist() == [[0, 0, 5, 4]]


def test_scores_of_zero_keep_their_place() -> None:
    assert weighted_boxes_fusion([BOX], [np.array([0.0])], [[0]])[0].tolist() == BOX.tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1.0, 2.0]}, r"^weights: must be as long as boxes_list, 1, got 2"),
        ({"weights": [0.0]}, r"^weights"),
        ({"iou_threshold": 1.5}, r"^iou_threshold"),
        ({"confidence": "mean"}, r"^confidence: must be one of"),
        ({"size": (-1, 1)}, r"^size: must be finite and at least 0"),
        ({"size": (1,)}, r"^size: must be height and width"),
        ({"min_score": np.nan}, r"^min_score"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weighted_boxes_fusion([BOX], [np.array([1.0])], [[0]], **options)


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^scores_list: must be as long as boxes_list, 1, got 0"):
        weighted_boxes_fusion([BOX], [], [[0]])
    with pytest.raises(ValueError, match=r"^scores_list\[0\]: must be \(1,\)"):
        weighted_boxes_fusion([BOX], [np.array([0.1, 0.2])], [[0]])


def test_negative_scores_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^scores_list: must be at least 0"):
        weighted_boxes_fusion([BOX], [np.array([-0.1])], [[0]])


def test_bad_boxes_and_labels_are_named_with_their_model() -> None:
    with pytest.raises(ValueError, match=r"^boxes_list\[1\]: must be finite"):
        weighted_boxes_fusion([BOX, BOX * np.nan], [np.array([1.0])] * 2, [[0], [0]])
    with pytest.raises(ValueError, match=r"^labels_list\[0\]: must be integers"):
        weighted_boxes_fusion([BOX], [np.array([1.0])], [[0.5]])


def test_a_box_joins_the_cluster_that_it_overlaps_most() -> None:
    left, right = np.array([[0.0, 0, 10, 10]]), np.array([[6.0, 0, 16, 10]])
    boxes = weighted_boxes_fusion(
        [left, right, right - [1, 0, 1, 0]],
        [np.array([0.9]), np.array([0.8]), np.array([0.8])],
        [[0]] * 3,
        iou_threshold=0.3,
    )[0]
    assert boxes.tolist() == [[5.5, 0, 15.5, 10], [0, 0, 10, 10]]


def test_an_overlap_of_exactly_the_threshold_is_not_enough() -> None:
    pair = [np.array([[0.0, 0, 3, 1]]), np.array([[1.0, 0, 4, 1]])]  # 2 over 4
    assert len(weighted_boxes_fusion(pair, [np.ones(1)] * 2, [[0]] * 2, iou_threshold=0.5)[0]) == 2
    assert len(weighted_boxes_fusion(pair, [np.ones(1)] * 2, [[0]] * 2, iou_threshold=0.49)[0]) == 1


def test_scores_below_the_least_are_left_out_before_they_are_weighted() -> None:
    scores = [np.array([0.2]), np.array([0.4])]
    boxes = weighted_boxes_fusion([BOX, FAR], scores, [[0]] * 2, weights=[10, 0.1], min_score=0.3)[0]
    assert boxes.tolist() == FAR.tolist()


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        ("avg", (0.9 * 2 + 0.6 * 1 + 0.3 * 1) / 3 * 3 / 4),
        ("max", 0.9 * 2 / 2),
        ("box_and_model_avg", (0.9 * 2 + 0.6 + 0.3) / 4 * 3 / 4),
        ("absent_model_aware_avg", (0.9 * 2 + 0.6 + 0.3) / (4 + 1)),
    ],
)
def test_the_score_of_a_cluster(confidence: Any, expected: float) -> None:
    """Three models that weigh 2, 1 and 1: the first sees the object once, the second twice, the third not at all."""
    scores = weighted_boxes_fusion(
        [BOX, np.vstack([BOX, BOX]), np.empty((0, 4))],
        [np.array([0.9]), np.array([0.6, 0.3]), np.empty(0)],
        [[0], [0, 0], []],
        weights=[2, 1, 1],
        confidence=confidence,
    )[1]
    assert scores == pytest.approx([expected])


@pytest.mark.parametrize(("allows_overflow", "expected"), [(False, 0.8), (True, 1.6)])
def test_more_boxes_than_models_raise_a_score_only_if_that_is_allowed(allows_overflow: Any, expected: float) -> None:
    twice = np.vstack([BOX, BOX])
    scores = weighted_boxes_fusion([twice], [np.array([0.8, 0.8])], [[0, 0]], allows_overflow=allows_overflow)[1]
    assert scores == pytest.approx([expected])


def test_boxes_that_cover_nothing_are_left_out() -> None:
    """A line, and a box that is reversed along both sides, whose product of sides is positive."""
    boxes = np.array([[0.0, 0, 0, 10], [10, 10, 0, 0], [0, 0, 10, 10]])
    assert weighted_boxes_fusion([boxes], [np.ones(3)], [[0, 0, 0]])[0].tolist() == BOX.tolist()


def test_a_box_outside_of_the_size_is_left_out() -> None:
    assert len(weighted_boxes_fusion([FAR], [np.ones(1)], [[0]], size=(40, 40))[0]) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_floats_is_kept(dtype: Any) -> None:
    arguments: Any = [[BOX.astype(dtype), np.empty((0, 4))], [np.ones(1, dtype), np.empty(0)], [[3], []]]
    assert [part.dtype for part in weighted_boxes_fusion(*arguments)] == [dtype, dtype, np.int64]


def test_weights_may_be_an_array() -> None:
    weights: Any = np.array([1.0, 3.0])
    boxes = weighted_boxes_fusion([BOX, BOX + 1], [np.ones(1)] * 2, [[0]] * 2, weights=weights)[0]
    assert boxes.tolist() == (BOX + 0.75).tolist()


def test_two_scores_of_zero_keep_the_first_box() -> None:
    """There is no mean to weigh: what began the cluster stays."""
    boxes, scores, _ = weighted_boxes_fusion([BOX, BOX + 1], [np.zeros(1)] * 2, [[0]] * 2)
    assert boxes.tolist() == BOX.tolist()
    assert scores.tolist() == [0]


def test_seventeen_clusters_of_one_label_are_all_compared() -> None:
    """Sixteen are compared in one go."""
    rows = np.arange(40.0)[:, None] * 20 + [0, 0, 10, 10]
    boxes = weighted_boxes_fusion([rows, rows + 1], [np.full(40, 0.9), np.full(40, 0.9)], [[0] * 40] * 2)[0]
    assert boxes == pytest.approx(rows + 0.5)
