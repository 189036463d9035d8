"""What detections of many pictures score, as values."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from retinue.client.classification_answer import Label
from retinue.client.matching_answers import optional
from retinue.client.number_lists import doubles, indices
from retinue.client.timings import seconds
from retinue.common.v1 import model_pb2
from retinue.matching.v1 import matching_pb2 as pb


@dataclass(frozen=True, slots=True)
class CocoSummary:
    """COCO's twelve figures, in [0, 1]; None where there is no truth for one.

    Small things have areas up to 32^2 pixels, medium up to 96^2. ``ap`` is the mean over the IoU thresholds, ``ap50``
    and ``ap75`` are at one of them, ``ar_1`` is the recall with one detection per picture and class.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar_1: float | None
    ar_10: float | None
    ar_100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionRecallCurve:
    """Precision by recall of one class at one IoU threshold.

    Args:
        iou_threshold: the threshold.
        precisions: float64 [101], the best at recall 0, 0.01, … 1 or beyond.
        scores: float64 [101], of the detection that reaches each recall; 0 where none does.
    """

    iou_threshold: float
    precisions: NDArray[np.float64]
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClassEvaluation:
    """One class.

    Args:
        label: which.
        summary: COCO's figures of it alone.
        truth_count: true boxes, crowds left out.
        detection_count: detections.
        sensitivity: true positives over true boxes, by the confusion matrix; None where there is no true box.
        specificity: true negatives over all that is not of the class, by the confusion matrix with its background;
            None where there is nothing else.
        curves: one for each IoU threshold, if they were asked for.
    """

    label: Label
    summary: CocoSummary
    truth_count: int
    detection_count: int
    sensitivity: float | None
    specificity: float | None
    curves: tuple[PrecisionRecallCurve, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The scores of all pictures.

    Args:
        summary: COCO's figures over all classes that have truth.
        classes: by class id.
        confusion_labels: classes in the order of the confusion matrix; background follows them.
        confusion: int64 [classes + 1, classes + 1], how often the row's class (truth) was found as the column's.
        image_count: how many pictures came.
        solve_time_s: seconds that the service spent on scoring.
    """

    summary: CocoSummary
    classes: tuple[ClassEvaluation, ...]
    confusion_labels: tuple[Label, ...]
    confusion: NDArray[np.int64]
    image_count: int
    solve_time_s: float


def read_evaluation(response: pb.EvaluateResponse) -> Evaluation:
    """Return the value that a message holds."""
    labels = tuple(_label(label) for label in response.confusion_matrix.labels)
    side = len(labels) + 1
    counts = indices(response.confusion_matrix.counts)
    return Evaluation(
        summary=_summary(response.summary),
        classes=tuple(_class(one) for one in response.classes),
        confusion_labels=labels,
        confusion=counts.reshape(side, side) if counts.size else np.zeros((side, side), np.int64),
        image_count=response.image_count,
        solve_time_s=seconds(response.solve_time),
    )


def _class(one: pb.ClassEvaluation) -> ClassEvaluation:
    return ClassEvaluation(
        label=_label(one.label),
        summary=_summary(one.summary),
        truth_count=one.truth_count,
        detection_count=one.detection_count,
        sensitivity=optional(one, "sensitivity"),
        specificity=optional(one, "specificity"),
        curves=tuple(
            PrecisionRecallCurve(curve.iou_threshold, doubles(curve.precisions), doubles(curve.scores))
            for curve in one.curves
        ),
    )


def _summary(summary: pb.CocoSummary) -> CocoSummary:
    return CocoSummary(*(optional(summary, field.name) for field in fields(CocoSummary)))


def _label(label: model_pb2.Label) -> Label:
    return Label(label.id, label.name)
