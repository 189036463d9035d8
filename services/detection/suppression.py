"""How several boxes on one thing become one, as each caller asks for it."""

from typing import get_args

import numpy as np

from retinue.ops import matrix_nms, merge_boxes, nms, soft_nms
from retinue.runtime.detection_manifest import NmsKind
from services.detection.detections import Candidates, DetectionOptions, Floats, Ids

_MOST_DECAYED = 10_000
"""How many candidates, the best, are looked at where each lowers all others: time grows with the square."""


def suppressed(candidates: Candidates, options: DetectionOptions) -> tuple[Ids, Floats]:
    """Return which candidates are answered, best first, and their scores after it.

    Args:
        candidates: boxes that score at least the threshold.
        options: what the caller wants.

    Returns:
        int64 [n] indices of the candidates and float32 [n] scores, at most ``max_detections``; equal scores by index.

    Notes:
        Of the kinds that lower scores only the 10 000 best candidates are looked at, of equal ones the first; hundreds
        of thousands, which a threshold of 0 lets through, would keep a worker for minutes.
    """
    if options.nms in ("soft_linear", "soft_gaussian", "matrix") and len(candidates.scores) > _MOST_DECAYED:
        best = np.sort(np.argsort(-candidates.scores, kind="stable")[:_MOST_DECAYED])
        kept, scores = suppressed(
            Candidates(candidates.boxes[best], candidates.label_ids[best], candidates.scores[best]), options
        )
        return best[kept], scores
    boxes, label_ids, scores = candidates
    groups = None if options.is_class_agnostic else label_ids
    most = options.max_detections
    match options.nms:
        case "hard" | "diou":
            kept = nms(
                boxes,
                scores,
                options.iou_threshold,
                labels=groups,
                max_output=most,
                metric="diou" if options.nms == "diou" else "iou",
            )
            return kept, scores[kept]
        case "soft_linear" | "soft_gaussian":
            return soft_nms(
                boxes,
                scores,
                method="linear" if options.nms == "soft_linear" else "gaussian",
                iou_threshold=options.iou_threshold,
                sigma=options.sigma,
                min_score=float(np.float32(options.score_threshold)),  # as scores are compared elsewhere
                labels=groups,
                max_output=most,
            )
        case "matrix":  # whose sigma is the inverse of a width
            scores = matrix_nms(boxes, scores, labels=groups, sigma=1 / options.sigma)
        case "none":
            pass
    order = np.argsort(-scores, kind="stable")[:most]
    order = order[scores[order] >= options.score_threshold]
    return order, scores[order]


def ready_suppression() -> None:
    """Load, or compile, what suppression of any kind needs, so that no caller waits for it."""
    nothing = Candidates(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32))
    for kind in get_args(NmsKind):
        suppressed(nothing, DetectionOptions(0.0, None, kind, 0.5, 0.5, is_class_agnostic=False, max_detections=1))
    merge_boxes(nothing.boxes, nothing.scores, labels=nothing.label_ids)
