"""Detections of many pictures scored against the truth: COCO's figures and a confusion matrix."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinue.ops import (
    DetectionEvaluator,
    DetectionMetrics,
    Detections,
    GroundTruth,
    Stop,
    detection_confusion_matrix,
    sensitivity,
    specificity,
)
from retinue.ops.stopping import NEVER
from retinue.runtime.errors import InvalidInput

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

_BLOCK_CELLS = 2**22  # pictures are judged so many pairs of boxes at a time, which bounds the memory that takes


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationOptions:
    """How to score, checked.

    Args:
        class_ids: int64, ascending; the classes to evaluate, others are left out. None for all that come up.
        iou_thresholds: float64, ascending in (0, 1]; None for COCO's.
        confusion_iou_threshold: in (0, 1], inclusive.
        confusion_score_threshold: in [0, 1], inclusive.
    """

    class_ids: Ids | None = None
    iou_thresholds: Floats | None = None
    confusion_iou_threshold: float = 0.5
    confusion_score_threshold: float = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationPicture:
    """Truth and detections of one picture, checked.

    Args:
        truth_boxes: float64 [t, 4] corners, pixels.
        truth_class_ids: int64 [t].
        truth_areas: float64 [t], square pixels.
        truth_is_crowd: bool [t].
        detection_boxes: float64 [d, 4] corners, pixels.
        detection_class_ids: int64 [d].
        detection_scores: float64 [d].
    """

    truth_boxes: Floats
    truth_class_ids: Ids
    truth_areas: Floats
    truth_is_crowd: NDArray[np.bool_]
    detection_boxes: Floats
    detection_class_ids: Ids
    detection_scores: Floats

    @property
    def box_count(self) -> int:
        """True and detected boxes together."""
        return len(self.truth_boxes) + len(self.detection_boxes)

    @property
    def cell_count(self) -> int:
        """True boxes times detected ones, and the reading of both."""
        return len(self.truth_boxes) * len(self.detection_boxes) + self.box_count


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Scores of all pictures, K classes.

    Args:
        class_ids: int64 [K], ascending.
        metrics: COCO's figures, classes in that order.
        confusion: int64 [K + 1, K + 1], truth by rows, background last.
        truth_counts: int64 [K], crowds left out.
        detection_counts: int64 [K].
        sensitivities: float64 [K]; NaN where there is no true box.
        specificities: float64 [K]; NaN where there is nothing else.
    """

    class_ids: Ids
    metrics: DetectionMetrics
    confusion: Ids
    truth_counts: Ids
    detection_counts: Ids
    sensitivities: Floats
    specificities: Floats


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationProblem:
    """Pictures to score.

    Args:
        pictures: each once.
        options: how.
        max_class_count: how many classes may come up.
    """

    pictures: Sequence[EvaluationPicture]
    options: EvaluationOptions
    max_class_count: int

    @property
    def cell_count(self) -> int:
        """Pairs of boxes to be looked at, at most."""
        return sum(picture.cell_count for picture in self.pictures)

    def solve(self, stop: Stop = NEVER) -> Evaluation:
        """Return the scores.

        Raises:
            InvalidInput: more classes come up than may.
        """
        class_ids = self._class_ids()
        count = len(class_ids)
        evaluator = DetectionEvaluator(iou_thresholds=self.options.iou_thresholds, labels=class_ids)
        confusion = np.zeros((count + 1, count + 1), np.int64)
        truth_counts, detection_counts = np.zeros((2, count), np.int64)
        for first, pictures in self._blocks():
            stop.check()
            truth, detections = _records(pictures, first, class_ids)
            evaluator.add(truth, detections)
            confusion += self._confusion(truth, detections, class_ids)
            truth_counts += _counts(truth.labels[~_crowds(truth)], class_ids)
            detection_counts += _counts(detections.labels, class_ids)
        return Evaluation(
            class_ids,
            evaluator.metrics(),
            confusion,
            truth_counts,
            detection_counts,
            sensitivity(confusion)[:-1],
            specificity(confusion)[:-1],
        )

    def _class_ids(self) -> Ids:
        if self.options.class_ids is not None:
            return self.options.class_ids
        none = [np.empty(0, np.int64)]
        sides = [(picture.truth_class_ids, picture.detection_class_ids) for picture in self.pictures]
        class_ids = np.unique(np.concatenate([ids for side in sides for ids in side] or none))
        if len(class_ids) > self.max_class_count:
            problem = f"{len(class_ids)} classes come up; at most {self.max_class_count} are allowed"
            raise InvalidInput("images", problem, limit=str(self.max_class_count))
        return class_ids

    def _blocks(self) -> Iterator[tuple[int, Sequence[EvaluationPicture]]]:
        """Yield pictures that are judged together, and the place of the first."""
        first, cells = 0, 0
        for place, picture in enumerate(self.pictures):
            cells += picture.cell_count
            if cells >= _BLOCK_CELLS:
                yield first, self.pictures[first : place + 1]
                first, cells = place + 1, 0
        if first < len(self.pictures):
            yield first, self.pictures[first:]

    def _confusion(self, truth: GroundTruth, detections: Detections, class_ids: Ids) -> Ids:
        if not len(class_ids):
            return np.zeros((1, 1), np.int64)
        options = self.options
        return detection_confusion_matrix(
            GroundTruth(
                image_ids=truth.image_ids,
                labels=np.searchsorted(class_ids, truth.labels),
                boxes=truth.boxes,
                is_crowd=truth.is_crowd,
            ),
            Detections(
                image_ids=detections.image_ids,
                labels=np.searchsorted(class_ids, detections.labels),
                scores=detections.scores,
                boxes=detections.boxes,
            ),
            len(class_ids),
            # What reaches a threshold counts: it exceeds the number before it.
            iou_threshold=float(np.nextafter(options.confusion_iou_threshold, 0)),
            score_threshold=float(np.nextafter(options.confusion_score_threshold, -1)),
            crowds="forgive",
        )


def _records(pictures: Sequence[EvaluationPicture], first: int, class_ids: Ids) -> tuple[GroundTruth, Detections]:
    """Return the boxes of some pictures that are of the classes to evaluate; the first picture's id is its place."""
    places = np.arange(first, first + len(pictures))
    true_counts = [len(picture.truth_boxes) for picture in pictures]
    found_counts = [len(picture.detection_boxes) for picture in pictures]
    true_labels = np.concatenate([picture.truth_class_ids for picture in pictures])
    found_labels = np.concatenate([picture.detection_class_ids for picture in pictures])
    true, found = np.isin(true_labels, class_ids), np.isin(found_labels, class_ids)
    return (
        GroundTruth(
            image_ids=np.repeat(places, true_counts)[true],
            labels=true_labels[true],
            boxes=np.concatenate([picture.truth_boxes for picture in pictures])[true],
            areas=np.concatenate([picture.truth_areas for picture in pictures])[true],
            is_crowd=np.concatenate([picture.truth_is_crowd for picture in pictures])[true],
        ),
        Detections(
            image_ids=np.repeat(places, found_counts)[found],
            labels=found_labels[found],
            scores=np.concatenate([picture.detection_scores for picture in pictures])[found],
            boxes=np.concatenate([picture.detection_boxes for picture in pictures])[found],
        ),
    )


def _counts(labels: Ids, class_ids: Ids) -> Ids:
    return np.bincount(np.searchsorted(class_ids, labels), minlength=len(class_ids))


def _crowds(truth: GroundTruth) -> NDArray[np.bool_]:
    return np.zeros(len(truth), np.bool_) if truth.is_crowd is None else truth.is_crowd
