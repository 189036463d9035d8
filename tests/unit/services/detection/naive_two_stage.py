"""What happens before, between and after the tiny graphs of a two-stage detector, box by box in plain loops."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.detection.detections import DetectionOptions
from tests.unit.services.detection.naive_suppression import iou_of, naive
from tests.unit.services.detection.tiny_detectors import ASPECT_RATIOS, HEAD_FACTORS, HEAD_TARGETS_PX, STRIDES

Box = list[float]
ANCHOR_SIZES = (16.0, 48.0)
MOST_GROWTH = math.log(1000 / 16)


def decoded(deltas: Sequence[float], box: Sequence[float], weights: Sequence[float]) -> Box:
    width, height = box[2] - box[0], box[3] - box[1]
    x = box[0] + width / 2 + deltas[0] / weights[0] * width
    y = box[1] + height / 2 + deltas[1] / weights[1] * height
    new_width = width * math.exp(min(deltas[2] / weights[2], MOST_GROWTH))
    new_height = height * math.exp(min(deltas[3] / weights[3], MOST_GROWTH))
    return [x - new_width / 2, y - new_height / 2, x + new_width / 2, y + new_height / 2]


def clipped(box: Box, height: float, width: float) -> Box:
    x1, y1, x2, y2 = box
    return [min(max(x1, 0), width), min(max(y1, 0), height), min(max(x2, 0), width), min(max(y2, 0), height)]


def is_wide(box: Box, least_px: float) -> bool:
    return box[2] - box[0] >= least_px and box[3] - box[1] >= least_px


def naive_proposals(
    picture: NDArray[np.uint8], canvas: tuple[int, int], *, per_level: int = 40, count: int = 30, nms_iou: float = 0.7
) -> list[Box]:
    """Return the boxes that the second graph looks at; the picture is already scaled."""
    height, width = picture.shape[:2]
    padded = np.zeros((*canvas, 3))
    padded[:height, :width] = picture
    kept: list[tuple[float, Box]] = []
    for level, stride in enumerate(STRIDES):
        rows, columns = (-(-side // stride) for side in canvas)
        step_y, step_x = canvas[0] // rows, canvas[1] // columns
        anchors: list[tuple[float, Box]] = []
        for row in range(rows):
            for column in range(columns):
                top, left = 8 * row * 2**level, 8 * column * 2**level
                red, green, blue = padded[top : top + 8, left : left + 8].reshape(-1, 3).mean(axis=0)
                for anchor, (ratio, logit) in enumerate(zip(ASPECT_RATIOS, (red, green), strict=True)):
                    tall, wide = math.sqrt(ratio) * ANCHOR_SIZES[level], ANCHOR_SIZES[level] / math.sqrt(ratio)
                    corner = [round(-wide / 2), round(-tall / 2), round(wide / 2), round(tall / 2)]
                    place = [column * step_x, row * step_y] * 2
                    deltas = [(colour - 128) / 256 / 2**anchor for colour in (blue, red, green, blue)]
                    box = decoded(deltas, [a + b for a, b in zip(corner, place, strict=True)], (1, 1, 1, 1))
                    anchors.append(((logit - 96) / 32, box))
        best = sorted(range(len(anchors)), key=lambda i: (-anchors[i][0], i))[:per_level]
        mine: list[tuple[float, Box]] = []
        for i in best:
            box = clipped(anchors[i][1], height, width)
            if is_wide(box, 1e-3) and not any(iou_of(other, box) > nms_iou for _, other in mine):
                mine.append((anchors[i][0], box))
        kept += mine
    kept.sort(key=lambda one: -one[0])
    return [box for _, box in kept[:count]]


def naive_detections(
    picture: NDArray[np.uint8],
    canvas: tuple[int, int],
    proposals: list[Box],
    options: DetectionOptions,
    gain: float = 1,
) -> tuple[list[Box], list[int], list[float]]:
    """Return boxes in pixels of the scaled picture, label ids and scores, as the second graph and its reading give."""
    height, width = picture.shape[:2]
    brightness = picture[..., 0].sum() / (canvas[0] * canvas[1]) / 255
    boxes, labels, scores = [], [], []
    for proposal in proposals:
        for label in range(1, len(HEAD_TARGETS_PX)):
            misfit = abs(proposal[2] - proposal[0] - HEAD_TARGETS_PX[label])
            score = min(max(1 - misfit / 64, 0), 1) * brightness
            deltas = [(side - 64) / 128 * HEAD_FACTORS[label] * gain for side in proposal]
            box = clipped(decoded(deltas, proposal, (10, 10, 5, 5)), height, width)
            is_wanted = options.class_ids is None or label in options.class_ids
            if score >= options.score_threshold and is_wanted and is_wide(box, 1e-2):
                boxes.append(box)
                labels.append(label)
                scores.append(score)
    kept, left = naive(boxes, labels, scores, options)
    return [boxes[i] for i in kept], [labels[i] for i in kept], left
