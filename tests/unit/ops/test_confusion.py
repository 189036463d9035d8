"""Matrices of true classes against predicted ones."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import confusion_matrix, detection_confusion_matrix, sensitivity, specificity
from retinue.ops.detection_records import Detections, GroundTruth


def test_rows_are_true_and_columns_predicted() -> None:
    assert confusion_matrix([0, 0, 2], [1, 1, 0], 3).tolist() == [[0, 2, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.uint16, np.int32, np.int64, np.uint64])
def test_any_integers_and_layout_will_do(dtype: Any) -> None:
    true = np.asfortranarray(np.array([[0, 1], [1, 1]], dtype))
    predicted = np.array([[0, 0], [1, 1]], np.int64)
    true.flags.writeable = False
    assert confusion_matrix(true, predicted, 2).tolist() == [[1, 0], [1, 2]]


def test_nothing_makes_a_matrix_of_zeros() -> None:
    assert confusion_matrix([], [], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("true", "predicted", "count", "message"),
    [
        ([0, 3], [0, 0], 3, r"true: must be in \[0, 3\), got 0 to 3"),
        ([0, 0], [0, 3], 3, r"predicted: must be in \[0, 3\), got 0 to 3"),
        ([0, 0], [-1, 0], 3, r"predicted: must be in \[0, 3\)"),
        (np.array([255], np.uint8), np.array([0], np.uint8), 3, r"true: must be in \[0, 3\)"),
        ([2**63], [0], 3, "true: must fit int64"),
        ([0], [0, 1], 3, "predicted: must be"),
        ([0.5], [0], 3, "true: must be integers"),
        ([0], [0], 0, "class_count: must be at least 1"),
        ([0], [0], 1.5, "class_count: must be a whole number"),
    ],
)
def test_wrong_input_is_refused_by_name(true: Any, predicted: Any, count: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        confusion_matrix(true, predicted, count)


def test_rates_of_two_kinds() -> None:
    matrix = [[50, 10], [5, 15]]  # TN, FP; FN, TP
    assert sensitivity(matrix)[1] == 15 / 20
    assert specificity(matrix)[1] == 50 / 60


def test_rates_of_classes_take_each_against_the_rest() -> None:
    matrix = np.array([[3, 1, 0], [2, 4, 2], [0, 0, 8]])
    assert sensitivity(matrix).tolist() == [3 / 4, 4 / 8, 1]
    assert specificity(matrix).tolist() == [14 / 16, 11 / 12, 10 / 12]


def test_rates_of_a_stack_are_those_of_each() -> None:
    matrices = np.arange(18).reshape(2, 3, 3)
    assert sensitivity(matrices).tolist() == [sensitivity(matrix).tolist() for matrix in matrices]
    assert specificity(matrices).tolist() == [specificity(matrix).tolist() for matrix in matrices]


def test_zero_over_zero_is_nan_without_a_warning() -> None:
    assert np.isnan(sensitivity([[5, 0], [0, 0]])).tolist() == [False, True]
    assert np.isnan(specificity([[5, 0], [0, 0]])).tolist() == [True, False]


@pytest.mark.parametrize("matrix", [[1, 2], [[1, 2]], [[1, -1], [0, 0]], [[np.nan]], [["a"]]])
@pytest.mark.parametrize("rate", [sensitivity, specificity])
def test_what_is_no_matrix_of_counts_is_refused(rate: Any, matrix: Any) -> None:
    with pytest.raises(ValueError, match=r"^matrix: must be"):
        rate(matrix)


# supervision's published case: one right, one too many, one of a wrong class, two of nothing.
TRUE_BOXES = [[0, 0, 3, 3], [2, 2, 5, 5], [6, 1, 8, 3]]
BOXES = [[0, 0, 3, 3], [0.1, 0.1, 3, 3], [6, 1, 8, 3], [1, 6, 2, 7], [1, 2, 2, 4]]
SCORES = [0.9, 0.9, 0.8, 0.8, 0.8]


def case(found_labels: Any = (0, 0, 1, 1, 1), **more: Any) -> tuple[GroundTruth, Detections]:
    truth = GroundTruth(np.zeros(3, int), np.arange(3), np.array(TRUE_BOXES))
    return truth, Detections(np.zeros(5, int), np.array(found_labels), np.array(SCORES), np.array(BOXES), **more)


@pytest.mark.parametrize(
    ("iou_threshold", "expected"),
    [
        (0.5, [[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 2, 0, 0]]),
        (1.0, [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [2, 3, 0, 0]]),
    ],
)
def test_the_published_case_of_supervision(iou_threshold: float, expected: Any) -> None:
    matrix = detection_confusion_matrix(*case(), 3, iou_threshold=iou_threshold, score_threshold=0.6)
    assert matrix.tolist() == expected


def test_scores_must_exceed_the_threshold() -> None:
    assert detection_confusion_matrix(*case(), 3, score_threshold=0.8)[:, :3].sum() == 2
    assert detection_confusion_matrix(*case(), 3, score_threshold=0.9)[:, :3].sum() == 0


def test_overlaps_must_exceed_the_threshold() -> None:
    truth = GroundTruth([0], [0], [[0, 0, 2, 2]])  # type: ignore[arg-type]
    found = Detections([0], [0], [0.9], [[0, 0, 2, 1]])  # type: ignore[arg-type]
    assert detection_confusion_matrix(truth, found, 1).tolist() == [[0, 1], [1, 0]]
    assert detection_confusion_matrix(truth, found, 1, iou_threshold=0.49).tolist() == [[1, 0], [0, 0]]


def test_the_class_may_go_before_the_overlap() -> None:
    truth = GroundTruth([0], [0], [[0, 0, 2, 2]])  # type: ignore[arg-type]
    found = Detections([0, 0], [0, 1], [0.9, 0.95], [[0.1, 0.1, 2.1, 2.1], [0, 0, 2, 2]])  # type: ignore[arg-type]
    assert detection_confusion_matrix(truth, found, 2).tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    by_class = detection_confusion_matrix(truth, found, 2, priority="class")
    assert by_class.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_boxes_of_other_images_are_never_paired() -> None:
    truth = GroundTruth([3, -1], [0, 1], [[0, 0, 2, 2]] * 2)  # type: ignore[arg-type]
    found = Detections([-1, 7], [0, 0], [0.9, 0.9], [[0, 0, 2, 2]] * 2)  # type: ignore[arg-type]
    assert detection_confusion_matrix(truth, found, 2).tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0]]


def test_a_box_without_area_is_background() -> None:
    truth = GroundTruth([0], [0], [[1, 1, 1, 1]])  # type: ignore[arg-type]
    found = Detections([0], [0], [0.9], [[1, 1, 1, 1]])  # type: ignore[arg-type]
    assert detection_confusion_matrix(truth, found, 1).tolist() == [[0, 1], [1, 0]]


def test_many_pairs_above_the_threshold_are_all_seen() -> None:
    truth = GroundTruth(np.zeros(20, int), np.zeros(20, int), np.tile([0, 0, 2, 2], (20, 1)))
    found = Detections(np.zeros(20, int), np.zeros(20, int), np.ones(20), np.tile([0, 0, 2, 2], (20, 1)))
    assert detection_confusion_matrix(truth, found, 1).tolist() == [[20, 0], [0, 0]]


def test_corner_and_size_make_the_same_boxes() -> None:
    truth, found = case()
    sizes = np.array(BOXES)
    sizes[:, 2:] -= sizes[:, :2]
    same = Detections(found.image_ids, found.labels, found.scores, sizes, box_format="xywh")
    assert detection_confusion_matrix(truth, same, 3).tolist() == detection_confusion_matrix(truth, found, 3).tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_count": 2}, r"truth: labels must be in \[0, 2\)"),
        ({"iou_threshold": -0.1}, "iou_threshold: must be"),
        ({"iou_threshold": 1.1}, "iou_threshold: must be"),
        ({"score_threshold": np.nan}, "score_threshold: must be"),
        ({"priority": "score"}, "priority: must be one of overlap, class"),
    ],
)
def test_wrong_options_are_refused_by_name(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        detection_confusion_matrix(*case(), **({"class_count": 3} | options))


def test_labels_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^detections: labels must be in \[0, 3\), got -1 to 1"):
        detection_confusion_matrix(*case((0, 0, 1, 1, -1)), 3)


# --- crowds


def crowded(crowds: Any, *, detections: Any, labels: list[int]) -> Any:
    """Return the matrix of one object of class 0 inside a crowd of class 0, and a crowd of class 1 far away."""
    truth = GroundTruth(
        image_ids=np.zeros(3, np.int64),
        labels=np.array([0, 0, 1]),
        boxes=np.array([[0.0, 0, 4, 4], [0, 0, 20, 20], [50, 50, 90, 90]]),
        is_crowd=np.array([False, True, True]),
    )
    count = len(labels)
    found = Detections(
        image_ids=np.zeros(count, np.int64),
        labels=np.array(labels),
        scores=np.full(count, 0.9),
        boxes=np.array(detections, np.float64),
    )
    return detection_confusion_matrix(truth, found, 2, crowds=crowds).tolist()


def test_crowds_count_like_others_unless_forgiven() -> None:
    assert crowded("count", detections=[[0, 0, 4, 4]], labels=[0]) == [[1, 0, 1], [0, 0, 1], [0, 0, 0]]
    assert crowded("forgive", detections=[[0, 0, 4, 4]], labels=[0]) == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_a_crowd_may_be_found_any_number_of_times_by_its_own_class() -> None:
    """A second detection of the object lies in the crowd, as do others; only one of another class is false."""
    boxes = [[0, 0, 4, 4], [0, 0, 4, 4], [10, 10, 14, 14], [16, 0, 22, 8]]
    assert crowded("forgive", detections=boxes, labels=[0, 0, 0, 0]) == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert crowded("forgive", detections=boxes, labels=[0, 0, 1, 0]) == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_a_detection_that_a_crowd_holds_too_little_of_is_false() -> None:
    assert crowded("forgive", detections=[[18, 0, 22, 8]], labels=[0]) == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_an_unknown_way_with_crowds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^crowds: must be one of count, forgive"):
        crowded("ignore", detections=[[0, 0, 1, 1]], labels=[0])
