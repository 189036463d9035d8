"""What detection means: a picture becomes a row of the model's input, what the model says of it becomes boxes."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.backend import LoadGraph
from retinue.runtime.detection_manifest import (
    DetectionManifest,
    DetrManifest,
    FasterRcnnManifest,
    LetterboxInput,
    ShorterSideInput,
    YoloManifest,
)
from retinue.runtime.errors import BackendFailed, PackageInvalid
from retinue.runtime.manifest import Manifest
from retinue.runtime.package import Package
from retinue.runtime.placement import Placement, place_into, placement_of
from retinue.runtime.view import Size, View
from services.detection.detections import DetectionItem, DetectionOptions, Detections, Family, Rows
from services.detection.detr import Detr
from services.detection.faster_rcnn import FasterRcnn
from services.detection.suppression import ready_suppression, suppressed
from services.detection.yolo import Yolo

_WARM_UP_SIDE_PX = 128  # kernels and sessions are made ready by any size, and a small one does not take long


class DetectionPipeline:
    """One detector of any family.

    Pictures share a batch only where their inputs are of one size, so no answer depends on who shared its batch.

    Args:
        package: its manifest and files.
        load: loads a graph of the package.

    Raises:
        PackageInvalid: a graph is not what the manifest says, or the package is none of a detector.
    """

    def __init__(self, package: Package, load: LoadGraph) -> None:
        manifest = detection_manifest_of(package.manifest)
        self._family = _family_of(manifest, load)
        self.provider = self._family.provider
        self.manifest = manifest
        self._policy: ShorterSideInput | LetterboxInput = manifest.input
        ready_suppression()

    def warm_up_buckets(self) -> Sequence[Hashable]:
        """Return the size of the input for a small picture."""
        return [placement_of(_WARM_UP_SIDE_PX, _WARM_UP_SIDE_PX, self._warm_up_policy()).canvas]

    def bucket(self, item: DetectionItem) -> Hashable:
        """Return height and width of the input for an item."""
        return self._place(item.view).canvas

    def allocate(self, bucket: Hashable, row_count: int) -> Rows:
        """Return a buffer of blank pictures that fill their input."""
        height, width = canvas = _size_of(bucket)
        is_planar = isinstance(self._policy, LetterboxInput) and self._policy.layout == "nchw"
        shape = (row_count, 3, height, width) if is_planar else (row_count, height, width, 3)
        return Rows(np.zeros(shape, self._policy.pixels), np.full((row_count, 2), canvas, np.int64))

    def row_pixels(self, bucket: Hashable) -> int:
        """Return the pixels of an input of that size."""
        height, width = _size_of(bucket)
        return height * width

    def decode(self, item: DetectionItem) -> NDArray[np.uint8]:
        """Return the upright pixels, uint8 [height, width, 3] RGB."""
        return item.view.pixels()

    def prepare(self, pixels: NDArray[np.uint8], rows: Rows, index: int) -> None:
        """Scale the picture into a row of the input, as the model's manifest says."""
        place = placement_of(pixels.shape[0], pixels.shape[1], self._policy)
        place_into(pixels, self._policy, place, rows.images[index])
        rows.sizes[index] = place.scaled

    def run(self, rows: Rows, count: int) -> Any:
        """Return the raw outputs of the first rows."""
        try:
            return self._family.run(Rows(rows.images[:count], rows.sizes[:count]))
        except ValueError as error:  # what comes out of a graph and into the next, or into operations, does not fit
            raise BackendFailed(f"the model's outputs cannot be read: {error}") from error

    def finish(self, items: Sequence[DetectionItem], outputs: Any) -> list[Detections]:
        """Return what each caller asked for."""
        try:
            return [
                self._answer(outputs, index, self._place(item.view), item.options) for index, item in enumerate(items)
            ]
        except ValueError as error:  # boxes beyond what operations can reckon with
            raise BackendFailed(f"the model's boxes cannot be read: {error}") from error

    def _answer(self, outputs: Any, index: int, place: Placement, options: DetectionOptions) -> Detections:
        candidates = self._family.candidates(outputs, index, place, options)
        kept, scores = suppressed(candidates, options)
        boxes = place.back(candidates.boxes[kept])
        return Detections(self.manifest, boxes, candidates.label_ids[kept], scores)

    def _place(self, view: View) -> Placement:
        return placement_of(*view.size, self._policy)

    def _warm_up_policy(self) -> ShorterSideInput | LetterboxInput:
        if isinstance(self._policy, ShorterSideInput):
            side = min(self._policy.short_side, _WARM_UP_SIDE_PX)
            return self._policy.model_copy(update={"short_side": side})
        return self._policy


def detection_manifest_of(manifest: Manifest) -> DetectionManifest:
    """Return a manifest as that of a detector.

    Raises:
        PackageInvalid: it is of another task.
    """
    if isinstance(manifest, DetectionManifest):
        return manifest
    raise PackageInvalid(f"{manifest.name}@{manifest.version}: task {manifest.task} is not served here")


def _family_of(manifest: DetectionManifest, load: LoadGraph) -> Family[Any]:
    match manifest:
        case FasterRcnnManifest():
            return FasterRcnn(manifest, load)
        case DetrManifest():
            return Detr(manifest, load)
        case YoloManifest():
            return Yolo(manifest, load)


def _size_of(bucket: Hashable) -> Size:
    if isinstance(bucket, tuple):
        height, width = bucket
        return int(height), int(width)
    raise TypeError(f"{bucket!r} is no bucket of this pipeline")
