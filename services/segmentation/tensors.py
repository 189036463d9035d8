"""Segmentation as tensors: what the Open Inference Protocol gives for a picture."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.engine import Engine
from retinue.runtime.errors import NotSupported
from retinue.runtime.models import Models
from retinue.runtime.picture import Picture
from retinue.runtime.segmentation_manifest import InstanceManifest
from retinue.runtime.view import WholePicture
from retinue.serving.image_model import ImageModels
from retinue.serving.settings import ServiceSettings
from retinue.serving.tensor_model import TensorSpec
from services.segmentation.codes import class_counts
from services.segmentation.pipeline import segmentation_manifest_of
from services.segmentation.segmentations import Segmentation, SegmentationItem, SegmentationOptions

_EVERYTHING = 2**31 - 1


class SegmentationFace:
    """The outputs of one model: the class of each pixel, its count, and, from instance models, a map of instances."""

    def __init__(self, engine: Engine[SegmentationItem, Segmentation]) -> None:
        manifest = segmentation_manifest_of(engine.manifest)
        self._labels = manifest.labels
        specs = [
            TensorSpec("class_map", "UINT16", (-1, -1, -1)),
            TensorSpec("class_pixels", "INT64", (-1, len(manifest.labels))),
        ]
        splitting = None
        if isinstance(manifest, InstanceManifest):
            splitting = manifest.output.splitting
            specs.append(TensorSpec("instance_map", "INT32", (-1, -1, -1)))
        self.outputs = tuple(specs)
        self._options = SegmentationOptions(
            thresholds=(manifest.output.threshold,) * len(manifest.labels),
            score_threshold=0.0,
            min_area_px=0 if splitting is None else splitting.min_area_px,
            max_instances=_EVERYTHING,
        )

    def labels(self, output: str) -> tuple[str, ...] | None:
        """Return the class names of ``class_pixels``."""
        return self._labels if output == "class_pixels" else None

    def item(self, picture: Picture) -> SegmentationItem:
        """Return what is submitted for one picture."""
        return SegmentationItem(WholePicture(picture), self._options)

    def tensors(self, answers: Sequence[Segmentation], outputs: Collection[str]) -> Mapping[str, NDArray[Any]]:
        """Return the outputs asked for, one row per picture.

        Raises:
            NotSupported: maps of pictures of several sizes are asked for at once.
        """
        if len({answer.codes.shape[:2] for answer in answers}) > 1 and set(outputs) - {"class_pixels"}:
            raise NotSupported("maps of pictures that differ in size do not fit into one tensor; send them one by one")
        makers: Mapping[str, Callable[[], NDArray[Any]]] = {
            "class_map": lambda: np.stack([_class_map(answer) for answer in answers]),
            "class_pixels": lambda: np.stack([class_counts(answer.codes, len(self._labels)) for answer in answers]),
            "instance_map": lambda: np.stack([a.found.label_map for a in answers if a.found is not None]),
        }
        return {name: makers[name]() for name in outputs}


def _class_map(answer: Segmentation) -> NDArray[np.uint16]:
    codes = answer.codes if answer.codes.ndim == 2 else answer.codes[..., -1]
    return codes.astype(np.uint16)


class SegmentationTensorModels(ImageModels[SegmentationItem, Segmentation]):
    """The models of one service behind the Open Inference Protocol."""

    def __init__(self, models: Models[SegmentationItem, Segmentation], settings: ServiceSettings) -> None:
        super().__init__(models, settings, SegmentationFace)
