"""The family `faster_rcnn`: proposals of a first graph, looked at again by a second."""

from typing import Any, NamedTuple

import numpy as np

from retinue.ops import (
    anchors_at,
    cell_anchors,
    clip_boxes,
    decode_boxes,
    drop_small_boxes,
    nms,
    sigmoid,
)
from retinue.runtime.backend import LoadGraph
from retinue.runtime.detection_contract import check_faster_rcnn
from retinue.runtime.detection_manifest import FasterRcnnManifest
from retinue.runtime.errors import BackendFailed
from retinue.runtime.placement import Placement
from retinue.runtime.view import Size
from services.detection.detections import Candidates, DetectionOptions, Floats, Ids, Rows, wanted_classes


class TwoStageOutputs(NamedTuple):
    """What both graphs say of a batch; the proposals of row i are ``starts[i]`` to ``starts[i + 1]``.

    ``boxes`` is float32 [proposals, 4] pixels of the input, ``scores`` [proposals, classes], background first,
    ``deltas`` [proposals, classes, 4].
    """

    starts: Ids
    boxes: Floats
    scores: Floats
    deltas: Floats


class Proposed(NamedTuple):
    """What the first graph says of a batch: features, which stay on its device, and the best anchors of each level.

    ``logits`` is float32 [batch, anchors], ``anchors`` int64 [batch, anchors], ``deltas`` float32 [batch, anchors, 4].
    """

    levels: list[Any]
    logits: Floats
    anchors: Ids
    deltas: Floats


class FasterRcnn:
    """A two-stage detector.

    Args:
        manifest: of the package.
        load: loads its graphs.

    Raises:
        PackageInvalid: the graphs are not what the manifest says.
    """

    def __init__(self, manifest: FasterRcnnManifest, load: LoadGraph) -> None:
        self._rpn, self._head = load("rpn.onnx"), load("head.onnx")
        check_faster_rcnn(manifest, self._rpn, self._head)
        self.provider = self._rpn.provider
        self._manifest = manifest
        anchors = manifest.output.anchors
        self._cells = [
            cell_anchors(sizes, anchors.aspect_ratios, convention=anchors.convention) for sizes in anchors.sizes
        ]

    def run(self, rows: Rows) -> TwoStageOutputs:
        """Return what both graphs say of all rows."""
        found = self.propose(rows)
        canvas = (rows.images.shape[1], rows.images.shape[2])
        proposals = [
            self.proposals(logits, anchors, deltas, canvas, (height, width))
            for logits, anchors, deltas, (height, width) in zip(
                found.logits, found.anchors, found.deltas, rows.sizes.tolist(), strict=True
            )
        ]
        return self.look(found.levels, proposals)

    def propose(self, rows: Rows) -> Proposed:
        """Run the first graph."""
        policy, output = self._manifest.input, self._manifest.output
        names = [*output.levels, output.objectness, output.anchor, output.anchor_deltas]
        feeds = {policy.tensor: rows.images, policy.size_tensor: rows.sizes}
        *levels, logits, anchors, deltas = self._rpn.run_kept(feeds, names, output.levels)
        return Proposed(levels, _finite(logits, output.objectness), anchors, _finite(deltas, output.anchor_deltas))

    def proposals(self, logits: Floats, anchors: Ids, deltas: Floats, canvas: Size, size: Size) -> Floats:
        """Return the boxes of one picture that the second graph looks at, float32 [n, 4] pixels of the input.

        Args:
            logits: [anchors], best first within each level, level after level.
            anchors: [anchors], the place of each among the anchors of its level.
            deltas: [anchors, 4].
            canvas: height and width of the input.
            size: height and width of the picture on it.

        Notes:
            Of boxes that tie at the last place all are taken. Where the best are sure beyond float32, and many score 1,
            which of them were in would otherwise be the sort's own choice.
        """
        policy, layout = self._manifest.output.proposals, self._manifest.output.anchors
        parts, levels = [], []
        start = 0
        for level, (cells, stride) in enumerate(zip(self._cells, layout.strides, strict=True)):
            feature = (-(-canvas[0] // stride), -(-canvas[1] // stride))
            count = min(policy.per_level, feature[0] * feature[1] * len(cells))
            steps = (stride, stride)
            if layout.convention == "torchvision":  # which lays 13 cells on 800 pixels 61 apart, not 64
                steps = (canvas[0] // feature[0], canvas[1] // feature[1])
            parts.append(anchors_at(anchors[start : start + count], feature, steps, cells))
            levels.append(np.full(count, level))
            start += count
        if start != len(anchors):
            raise BackendFailed(f"the first graph gave {len(anchors)} anchors, where the manifest speaks of {start}")
        boxes = clip_boxes(decode_boxes(deltas, np.concatenate(parts), weights=policy.weights), *size)
        scores = sigmoid(logits)
        kept = drop_small_boxes(boxes, policy.min_side_px)
        if policy.score_threshold > 0:
            kept = kept[scores[kept] >= policy.score_threshold]
        boxes, scores = boxes[kept], scores[kept]
        best = nms(boxes, scores, policy.nms_iou, labels=np.concatenate(levels)[kept])
        if len(best) > policy.count:
            best = best[scores[best] >= scores[best[policy.count - 1]]]
        return boxes[best]

    def look(self, levels: list[Any], proposals: list[Floats]) -> TwoStageOutputs:
        """Run the second graph, if there is anything to look at."""
        output, classes = self._manifest.output, len(self._manifest.labels)
        counts = [len(boxes) for boxes in proposals]
        starts = np.cumsum([0, *counts])
        boxes = np.concatenate(proposals)
        if not len(boxes):
            nothing = np.empty((0, classes, 4), np.float32)
            return TwoStageOutputs(starts, boxes, nothing[..., 0], nothing)
        feeds = dict(zip(output.levels, levels, strict=True))
        feeds |= {output.boxes: boxes, output.picture: np.repeat(np.arange(len(counts)), counts)}
        scores, deltas = self._head.run_kept(feeds, [output.scores, output.box_deltas], ())
        return TwoStageOutputs(starts, boxes, _finite(scores, output.scores), _finite(deltas, output.box_deltas))

    def candidates(self, raw: TwoStageOutputs, index: int, place: Placement, options: DetectionOptions) -> Candidates:
        """Return the boxes of one row that score enough, proposal by proposal, class by class."""
        output = self._manifest.output
        own = slice(raw.starts[index], raw.starts[index + 1])
        scores = raw.scores[own]
        is_enough = scores >= options.score_threshold
        is_enough[:, 0] = False  # background
        is_wanted = wanted_classes(scores.shape[1], options.class_ids)
        if is_wanted is not None:
            is_enough &= is_wanted
        proposal, label_ids = np.nonzero(is_enough)
        deltas = raw.deltas[own][proposal, label_ids]
        boxes = clip_boxes(decode_boxes(deltas, raw.boxes[own][proposal], weights=output.weights), *place.scaled)
        kept = drop_small_boxes(boxes, output.min_side_px)
        return Candidates(boxes[kept], label_ids[kept], scores[proposal[kept], label_ids[kept]])


def _finite(values: Floats, name: str) -> Floats:
    """Return an output, if it can be reckoned with.

    Raises:
        BackendFailed: some of it is NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise BackendFailed(f"the model's output {name} is not finite")
    return values
