"""Suppression of every kind as plain loops over pairs of boxes: the tests' reference."""

import math
from collections.abc import Callable, Sequence

from services.detection.detections import DetectionOptions

Box = Sequence[float]


def iou_of(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if common > 0 else 0.0


def diou_of(a: Box, b: Box) -> float:
    """Return IoU less the squared distance of the centres over the squared diagonal of the enclosing box."""
    apart = ((a[0] + a[2] - b[0] - b[2]) / 2) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2) ** 2
    width = max(a[2], b[2]) - min(a[0], b[0])
    height = max(a[3], b[3]) - min(a[1], b[1])
    return iou_of(a, b) - apart / (width**2 + height**2)


def naive(
    boxes: Sequence[Box], labels: Sequence[int], scores: Sequence[float], options: DetectionOptions
) -> tuple[list[int], list[float]]:
    """Return indices and scores of what is left, best first, equal scores by index."""
    scores = list(scores)
    best_first = sorted(range(len(boxes)), key=lambda i: (-scores[i], i))

    def may_meet(i: int, j: int) -> bool:
        return options.is_class_agnostic or labels[i] == labels[j]

    kept = best_first
    if options.nms in ("hard", "diou"):
        overlap, kept = (iou_of if options.nms == "hard" else diou_of), []
        for i in best_first:
            if not any(may_meet(i, j) and overlap(boxes[j], boxes[i]) > options.iou_threshold for j in kept):
                kept.append(i)
    elif options.nms in ("soft_linear", "soft_gaussian"):
        kept = _soft(boxes, scores, may_meet, options)
    elif options.nms == "matrix":
        scores = _matrix(boxes, scores, best_first, may_meet, options.sigma)
        kept = sorted(range(len(boxes)), key=lambda i: (-scores[i], i))
    kept = [i for i in kept if scores[i] >= options.score_threshold][: options.max_detections]
    return kept, [scores[i] for i in kept]


def _soft(
    boxes: Sequence[Box], scores: list[float], may_meet: Callable[[int, int], bool], options: DetectionOptions
) -> list[int]:
    """Lower the scores in their place and return the order in which boxes are picked."""
    picked, left = [], set(range(len(boxes)))
    while left:
        best = min(left, key=lambda i: (-scores[i], i))
        left.remove(best)
        picked.append(best)
        for i in left:
            iou = iou_of(boxes[best], boxes[i]) if may_meet(best, i) else 0.0
            if options.nms == "soft_gaussian":
                scores[i] *= math.exp(-(iou**2) / options.sigma)
            elif iou > options.iou_threshold:
                scores[i] *= 1 - iou
    return picked


def _matrix(
    boxes: Sequence[Box],
    scores: Sequence[float],
    best_first: Sequence[int],
    may_meet: Callable[[int, int], bool],
    sigma: float,
) -> list[float]:
    """Return the scores, each lowered by all better boxes at once."""
    overlap = {
        (j, i): iou_of(boxes[j], boxes[i]) if may_meet(j, i) else 0.0
        for rank, i in enumerate(best_first)
        for j in best_first[:rank]
    }
    largest = {j: max((overlap[k, j] for k in best_first[:rank]), default=0.0) for rank, j in enumerate(best_first)}
    lowered = list(scores)
    for rank, i in enumerate(best_first):
        for j in best_first[:rank]:
            decay = math.exp((largest[j] ** 2 - overlap[j, i] ** 2) / sigma)
            lowered[i] = min(lowered[i], scores[i] * decay)
    return lowered
