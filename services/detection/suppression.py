"""How several boxes on one thing become one, as each caller asks for it."""

import numpy as np

from retinue.ops import matrix_nms, nms, soft_nms
from services.detection.detections import Candidates, DetectionOptions, Floats, Ids


def suppressed(candidates: Candidates, options: DetectionOptions) -> tuple[Ids, Floats]:
    """Return which candidates are answered, best first, and their scores after it.

    Args:
        candidates: boxes that score at least the threshold.
        options: what the caller wants.

    Returns:
        int64 [n] indices of the candidates and float32 [n] scores, at most ``max_detections``; equal scores by index.
    """
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
                min_score=options.score_threshold,
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
