"""Detections scored: COCO's figures, the confusion matrix, and the bounds of both."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import Detections, GroundTruth, Stop, Stopped, detection_confusion_matrix, evaluate_detections
from retinue.runtime.errors import InvalidInput
from services.matching import evaluation
from services.matching.evaluation import EvaluationOptions, EvaluationPicture, EvaluationProblem


def picture(truth: Any, found: Any, *, crowd: Any = None) -> EvaluationPicture:
    """Return a picture of (class, x) objects and (class, x, score) detections, all boxes 10 wide and high."""
    objects = np.array(truth, np.float64).reshape(-1, 2)
    seen = np.array(found, np.float64).reshape(-1, 3)
    boxes = [
        np.stack([one[:, 1], one[:, 1] * 0, one[:, 1] + 10, one[:, 1] * 0 + 10], axis=1) for one in (objects, seen)
    ]
    is_crowd = np.zeros(len(objects), np.bool_) if crowd is None else np.array(crowd)
    return EvaluationPicture(
        boxes[0],
        objects[:, 0].astype(np.int64),
        np.full(len(objects), 100.0),
        is_crowd,
        boxes[1],
        seen[:, 0].astype(np.int64),
        seen[:, 2],
    )


def solve(*pictures: EvaluationPicture, max_class_count: int = 9, **options: Any) -> Any:
    return EvaluationProblem(pictures, EvaluationOptions(**options), max_class_count).solve()


def random_pictures(count: int) -> list[EvaluationPicture]:
    rng = np.random.default_rng(count)
    pictures = []
    for _ in range(count):
        truth = np.stack([rng.integers(0, 4, 6) * 3, rng.uniform(0, 100, 6)], axis=1)
        found = np.concatenate([truth + np.array([0, 1.5]), truth[:3] + np.array([3, 4])])
        scored = np.concatenate([found, rng.random((9, 1)).round(1)], axis=1)
        pictures.append(picture(truth, scored, crowd=rng.random(6) < 0.1))
    return pictures


@pytest.mark.parametrize("block_cells", [1, 200, 10**9])
def test_figures_are_those_of_the_operations_however_the_work_is_parted(
    block_cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "_BLOCK_CELLS", block_cells)
    pictures = random_pictures(20)
    found = solve(*pictures, confusion_iou_threshold=0.6, confusion_score_threshold=0.25)
    places = np.arange(20)
    truth = GroundTruth(
        image_ids=np.repeat(places, 6),
        labels=np.concatenate([one.truth_class_ids for one in pictures]),
        boxes=np.concatenate([one.truth_boxes for one in pictures]),
        is_crowd=np.concatenate([one.truth_is_crowd for one in pictures]),
    )
    detections = Detections(
        image_ids=np.repeat(places, 9),
        labels=np.concatenate([one.detection_class_ids for one in pictures]),
        scores=np.concatenate([one.detection_scores for one in pictures]),
        boxes=np.concatenate([one.detection_boxes for one in pictures]),
    )
    assert found.metrics.summary == evaluate_detections(truth, detections).summary
    assert found.class_ids.tolist() == np.union1d(truth.labels, detections.labels).tolist()
    confusion = detection_confusion_matrix(
        truth, detections, 16, iou_threshold=0.6, score_threshold=0.25, crowds="forgive"
    )
    assert found.confusion.tolist() == confusion[np.ix_([*found.class_ids, 16], [*found.class_ids, 16])].tolist()
    assert found.truth_counts.sum() == 120 - truth.is_crowd.sum() if truth.is_crowd is not None else False
    assert found.detection_counts.sum() == 180


def test_what_reaches_a_threshold_counts() -> None:
    """An IoU and a score that are exactly the thresholds."""
    one = picture([(0, 0)], [(0, 5, 0.3)])
    assert solve(one, confusion_iou_threshold=5 / 15).confusion.tolist() == [[1, 0], [0, 0]]
    assert solve(one, confusion_iou_threshold=0.34).confusion.tolist() == [[0, 1], [1, 0]]
    assert solve(one, confusion_score_threshold=0.31).confusion.tolist() == [[0, 1], [0, 0]]
    assert solve(picture([(0, 0)], [(0, 0, 0.0)]), confusion_score_threshold=0.0).confusion[0, 0] == 1
    assert solve(picture([(0, 0)], [(0, 0, 1.0)]), confusion_iou_threshold=1.0).confusion[0, 0] == 1


def test_classes_that_are_not_asked_for_are_left_out() -> None:
    one = picture([(0, 0), (1, 30)], [(0, 0, 0.9), (1, 30, 0.9), (7, 60, 0.9)])
    found = solve(one, class_ids=np.array([1, 5]))
    assert found.class_ids.tolist() == [1, 5]
    assert found.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert (found.truth_counts.tolist(), found.detection_counts.tolist()) == ([1, 0], [1, 0])
    assert np.isnan(found.sensitivities[1])
    assert found.metrics.class_average_precision().tolist()[1] == -1


def test_crowds_are_no_objects_and_forgive() -> None:
    one = picture([(0, 0), (0, 40)], [(0, 0, 0.9), (0, 40, 0.9), (0, 42, 0.8)], crowd=[False, True])
    found = solve(one)
    assert found.confusion.tolist() == [[1, 0], [0, 0]]
    assert (found.truth_counts.tolist(), found.detection_counts.tolist()) == ([1], [3])


def test_more_classes_than_may_come_up_are_refused() -> None:
    with pytest.raises(InvalidInput, match="images: 3 classes come up; at most 2 are allowed"):
        solve(picture([(0, 0), (1, 30)], [(7, 60, 0.9)]), max_class_count=2)


def test_work_can_be_ended_between_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "_BLOCK_CELLS", 1)

    class Third(Stop):
        """Set when it is looked at for the third time."""

        count = 0

        def check(self) -> None:
            self.count += 1
            if self.count == 3:
                self.set()
            super().check()

    stop, problem = Third(), EvaluationProblem(random_pictures(5), EvaluationOptions(), 9)
    assert problem.cell_count == 5 * (54 + 15)
    with pytest.raises(Stopped):
        problem.solve(stop)
    assert stop.count == 3


def test_no_picture_has_no_figures() -> None:
    found = solve()
    assert (found.confusion.tolist(), found.metrics.ap) == ([[0]], -1)
