"""COCO's figures of detections, on cases that can be worked out by hand."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import DetectionMetrics, evaluate_detections, rle_encode
from retinue.ops.detection_metrics import DetectionEvaluator
from retinue.ops.detection_records import Detections, GroundTruth
from retinue.ops.rle import Rle

BOX = [0.0, 0.0, 40.0, 40.0]  # of medium size
AWAY = [200.0, 200.0, 240.0, 240.0]


def truth_of(*boxes: list[float], **more: Any) -> GroundTruth:
    return GroundTruth(np.zeros(len(boxes), int), np.zeros(len(boxes), int), np.array(boxes), **more)


def found_of(*boxes: list[float], scores: Any = None, **more: Any) -> Detections:
    zeros = np.zeros(len(boxes), int)
    values = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    return Detections(zeros, zeros, values, np.array(boxes), **more)


def matched(truth: GroundTruth, found: Detections, **more: Any) -> DetectionMetrics:
    return evaluate_detections(truth, found, **more)


def test_what_is_found_exactly_fills_the_curve() -> None:
    metrics = matched(truth_of(BOX), found_of(BOX))
    # One right detection has precision 1 / (1 + spacing(1)), as in pycocotools.
    assert metrics.ap == pytest.approx(1, abs=1e-15)
    assert metrics.summary["AR@1"] == 1


def test_the_twelve_figures_come_in_the_order_of_coco() -> None:
    assert list(matched(truth_of(BOX), found_of(BOX)).summary) == [
        "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
        "AR@1", "AR@10", "AR@100", "AR_small", "AR_medium", "AR_large",
    ]  # fmt: skip


def test_without_any_object_every_figure_is_minus_one() -> None:
    metrics = evaluate_detections(GroundTruth([], [], []), found_of(BOX))  # type: ignore[arg-type]
    assert set(metrics.summary.values()) == {-1.0}


def test_without_any_detection_every_figure_with_objects_is_zero() -> None:
    metrics = evaluate_detections(truth_of(BOX), Detections([], [], [], []))  # type: ignore[arg-type]
    assert (metrics.ap, metrics.summary["AR@100"], metrics.summary["AP_small"]) == (0, 0, -1)


def test_nothing_at_all_has_no_classes() -> None:
    metrics = evaluate_detections(GroundTruth([], [], []), Detections([], [], [], []))  # type: ignore[arg-type]
    assert metrics.precision.shape == (10, 101, 0, 4, 3)
    assert metrics.ap == -1
    assert metrics.class_average_precision().shape == (0,)


def test_an_overlap_of_exactly_the_threshold_is_enough() -> None:
    half = [0.0, 0.0, 40.0, 20.0]
    metrics = matched(truth_of(BOX), found_of(half), iou_thresholds=[0.5, np.nextafter(0.5, 1)])
    assert metrics.recall[:, 0, 0, -1].tolist() == [1, 0]


def test_a_threshold_of_one_forgives_a_rounding() -> None:
    almost = [0.0, 0.0, 40.0, 40.0 * (1 - 5e-11)]
    assert matched(truth_of(BOX), found_of(almost), iou_thresholds=[1.0]).summary["AR@100"] == 1


def test_the_better_score_takes_the_object_however_much_the_other_overlaps() -> None:
    metrics = matched(truth_of(BOX), found_of([0, 0, 40, 30], BOX), iou_thresholds=[0.5, 0.9])
    # At 0.5 the first is right and the second, exact one is false; at 0.9 it is the other way round.
    assert metrics.precision[:, 100, 0, 0, -1].tolist() == [pytest.approx(1), 0.5]


def test_of_equal_overlaps_the_later_object_is_taken() -> None:
    """The first detection lies amid both objects; the second is one of them, and finds it where it is left."""
    left, right, amid = [0.0, 0.0, 40.0, 40.0], [20.0, 0.0, 60.0, 40.0], [10.0, 0.0, 50.0, 40.0]
    found = found_of(amid, left)
    assert matched(truth_of(left, right), found, iou_thresholds=[0.5]).summary["AR@100"] == 1
    assert matched(truth_of(right, left), found, iou_thresholds=[0.5]).summary["AR@100"] == 0.5


def test_a_detection_finds_one_that_counts_before_one_that_does_not() -> None:
    truth = truth_of([0, 0, 40, 30], BOX, is_ignored=[False, True])
    assert matched(truth, found_of(BOX)).recall[:5, 0, 0, -1].tolist() == [1] * 5


def test_what_finds_an_ignored_object_is_neither_right_nor_wrong() -> None:
    truth = truth_of(BOX, AWAY, is_ignored=[True, False])
    metrics = matched(truth, found_of(BOX, AWAY))
    assert metrics.ap == pytest.approx(1)


def test_an_ignored_object_takes_one_detection_and_a_crowd_any_number() -> None:
    found = found_of(BOX, BOX, BOX, AWAY)
    ignored = matched(truth_of(BOX, AWAY, is_ignored=[True, False]), found)
    crowd = matched(truth_of(BOX, AWAY, is_crowd=[True, False]), found)
    assert ignored.ap == pytest.approx(1 / 3)
    assert crowd.ap == pytest.approx(1)


def test_in_a_crowd_a_detection_need_only_lie_within() -> None:
    truth = truth_of([0, 0, 400, 400], AWAY, is_crowd=[True, False])
    assert matched(truth, found_of([10, 10, 20, 20], AWAY)).ap == pytest.approx(1)


@pytest.mark.parametrize(
    ("area", "is_small", "is_medium"), [(1024, True, True), (1023, True, False), (1025, False, True)]
)
def test_ranges_of_areas_include_both_ends(area: float, is_small: bool, is_medium: bool) -> None:  # noqa: FBT001
    summary = matched(truth_of(BOX, areas=[area]), found_of(BOX)).summary
    assert (summary["AR_small"] == 1, summary["AR_medium"] == 1) == (is_small, is_medium)


def test_unmatched_detections_outside_the_range_do_not_count() -> None:
    found = found_of([300, 300, 301, 301], BOX)  # the first is small, and false
    assert matched(truth_of(BOX), found).summary["AP_medium"] == pytest.approx(1)
    assert matched(truth_of(BOX), found).ap == pytest.approx(0.5)


def test_areas_that_are_given_go_before_those_of_boxes() -> None:
    found = found_of([300, 300, 301, 301], BOX, areas=[2000, 1600])
    assert matched(truth_of(BOX), found).summary["AP_medium"] == pytest.approx(0.5)


def test_limits_hold_for_each_image_and_class() -> None:
    truth = GroundTruth([0, 0, 1], [0, 1, 0], np.array([BOX] * 3))  # type: ignore[arg-type]
    found = Detections([0, 0, 1, 0], [0, 1, 0, 0], [0.3, 0.2, 0.1, 0.9], np.array([BOX, BOX, BOX, AWAY]))  # type: ignore[arg-type]
    metrics = evaluate_detections(truth, found)
    assert metrics.recall[0, :, 0, 0].tolist() == [0.5, 1]  # of class 0, image 0's best is false


def test_equal_scores_count_by_image_then_as_given() -> None:
    truth = GroundTruth([1, 2], [0, 0], np.array([BOX, BOX]))  # type: ignore[arg-type]
    found = Detections([2, 1, 1], [0, 0, 0], [0.5] * 3, np.array([BOX, AWAY, BOX]))  # type: ignore[arg-type]
    metrics = evaluate_detections(truth, found)
    # In order: false, right (image 1), right (image 2).
    assert metrics.precision[0, [50, 100], 0, 0, -1].tolist() == [2 / 3, 2 / 3]
    assert metrics.precision[0, 0, 0, 0, 0] == pytest.approx(0.5)  # one of each image: false, right


def test_a_class_without_objects_stays_out_of_the_mean() -> None:
    found = Detections([0, 0], [0, 5], [0.5, 0.9], np.array([BOX, BOX]))  # type: ignore[arg-type]
    metrics = evaluate_detections(truth_of(BOX), found)
    assert metrics.labels.tolist() == [0, 5]
    assert metrics.class_average_precision().tolist() == [pytest.approx(1), -1]
    assert metrics.ap == pytest.approx(1)


def test_labels_that_are_asked_for_are_the_classes() -> None:
    metrics = matched(truth_of(BOX), found_of(BOX), labels=[7, 3])
    assert metrics.labels.tolist() == [3, 7]
    assert metrics.ap == -1


def test_without_classes_any_label_will_do() -> None:
    found = Detections([0], [9], [0.5], np.array([BOX]))  # type: ignore[arg-type]
    metrics = evaluate_detections(truth_of(BOX), found, is_class_agnostic=True)
    assert metrics.ap == pytest.approx(1)
    assert metrics.labels.tolist() == [-1]


def test_detections_on_images_without_objects_are_false() -> None:
    found = Detections([3, 0], [0, 0], [0.9, 0.5], np.array([BOX, BOX]))  # type: ignore[arg-type]
    assert evaluate_detections(truth_of(BOX), found).ap == pytest.approx(0.5)


def test_masks_are_compared_by_their_pixels() -> None:
    left = np.zeros((40, 40), bool)
    left[:, :20] = True
    whole = np.ones((40, 40), bool)
    truth = GroundTruth([0], [0], masks=[rle_encode(whole)])  # type: ignore[arg-type]
    found = Detections([0], [0], [0.5], masks=[rle_encode(left)])  # type: ignore[arg-type]
    metrics = evaluate_detections(truth, found, kind="masks")
    assert metrics.recall[:2, 0, 0, -1].tolist() == [1, 0]
    assert metrics.summary["AR_medium"] == pytest.approx(0.1)


def test_masks_of_one_image_are_of_one_size() -> None:
    truth = GroundTruth([4], [0], masks=[Rle(2, 2, np.array([4]))])  # type: ignore[arg-type]
    found = Detections([4], [0], [0.5], masks=[Rle(2, 3, np.array([6]))])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^masks: .*image 4"):
        evaluate_detections(truth, found, kind="masks")


def test_what_is_compared_must_be_there() -> None:
    with pytest.raises(ValueError, match="truth: must have masks"):
        matched(truth_of(BOX), found_of(BOX), kind="masks")
    masks = GroundTruth([4], [0], masks=[Rle(2, 2, np.array([4]))])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="truth: must have boxes"):
        evaluate_detections(masks, found_of(BOX))


def test_a_curve_says_which_score_to_keep() -> None:
    truth = truth_of(BOX, AWAY)
    curve = matched(truth, found_of(BOX, [90, 90, 95, 95], AWAY, scores=[0.9, 0.6, 0.3])).curve(0)
    assert curve.recall[50] == 0.5
    assert (curve.scores[50], curve.scores[51]) == (0.9, 0.3)
    assert curve.precision[51] == 2 / 3


@pytest.mark.parametrize("wrong", [{"label": 4}, {"label": 0, "iou_threshold": 0.33}, {"label": 0, "area": "huge"}])
def test_a_curve_that_was_not_evaluated_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        matched(truth_of(BOX), found_of(BOX)).curve(**wrong)


def test_a_limit_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(ValueError, match="max_detections: must be one of"):
        matched(truth_of(BOX), found_of(BOX)).average_recall(max_detections=7)


def test_a_threshold_that_was_not_evaluated_has_nothing_to_average() -> None:
    assert matched(truth_of(BOX), found_of(BOX), iou_thresholds=[0.6]).ap50 == -1


def test_images_may_come_one_by_one_in_any_order() -> None:
    evaluator = DetectionEvaluator()
    for image in (2, 0, 1):
        ids = np.full(2, image)
        evaluator.add(
            GroundTruth(ids, np.zeros(2, int), np.array([BOX, AWAY])),
            Detections(ids, np.zeros(2, int), np.full(2, 0.5), np.array([BOX, [0, 0, 1, 1]])),
        )
    # Equal scores go by image, each with one that is right and one that is wrong.
    assert evaluator.metrics().precision[0, [16, 33, 50], 0, 0, -1].tolist() == [pytest.approx(1), 2 / 3, 3 / 5]
    assert evaluator.metrics().ap50 == evaluator.metrics().ap50  # asked twice


def test_an_image_comes_once() -> None:
    evaluator = DetectionEvaluator()
    evaluator.add(truth_of(BOX), found_of(BOX))
    with pytest.raises(ValueError, match="image_ids: each image must be added once, got 0 again"):
        evaluator.add(truth_of(BOX), found_of(BOX))


def test_an_evaluator_without_images_says_minus_one() -> None:
    assert DetectionEvaluator().metrics().ap == -1


def test_a_box_with_a_negative_side_overlaps_nothing() -> None:
    assert matched(truth_of(BOX), found_of([40, 40, 0, 0])).summary["AR@100"] == 0


def test_records_take_any_layout_and_dtype_and_leave_them_as_they_were() -> None:
    boxes = np.asfortranarray(np.array([BOX, AWAY], np.float32))[::-1]
    boxes.flags.writeable = False
    truth = GroundTruth(np.zeros(2, np.uint8), np.zeros(2, np.int16), boxes)  # type: ignore[arg-type]
    found = Detections(np.zeros(2, np.uint8), np.zeros(2, np.int16), np.float32([0.5, 0.4]), boxes)  # type: ignore[arg-type]
    assert evaluate_detections(truth, found).ap == pytest.approx(1)
    assert boxes.tolist() == [AWAY, BOX]


def test_ids_of_any_size_will_do() -> None:
    ids = np.array([-(2**63), 2**63 - 1])
    truth, found = GroundTruth(ids, ids, [BOX, BOX]), Detections(ids, ids, [0.5, 0.6], [BOX, BOX])  # type: ignore[arg-type]
    assert evaluate_detections(truth, found).ap == pytest.approx(1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"labels": [0]}, "labels: must be"),
        ({"labels": [0.5, 1]}, "labels: must be integers"),
        ({"image_ids": [[0, 0]]}, "image_ids: must be"),
        ({"boxes": [BOX]}, r"boxes: must be \(2, 4\)"),
        ({"boxes": [[0, 0, 1], [0, 0, 1]]}, r"boxes: must be \(n, 4\)"),
        ({"boxes": [BOX, [0, 0, np.nan, 1]]}, "boxes: must be finite"),
        ({"boxes": None}, "boxes: must be given"),
        ({"areas": [1]}, "areas: must be"),
        ({"is_crowd": [True]}, "is_crowd: must be"),
        ({"is_crowd": [0, 2]}, "is_crowd: must be booleans"),
        ({"is_ignored": ["a", "b"]}, "is_ignored: must be booleans"),
        ({"masks": [Rle(1, 1, np.array([1]))]}, "masks: must be 2"),
        ({"masks": ["04", "04"]}, "masks: must be 2 of type Rle"),
        ({"box_format": "cxcywh"}, "box_format: must be one of xyxy, xywh"),
    ],
)
def test_a_wrong_record_is_refused_by_name(wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GroundTruth(**({"image_ids": [0, 0], "labels": [0, 0], "boxes": [BOX, BOX]} | wrong))


@pytest.mark.parametrize("scores", [[0.5], [0.5, np.nan], [[0.5, 0.5]], ["a", "b"]])
def test_wrong_scores_are_refused_by_name(scores: Any) -> None:
    with pytest.raises(ValueError, match=r"^scores: must be"):
        Detections([0, 0], [0, 0], scores, [BOX, BOX])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "points"},
        {"iou_thresholds": []},
        {"iou_thresholds": [0]},
        {"iou_thresholds": [1.1]},
        {"recall_points": []},
        {"recall_points": [0.5, 0.4]},
        {"recall_points": [-0.1]},
        {"max_detections": []},
        {"max_detections": [0]},
        {"max_detections": [10, 1]},
        {"max_detections": [1.5]},
        {"area_ranges": {}},
        {"area_ranges": {"all": (1, 0)}},
        {"area_ranges": {"all": (np.nan, 0)}},
        {"labels": [0.5]},
        {"labels": [1], "is_class_agnostic": True},
    ],
)
def test_a_wrong_option_is_refused_by_name(wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: "):
        matched(truth_of(BOX), found_of(BOX), **wrong)


def test_read_only_records_of_nothing_will_do() -> None:
    nothing = np.empty(0, np.int64)
    nothing.flags.writeable = False
    truth, found = GroundTruth(nothing, nothing, []), Detections(nothing, nothing, nothing, [])  # type: ignore[arg-type]
    assert evaluate_detections(truth, found).ap == -1
