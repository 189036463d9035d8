"""Soft and matrix suppression: published numbers, edges and what is refused."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import matrix_nms, soft_nms

# The boxes of the test that mmcv has for its soft_nms.
BOXES = np.array(
    [[6.0, 3, 8, 7], [3, 6, 9, 11], [3, 7, 10, 12], [1, 4, 13, 7]],
)
SCORES = np.array([0.6, 0.9, 0.7, 0.2])
PAIR = np.array([[0.0, 0, 10, 10], [0, 0, 10, 8], [20, 0, 30, 10]])


def test_the_numbers_of_mmcv_for_the_linear_method() -> None:
    indices, scores = soft_nms(BOXES, SCORES, iou_threshold=0.3)
    assert indices.tolist() == [1, 0, 2, 3]
    assert scores == pytest.approx([0.9, 0.6, 0.29024392, 0.2], abs=1e-7)


def test_the_numbers_of_mmcv_for_the_gaussian_method() -> None:
    indices, scores = soft_nms(BOXES, SCORES, method="gaussian", sigma=0.5)
    assert indices.tolist() == [1, 0, 2, 3]
    assert scores == pytest.approx([0.9, 0.59630775, 0.35275510, 0.18650459], abs=1e-7)


def test_linear_lowers_by_what_overlaps() -> None:
    indices, scores = soft_nms(PAIR, np.array([0.9, 0.8, 0.5]))
    assert indices.tolist() == [0, 2, 1]
    assert scores == pytest.approx([0.9, 0.5, 0.8 * 0.2])


def test_linear_leaves_alone_what_overlaps_by_exactly_the_threshold() -> None:
    assert soft_nms(PAIR, np.array([0.9, 0.8, 0.5]), iou_threshold=0.8)[1].tolist() == [0.9, 0.8, 0.5]


def test_scores_are_lowered_once_for_each_box_picked_before() -> None:
    boxes = np.tile(PAIR[:1], (3, 1)) * [[1], [0.5], [0.5]]  # the first overlaps both by a quarter
    indices, scores = soft_nms(boxes, np.array([1.0, 0.9, 0.8]), iou_threshold=0)
    assert indices.tolist() == [0, 1]  # equal boxes leave each other nothing
    assert scores == pytest.approx([1, 0.9 * 0.75])


def test_a_box_that_was_below_the_least_score_from_the_start_is_dropped() -> None:
    assert soft_nms(PAIR, np.array([0.9, 0.8, 0.1]), min_score=0.15)[0].tolist() == [0, 1]


def test_a_score_of_exactly_the_least_stays() -> None:
    assert soft_nms(PAIR[1:], np.array([0.5, 0.25]), min_score=0.25)[0].tolist() == [0, 1]


def test_equal_scores_are_picked_by_lowest_index_even_after_they_were_lowered() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [-5, 0, 5, 10], [40, 0, 50, 10]])
    indices, scores = soft_nms(boxes, np.array([0.9, 0.6, 0.6, 0.4]), iou_threshold=0.2)
    assert indices.tolist() == [0, 1, 2, 3]
    assert scores == pytest.approx([0.9, 0.4, 0.4, 0.4], abs=1e-15)
    assert scores[1] == scores[2]


def test_labels_keep_scores_apart() -> None:
    assert soft_nms(PAIR, np.array([0.9, 0.8, 0.5]), labels=[0, 1, 0])[1].tolist() == [0.9, 0.8, 0.5]


@pytest.mark.parametrize("max_output", [0, 1, 2])
def test_picking_stops_at_max_output(max_output: int) -> None:
    indices, scores = soft_nms(PAIR, np.array([0.9, 0.8, 0.5]), max_output=max_output)
    assert indices.tolist() == [0, 2][:max_output]
    assert len(scores) == max_output


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_keep_their_dtype(dtype: Any) -> None:
    scores = np.array([0.9, 0.8, 0.5], dtype)
    assert soft_nms(PAIR, scores)[1].dtype == dtype
    assert matrix_nms(PAIR, scores).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_gives_nothing(dtype: Any) -> None:
    indices, scores = soft_nms(np.zeros((0, 4), dtype), np.zeros(0, dtype), labels=[])
    assert (indices.shape, scores.shape) == ((0,), (0,))
    assert [indices.dtype, scores.dtype] == [np.int64, dtype]
    assert matrix_nms(np.zeros((0, 4), dtype), np.zeros(0, dtype)).shape == (0,)
    for kernel in ("linear", "gaussian"):
        lowered = matrix_nms(None, np.zeros(0, dtype), overlap=np.zeros((0, 0)), kernel=kernel)
        assert lowered.shape == (0,)


def test_boxes_that_cover_nothing_are_left_alone() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [5, 5, 5, 5], [8, 8, 2, 2], [5, 5, 5, 5]])
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert soft_nms(boxes, scores, method="gaussian")[1].tolist() == scores.tolist()
    assert matrix_nms(boxes, scores).tolist() == scores.tolist()


def test_the_arguments_are_left_as_they_were() -> None:
    scores = SCORES.copy()
    soft_nms(BOXES, scores, method="gaussian")
    matrix_nms(BOXES, scores)
    assert scores.tolist() == SCORES.tolist()


def test_a_duplicate_lowers_others_less() -> None:
    """The third overlaps both by 0.5 and 0.4: the second is itself lowered, so that what it takes is given back."""
    overlap = np.array([[1, 0.8, 0.5], [0.8, 1, 0.9], [0.5, 0.9, 1]])
    linear = matrix_nms(None, np.array([0.9, 0.8, 0.7]), overlap=overlap, kernel="linear")
    assert linear == pytest.approx([0.9, 0.8 * 0.2, 0.7 * min(0.5, 0.1 / 0.2)])
    gaussian = matrix_nms(None, np.array([0.9, 0.8, 0.7]), overlap=overlap, sigma=2)
    factor = min(np.exp(-2 * 0.25), np.exp(-2 * 0.81) / np.exp(-2 * 0.64))
    assert gaussian == pytest.approx([0.9, 0.8 * np.exp(-2 * 0.64), 0.7 * factor])


def test_an_exact_duplicate_lowers_no_other() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 8]])
    assert matrix_nms(boxes, np.array([0.9, 0.8, 0.7]), kernel="linear") == pytest.approx([0.9, 0, 0.14])


def test_the_row_of_the_better_one_counts() -> None:
    overlap = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0, 0]])
    assert matrix_nms(None, np.array([0.5, 0.9, 0.1]), overlap=overlap, kernel="linear").tolist() == [0.25, 0.9, 0.1]
    assert matrix_nms(None, np.array([0.9, 0.5, 0.1]), overlap=overlap, kernel="linear").tolist() == [0.9, 0.5, 0.1]


def test_labels_keep_scores_apart_in_a_matrix_too() -> None:
    overlap, scores = np.full((3, 3), 0.5), np.array([0.9, 0.8, 0.7])
    lowered = matrix_nms(None, scores, overlap=overlap, labels=[7, 7, -7], kernel="linear")
    assert lowered == pytest.approx([0.9, 0.4, 0.7])


BAD: list[tuple[dict[str, Any], str]] = [
    ({"method": "hard"}, r"^method: must be one of linear, gaussian"),
    ({"iou_threshold": 1.1}, r"^iou_threshold"),
    ({"sigma": 0}, r"^sigma: must be finite and above 0"),
    ({"min_score": np.nan}, r"^min_score"),
    ({"max_output": -1}, r"^max_output"),
    ({"labels": [1]}, r"^labels: must be \(3,\)"),
    ({"scores": np.array([0.5, -0.1, 0.5])}, r"^scores: must be at least 0"),
    ({"scores": np.array([0.5, np.nan, 0.5])}, r"^scores: must be finite"),
    ({"boxes": PAIR[:2]}, r"^scores: must be \(2,\)"),
    ({"boxes": np.full((3, 4), np.inf)}, r"^boxes: must be finite"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_a_bad_argument_of_soft_nms_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        soft_nms(**{"boxes": PAIR, "scores": np.array([0.9, 0.8, 0.5])} | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "box"}, r"^kernel: must be one of linear, gaussian"),
        ({"sigma": 0}, r"^sigma: must be finite and above 0"),
        ({"labels": [1]}, r"^labels: must be \(3,\)"),
        ({"scores": np.array([0.5, -0.1, 0.5])}, r"^scores: must be at least 0"),
        ({"boxes": None}, r"^overlap: must be given if boxes are None"),
        ({"overlap": np.zeros((3, 3))}, r"^overlap: must be given if boxes are None, and only then"),
        ({"boxes": None, "overlap": np.zeros((3, 2))}, r"^overlap: must be \(3, 3\) for 3 scores"),
        ({"boxes": None, "overlap": np.full((3, 3), 1.5)}, r"^overlap: must be in \[0, 1\]"),
        ({"boxes": None, "overlap": np.full((3, 3), np.nan)}, r"^overlap: must be finite"),
        ({"boxes": PAIR[:2]}, r"^scores: must be \(2,\)"),
    ],
)
def test_a_bad_argument_of_matrix_nms_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        matrix_nms(**{"boxes": PAIR, "scores": np.array([0.9, 0.8, 0.5])} | options)
