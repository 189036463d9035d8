"""The answer of an evaluation: all scores as a message; what is not known is absent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from retinue.common.v1 import model_pb2
from retinue.matching.v1 import matching_pb2 as pb
from retinue.ops import DetectionMetrics
from services.matching.answers import known
from services.matching.evaluation import Evaluation

_FIGURES: Final = {
    "AP": "ap",
    "AP50": "ap50",
    "AP75": "ap75",
    "AP_small": "ap_small",
    "AP_medium": "ap_medium",
    "AP_large": "ap_large",
    "AR@1": "ar_1",
    "AR@10": "ar_10",
    "AR@100": "ar_100",
    "AR_small": "ar_small",
    "AR_medium": "ar_medium",
    "AR_large": "ar_large",
}


def evaluate_response(
    evaluation: Evaluation, names: Mapping[int, str], image_count: int, *, are_curves_wanted: bool
) -> pb.EvaluateResponse:
    """Return the message of all scores, without the time that they took.

    Args:
        evaluation: the scores.
        names: of classes, where they are known.
        image_count: how many pictures were scored.
        are_curves_wanted: whether precision-recall curves belong to the answer.
    """
    labels = [model_pb2.Label(id=class_id, name=names.get(class_id, "")) for class_id in evaluation.class_ids.tolist()]
    return pb.EvaluateResponse(
        summary=_summary_of(evaluation.metrics),
        classes=[
            pb.ClassEvaluation(
                label=label,
                summary=_summary_of(_of_class(evaluation.metrics, place)),
                truth_count=int(evaluation.truth_counts[place]),
                detection_count=int(evaluation.detection_counts[place]),
                sensitivity=known(evaluation.sensitivities[place]),
                specificity=known(evaluation.specificities[place]),
                curves=_curves_of(evaluation.metrics, place) if are_curves_wanted else (),
            )
            for place, label in enumerate(labels)
        ],
        confusion_matrix=pb.ConfusionMatrix(labels=labels, counts=evaluation.confusion.ravel().tolist()),
        image_count=image_count,
    )


def _summary_of(metrics: DetectionMetrics) -> pb.CocoSummary:
    figures = metrics.summary
    return pb.CocoSummary(**{field: figures[name] for name, field in _FIGURES.items() if figures[name] >= 0})


def _of_class(metrics: DetectionMetrics, place: int) -> DetectionMetrics:
    one = slice(place, place + 1)
    return replace(
        metrics,
        precision=metrics.precision[:, :, one],
        recall=metrics.recall[:, one],
        scores=metrics.scores[:, :, one],
        labels=metrics.labels[one],
    )


def _curves_of(metrics: DetectionMetrics, place: int) -> list[pb.PrecisionRecallCurve]:
    """Return the curve at each threshold over all areas with the most detections; none for a class without truth."""
    precision, scores = metrics.precision[:, :, place, 0, -1], metrics.scores[:, :, place, 0, -1]
    if (precision < 0).any():
        return []
    return [
        pb.PrecisionRecallCurve(iou_threshold=threshold, precisions=row.tolist(), scores=score_row.tolist())
        for threshold, row, score_row in zip(metrics.iou_thresholds.tolist(), precision, scores, strict=True)
    ]
