"""Classification as tensors: what the Open Inference Protocol gives for a picture."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.engine import Engine
from retinue.runtime.models import Models
from retinue.runtime.picture import Picture
from retinue.serving.image_model import ImageModels
from retinue.serving.settings import ServiceSettings
from retinue.serving.tensor_model import TensorSpec
from services.classification.pipeline import Classification, ClassificationItem, ClassificationOptions

_OPTIONS = ClassificationOptions(top_k=1, is_logits_wanted=True)


class ClassificationFace:
    """The outputs of one classifier: logits and scores of all classes, the best label, how strange the picture is."""

    def __init__(self, engine: Engine[ClassificationItem, Classification]) -> None:
        self._manifest = ClassificationManifest.of(engine.manifest)
        classes = len(engine.manifest.labels)
        specs = [
            TensorSpec("logits", "FP32", (-1, classes)),
            TensorSpec("scores", "FP32", (-1, classes)),
            TensorSpec("label", "BYTES", (-1, 1)),
        ]
        if self._manifest.open_set is not None:
            specs += [TensorSpec("unknown_score", "FP32", (-1, 1)), TensorSpec("is_unknown", "BOOL", (-1, 1))]
        self.outputs = tuple(specs)

    def labels(self, output: str) -> tuple[str, ...] | None:
        """Return the class names of ``logits`` and ``scores``."""
        return self._manifest.labels if output in ("logits", "scores") else None

    def item(self, picture: Picture) -> ClassificationItem:
        """Return what is submitted for one picture."""
        return ClassificationItem(picture, _OPTIONS)

    def tensors(self, answers: Sequence[Classification], outputs: Collection[str]) -> Mapping[str, NDArray[Any]]:
        """Return the outputs asked for, one row per picture."""
        names = self._manifest.labels
        makers: Mapping[str, Callable[[], NDArray[Any]]] = {
            "logits": lambda: np.stack([answer.logits for answer in answers if answer.logits is not None]),
            "scores": lambda: np.stack([answer.all_scores for answer in answers]),
            "label": lambda: np.array([[names[answer.label_ids[0]].encode()] for answer in answers], dtype=object),
            "unknown_score": lambda: np.array([[answer.unknown_score] for answer in answers], dtype=np.float32),
            "is_unknown": lambda: np.array([[answer.is_unknown] for answer in answers], dtype=np.bool_),
        }
        return {name: makers[name]() for name in outputs}


class ClassificationTensorModels(ImageModels[ClassificationItem, Classification]):
    """The classifiers of one service behind the Open Inference Protocol."""

    def __init__(self, models: Models[ClassificationItem, Classification], settings: ServiceSettings) -> None:
        super().__init__(models, settings, ClassificationFace)
