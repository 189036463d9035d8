"""The family `yolo`: one graph that scores a grid of boxes, as exported by the training frameworks themselves."""

import numpy as np

from retinue.ops import convert_boxes
from retinue.runtime.backend import LoadGraph
from retinue.runtime.detection_contract import check_yolo
from retinue.runtime.detection_manifest import YoloManifest
from retinue.runtime.errors import BackendFailed
from retinue.runtime.placement import Placement
from services.detection.detections import Candidates, DetectionOptions, Floats, Rows, wanted_classes


class Yolo:
    """A one-stage detector.

    Args:
        manifest: of the package.
        load: loads its graph; its batch may be fixed, as exporters leave it.

    Raises:
        PackageInvalid: the graph is not what the manifest says.
    """

    def __init__(self, manifest: YoloManifest, load: LoadGraph) -> None:
        self._graph = load("model.onnx")
        self._batch_size = check_yolo(manifest, self._graph).shape[0]
        self.provider = self._graph.provider
        self._manifest = manifest

    def run(self, rows: Rows) -> Floats:
        """Return the output for all rows as [rows, boxes, 4 or 5 + classes]."""
        step = self._batch_size or len(rows.images)
        parts = [self._run(rows.images[start : start + step], step) for start in range(0, len(rows.images), step)]
        raw = parts[0] if len(parts) == 1 else np.concatenate(parts)
        output = self._manifest.output
        is_anchor_free = output.form == "anchor_free"
        width = len(self._manifest.labels) + (4 if is_anchor_free else 5)
        if raw.ndim != 3 or raw.shape[1 if is_anchor_free else 2] != width:
            raise BackendFailed(f"the model's output {output.tensor} is {list(raw.shape)}, not {width} for each box")
        if not np.isfinite(raw).all():
            raise BackendFailed(f"the model's output {output.tensor} is not finite")
        return raw.transpose(0, 2, 1) if is_anchor_free else raw

    def _run(self, images: np.ndarray, step: int) -> Floats:
        count = len(images)
        if count < step:  # the last of a fixed batch is filled up
            images = np.concatenate([images, np.zeros((step - count, *images.shape[1:]), images.dtype)])
        [out] = self._graph.run({self._manifest.input.tensor: images}, [self._manifest.output.tensor])
        if len(out) != step:
            raise BackendFailed(f"the model's output {self._manifest.output.tensor} has {len(out)} rows for {step}")
        return np.asarray(out[:count], np.float32)

    def candidates(self, raw: Floats, index: int, place: Placement, options: DetectionOptions) -> Candidates:  # noqa: ARG002
        """Return the boxes of one row that score enough, each with its best class.

        Source:
            `non_max_suppression` of Ultralytics without `multi_label`; for the anchor-based form that of YOLOv5, whose
            scores are objectness times class.
        """
        values = raw[index]
        if self._manifest.output.form == "anchor_free":
            best = values[:, 4:].max(axis=1)
        else:
            is_likely = values[:, 4] >= options.score_threshold  # no product of shares is above either
            values = values[is_likely]
            best = values[:, 4] * values[:, 5:].max(axis=1)
        is_enough = best >= options.score_threshold
        values, best = values[is_enough], best[is_enough]
        label_ids = values[:, -len(self._manifest.labels) :].argmax(axis=1)
        is_wanted = wanted_classes(len(self._manifest.labels), options.class_ids)
        if is_wanted is not None:
            kept = is_wanted[label_ids]
            values, best, label_ids = values[kept], best[kept], label_ids[kept]
        return Candidates(convert_boxes(values[:, :4], "cxcywh", "xyxy"), label_ids, best)
