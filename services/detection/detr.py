"""The family `detr`: a fixed number of boxes, each with its class or none, and nothing to suppress."""

from typing import NamedTuple

import numpy as np

from retinue.ops import convert_boxes, softmax
from retinue.runtime.backend import LoadGraph
from retinue.runtime.detection_contract import check_detr
from retinue.runtime.detection_manifest import DetrManifest
from retinue.runtime.errors import BackendFailed
from retinue.runtime.placement import Placement
from services.detection.detections import Candidates, DetectionOptions, Floats, Rows, wanted_classes


class DetrOutputs(NamedTuple):
    """Logits [batch, queries, classes + 1] and boxes [batch, queries, 4] ``cx, cy, w, h`` in shares of the picture."""

    logits: Floats
    boxes: Floats


class Detr:
    """A detection transformer.

    Args:
        manifest: of the package.
        load: loads its graph.

    Raises:
        PackageInvalid: the graph is not what the manifest says.
    """

    def __init__(self, manifest: DetrManifest, load: LoadGraph) -> None:
        self._graph = load("model.onnx")
        check_detr(manifest, self._graph)
        self.provider = self._graph.provider
        self._manifest = manifest

    def run(self, rows: Rows) -> DetrOutputs:
        """Return logits and boxes of all rows."""
        policy, output = self._manifest.input, self._manifest.output
        feeds = {policy.tensor: rows.images, policy.size_tensor: rows.sizes}
        logits, boxes = self._graph.run(feeds, [output.logits, output.boxes])
        if not (np.isfinite(logits).all() and np.isfinite(boxes).all()):
            raise BackendFailed("the model's output is not finite")
        return DetrOutputs(logits, boxes)

    def candidates(self, raw: DetrOutputs, index: int, place: Placement, options: DetectionOptions) -> Candidates:
        """Return the boxes of one row that score enough: of each query that of its best class, no object left out.

        Source:
            DETR's `PostProcess`.
        """
        scores = softmax(raw.logits[index])[:, :-1]
        label_ids = scores.argmax(axis=1)
        best = np.take_along_axis(scores, label_ids[:, None], axis=1)[:, 0]
        is_enough = best >= options.score_threshold
        is_wanted = wanted_classes(scores.shape[1], options.class_ids)
        if is_wanted is not None:
            is_enough &= is_wanted[label_ids]
        query = np.flatnonzero(is_enough)
        height, width = place.scaled
        shares = convert_boxes(raw.boxes[index][query], "cxcywh", "xyxy")
        with np.errstate(over="ignore"):  # what is beyond all numbers is found out by who looks at the boxes
            boxes = shares * np.array([width, height, width, height], np.float32)
        return Candidates(boxes, label_ids[query], best[query])
