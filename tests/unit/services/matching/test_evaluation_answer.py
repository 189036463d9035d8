"""The answer of an evaluation: every figure in its field, and absent where there is none."""

import numpy as np
import pytest

from retinue.ops import evaluate_detections
from retinue.ops.detection_records import Detections, GroundTruth
from services.matching.evaluation import Evaluation, EvaluationOptions, EvaluationPicture, EvaluationProblem
from services.matching.evaluation_answer import evaluate_response


@pytest.fixture(scope="module")
def scored() -> Evaluation:
    """Three objects of classes 3 and 8, and a detection of class 9 that has no truth."""
    truth = np.array([[0.0, 0, 40, 40], [50, 0, 60, 10], [0, 50, 200, 250]])
    found = np.array([[0.0, 0, 40, 38], [50, 0, 60, 10], [100, 0, 110, 10]])
    picture = EvaluationPicture(
        truth,
        np.array([3, 3, 8]),
        np.array([1600.0, 100, 40000]),
        np.zeros(3, np.bool_),
        found,
        np.array([3, 3, 9]),
        np.array([0.9, 0.8, 0.7]),
    )
    return EvaluationProblem([picture], EvaluationOptions(), 9).solve()


def test_every_figure_of_coco_is_in_its_field(scored: Evaluation) -> None:
    summary = evaluate_response(scored, {}, 1, are_curves_wanted=False).summary
    assert [value for _, value in summary.ListFields()] == list(scored.metrics.summary.values())
    assert [field.name for field, _ in summary.ListFields()] == [
        "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
        "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large",
    ]  # fmt: skip


def test_classes_come_by_id_with_their_names_and_their_own_figures(scored: Evaluation) -> None:
    response = evaluate_response(scored, {8: "round"}, 1, are_curves_wanted=True)
    assert [(one.label.id, one.label.name) for one in response.classes] == [(3, ""), (8, "round"), (9, "")]
    three, eight, nine = response.classes
    alone = evaluate_detections(
        GroundTruth(
            image_ids=np.zeros(2, np.int64),
            labels=np.array([3, 3]),
            boxes=np.array([[0.0, 0, 40, 40], [50, 0, 60, 10]]),
        ),
        Detections(
            image_ids=np.zeros(2, np.int64),
            labels=np.array([3, 3]),
            scores=np.array([0.9, 0.8]),
            boxes=np.array([[0.0, 0, 40, 38], [50, 0, 60, 10]]),
        ),
    )
    assert (three.summary.ap, three.summary.ap_medium) == (alone.ap, alone.average_precision(area="medium"))
    assert (three.sensitivity, eight.sensitivity, nine.HasField("sensitivity")) == (1.0, 0.0, False)
    assert (eight.summary.ap, eight.summary.HasField("ap_small")) == (0.0, False)
    assert not nine.summary.ListFields()
    assert (three.truth_count, nine.detection_count) == (2, 1)


def test_curves_come_for_classes_with_truth_one_a_threshold(scored: Evaluation) -> None:
    three, eight, nine = evaluate_response(scored, {}, 1, are_curves_wanted=True).classes
    assert [curve.iou_threshold for curve in three.curves] == scored.metrics.iou_thresholds.tolist()
    assert {(len(curve.precisions), len(curve.scores)) for curve in (*three.curves, *eight.curves)} == {(101, 101)}
    expected = scored.metrics.curve(3, iou_threshold=0.95)
    assert list(three.curves[-1].precisions) == expected.precision.tolist()
    assert list(three.curves[-1].scores) == expected.scores.tolist()
    assert len(nine.curves) == 0


def test_the_confusion_matrix_has_background_last(scored: Evaluation) -> None:
    response = evaluate_response(scored, {}, 7, are_curves_wanted=False)
    assert np.reshape(response.confusion_matrix.counts, (4, 4)).tolist() == [
        [2, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 1, 0],
    ]
    assert [label.id for label in response.confusion_matrix.labels] == [3, 8, 9]
    assert (response.image_count, len(response.classes[0].curves)) == (7, 0)
