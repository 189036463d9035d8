"""Both graphs of a Faster R-CNN and the arithmetic between them: how the zoo measures what it exports."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.ops.anchors import anchors_at, cell_anchors
from retinue.ops.box_coder import decode_boxes
from retinue.ops.boxes import clip_boxes, drop_small_boxes, scale_boxes
from retinue.ops.scores import sigmoid
from retinue.ops.suppression import nms
from retinue.zoo.export_faster_rcnn import HEAD_FILE, RPN_FILE
from retinue.zoo.faster_rcnn_policy import FasterRcnnPolicy
from retinue.zoo.tracing import session_of

Floats = NDArray[np.float32]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found on one picture, the surest first."""

    boxes: Floats
    """(n, 4) corners x1, y1, x2, y2, pixels of the picture as it was given."""
    scores: Floats
    """(n,) in (0, 1]."""
    labels: NDArray[np.int64]
    """(n,) class ids from 1 up."""


class TwoStage:
    """A detector made of the graphs of a folder.

    Args:
        folder: holds ``rpn.onnx`` and ``head.onnx``.
        policy: what they were exported with; thresholds may differ.
    """

    def __init__(self, folder: Path, policy: FasterRcnnPolicy) -> None:
        self.policy = policy
        self._cells = [cell_anchors(sizes, policy.aspect_ratios) for sizes in policy.anchor_sizes]
        self._rpn = session_of(folder / RPN_FILE)
        self._head = session_of(folder / HEAD_FILE)
        self._head_inputs = [value.name for value in self._head.get_inputs()]

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Found]:
        """Return what is found on each picture, uint8 [height, width, 3] RGB of any sizes."""
        image, size = self._padded(pictures)
        *levels, logits, anchor, deltas = self._rpn.run(None, {"image": image, "size": size})
        padded = (image.shape[1], image.shape[2])
        sizes = [(int(height), int(width)) for height, width in size]
        proposals = [self._proposals(*parts, padded) for parts in zip(logits, anchor, deltas, sizes, strict=True)]
        boxes = np.concatenate(proposals)
        picture = np.repeat(np.arange(len(pictures)), [len(part) for part in proposals])
        feeds = dict(zip(self._head_inputs, [*levels, boxes, picture], strict=True))
        scores, box_deltas = self._head.run(None, feeds)
        answers = []
        for row, (own, full) in enumerate(zip(sizes, pictures, strict=True)):
            mine, full_size = picture == row, (full.shape[0], full.shape[1])
            answers.append(self._found(boxes[mine], scores[mine], box_deltas[mine], own, full_size))
        return answers

    def _padded(self, pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
        """Return the pictures scaled and padded to one size, and their own sizes in it."""
        sizes = [self.policy.scaled_size(*picture.shape[:2]) for picture in pictures]
        height, width = self.policy.padded_size(max(h for h, _ in sizes), max(w for _, w in sizes))
        image = np.zeros((len(pictures), height, width, 3), self.policy.pixels)
        for row, picture, (h, w) in zip(image, pictures, sizes, strict=True):
            row[:h, :w] = cv2.resize(picture.astype(self.policy.pixels), (w, h), interpolation=cv2.INTER_LINEAR)
        return image, np.array(sizes)

    def _proposals(self, logits: Floats, anchor: NDArray[np.int64], deltas: Floats, size: Size, padded: Size) -> Floats:
        """Return the boxes that go into the second graph, pixels of the scaled picture."""
        policy = self.policy
        anchors, counts = [], list[int]()
        for cells, stride in zip(self._cells, policy.strides, strict=True):
            rows, columns = (-(-side // stride) for side in padded)
            start, count = sum(counts), min(policy.proposals_per_level, rows * columns * len(cells))
            steps = (padded[0] // rows, padded[1] // columns)  # as the original: not the stride where it leaves a rest
            anchors.append(anchors_at(anchor[start : start + count], (rows, columns), steps, cells))
            counts.append(count)
        boxes = decode_boxes(deltas, np.concatenate(anchors), weights=policy.proposal_weights)
        boxes, scores = clip_boxes(boxes, *size), sigmoid(logits)
        kept = drop_small_boxes(boxes, policy.proposal_min_side_px)
        kept = kept[scores[kept] >= policy.proposal_score_threshold]
        boxes, scores, level = boxes[kept], scores[kept], np.repeat(np.arange(len(counts)), counts)[kept]
        best = nms(boxes, scores, policy.proposal_nms_iou, labels=level)
        if len(best) > policy.proposals:
            # Sure ones all score 1 in float32; which of those that tie at the end are taken is the sort's own choice in
            # torchvision. All are kept here.
            best = best[scores[best] >= scores[best[policy.proposals - 1]]]
        out: Floats = boxes[best]
        return out

    def _found(self, boxes: Floats, scores: Floats, deltas: Floats, size: Size, full: Size) -> Found:
        """Return the boxes of each class that are sure enough, pixels of the full picture."""
        policy = self.policy
        moved = decode_boxes(deltas[:, 1:], boxes, weights=policy.box_weights).reshape(-1, 4)
        moved = clip_boxes(moved, *size)
        labels = np.tile(np.arange(1, scores.shape[1]), len(boxes))
        flat = scores[:, 1:].ravel()
        kept = drop_small_boxes(moved, policy.min_side_px)
        kept = kept[flat[kept] > policy.score_threshold]
        moved, flat, labels = moved[kept], flat[kept], labels[kept]
        best = nms(moved, flat, policy.nms_iou, labels=labels, max_output=policy.detections)
        return Found(scale_boxes(moved[best], size, full), flat[best], labels[best])
