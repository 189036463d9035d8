"""Detection as tensors: what the Open Inference Protocol gives for a picture."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.engine import Engine
from retinue.runtime.models import Models
from retinue.runtime.picture import Picture
from retinue.runtime.view import WholePicture
from retinue.serving.image_model import ImageModels
from retinue.serving.settings import ServiceSettings
from retinue.serving.tensor_model import TensorSpec
from services.detection.detections import DetectionItem, DetectionOptions, Detections
from services.detection.pipeline import detection_manifest_of

_NO_LABEL = -1  # fills rows that hold fewer boxes than the longest of the batch


class DetectionFace:
    """The outputs of one detector: as many boxes as the picture with the most has, and how many are each one's own."""

    outputs = (
        TensorSpec("boxes", "FP32", (-1, -1, 4)),
        TensorSpec("scores", "FP32", (-1, -1)),
        TensorSpec("label_ids", "INT64", (-1, -1)),
        TensorSpec("labels", "BYTES", (-1, -1)),
        TensorSpec("count", "INT32", (-1, 1)),
    )

    def __init__(self, engine: Engine[DetectionItem, Detections]) -> None:
        manifest = detection_manifest_of(engine.manifest)
        self._names = [name.encode() for name in manifest.labels]
        default = manifest.output.selection
        self._options = DetectionOptions(
            score_threshold=default.score_threshold,
            class_ids=None,
            nms=default.nms,
            iou_threshold=default.iou_threshold,
            sigma=0.5,
            is_class_agnostic=default.is_class_agnostic,
            max_detections=default.max_detections,
        )

    def labels(self, output: str) -> tuple[str, ...] | None:  # noqa: ARG002 - the protocol's signature
        """Return None: no output has one number for each class."""
        return None

    def item(self, picture: Picture) -> DetectionItem:
        """Return what is submitted for one picture."""
        return DetectionItem(WholePicture(picture), self._options)

    def tensors(self, answers: Sequence[Detections], outputs: Collection[str]) -> Mapping[str, NDArray[Any]]:
        """Return the outputs asked for, one row per picture."""
        counts = np.array([[len(answer.scores)] for answer in answers], np.int32)
        most = int(counts.max())
        boxes = np.zeros((len(answers), most, 4), np.float32)
        scores = np.zeros((len(answers), most), np.float32)
        label_ids = np.full((len(answers), most), _NO_LABEL, np.int64)
        names = np.full((len(answers), most), b"", object)
        for row, answer in enumerate(answers):
            own = slice(len(answer.scores))
            boxes[row, own], scores[row, own], label_ids[row, own] = answer.boxes, answer.scores, answer.label_ids
            names[row, own] = [self._names[label_id] for label_id in answer.label_ids]
        made: dict[str, NDArray[Any]] = {
            "boxes": boxes,
            "scores": scores,
            "label_ids": label_ids,
            "labels": names,
            "count": counts,
        }
        return {name: made[name] for name in outputs}


class DetectionTensorModels(ImageModels[DetectionItem, Detections]):
    """The detectors of one service behind the Open Inference Protocol."""

    def __init__(self, models: Models[DetectionItem, Detections], settings: ServiceSettings) -> None:
        super().__init__(models, settings, DetectionFace)
