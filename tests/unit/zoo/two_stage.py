"""What serving does before, between and after the two graphs of a Faster R-CNN: the tests' reference."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from retinue.ops.anchors import anchors_at, cell_anchors
from retinue.ops.box_coder import decode_boxes
from retinue.ops.boxes import clip_boxes, drop_small_boxes, scale_boxes
from retinue.ops.scores import sigmoid
from retinue.ops.suppression import nms
from retinue.zoo.faster_rcnn_policy import FasterRcnnPolicy

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detections:
    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]


class TwoStage:
    """Both graphs of a package, run on pictures of any sizes together."""

    def __init__(self, folder: Path, policy: FasterRcnnPolicy) -> None:
        self.policy = policy
        self.cells = [cell_anchors(sizes, policy.aspect_ratios) for sizes in policy.anchor_sizes]
        providers = ["CPUExecutionProvider"]
        self.rpn = onnxruntime.InferenceSession(folder / "rpn.onnx", providers=providers)
        self.head = onnxruntime.InferenceSession(folder / "head.onnx", providers=providers)

    def detect(self, pictures: list[NDArray[np.uint8]]) -> list[Detections]:
        image, size = self.padded(pictures)
        *levels, logits, anchor, deltas = self.rpn.run(None, {"image": image, "size": size})
        proposals = [
            self.proposals(logits[i], anchor[i], deltas[i], tuple(image.shape[1:3]), tuple(size[i]))
            for i in range(len(pictures))
        ]
        boxes = np.concatenate(proposals)
        picture = np.repeat(np.arange(len(pictures)), [len(p) for p in proposals])
        names = [x.name for x in self.head.get_inputs()]
        scores, box_deltas = self.head.run(None, dict(zip(names, [*levels, boxes, picture], strict=True)))
        answers = []
        for i, original in enumerate(pictures):
            mine = picture == i
            answers.append(self._detections(boxes[mine], scores[mine], box_deltas[mine], size[i], original.shape))
        return answers

    def padded(self, pictures: list[NDArray[np.uint8]]) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
        sizes = [self.policy.scaled_size(*p.shape[:2]) for p in pictures]
        height, width = self.policy.padded_size(*(max(s[axis] for s in sizes) for axis in (0, 1)))
        image = np.zeros((len(pictures), height, width, 3), self.policy.pixels)
        for row, picture, (h, w) in zip(image, pictures, sizes, strict=True):
            row[:h, :w] = cv2.resize(picture.astype(self.policy.pixels), (w, h), interpolation=cv2.INTER_LINEAR)
        return image, np.array(sizes)

    def proposals(
        self, logits: Floats, anchor: NDArray[np.int64], deltas: Floats, padded: tuple[int, ...], size: tuple[int, ...]
    ) -> Floats:
        policy = self.policy
        anchors, counts, start = [], [], 0
        for cells, stride in zip(self.cells, policy.strides, strict=True):
            rows, columns = (-(-side // stride) for side in padded)
            count = min(policy.proposals_per_level, rows * columns * len(cells))
            steps = (padded[0] // rows, padded[1] // columns)  # as the original: not the stride where it leaves a rest
            anchors.append(anchors_at(anchor[start : start + count], (rows, columns), steps, cells))
            counts.append(count)
            start += count
        boxes = decode_boxes(deltas, np.concatenate(anchors), weights=policy.proposal_weights)
        boxes, scores = clip_boxes(boxes, *size), sigmoid(logits)
        kept = drop_small_boxes(boxes, policy.proposal_min_side_px)
        kept = kept[scores[kept] >= policy.proposal_score_threshold]
        boxes, scores, level = boxes[kept], scores[kept], np.repeat(np.arange(len(counts)), counts)[kept]
        best = nms(boxes, scores, policy.proposal_nms_iou, labels=level)
        if len(best) > policy.proposals:
            # Sure ones all score 1 in float32; which of those that tie at the end are taken is the sort's own choice in
            # the original. All are kept here.
            best = best[scores[best] >= scores[best[policy.proposals - 1]]]
        out: Floats = boxes[best]
        return out

    def _detections(
        self, boxes: Floats, scores: Floats, deltas: Floats, size: NDArray[np.int64], original: tuple[int, ...]
    ) -> Detections:
        policy, height, width = self.policy, int(size[0]), int(size[1])
        moved = decode_boxes(deltas[:, 1:], boxes, weights=policy.box_weights).reshape(-1, 4)
        moved = clip_boxes(moved, height, width)
        labels = np.tile(np.arange(1, scores.shape[1]), len(boxes))
        flat = scores[:, 1:].ravel()
        kept = drop_small_boxes(moved, policy.min_side_px)
        kept = kept[flat[kept] > policy.score_threshold]
        moved, flat, labels = moved[kept], flat[kept], labels[kept]
        best = nms(moved, flat, policy.nms_iou, labels=labels, max_output=policy.detections)
        return Detections(
            scale_boxes(moved[best], (height, width), (original[0], original[1])), flat[best], labels[best]
        )
