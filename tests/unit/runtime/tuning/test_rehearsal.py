"""A rehearsal feeds a model what the service would: the same size of input, the same pixels."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from retinue.runtime.errors import PackageInvalid
from retinue.runtime.onnx_backend import OnnxBackend
from retinue.runtime.package import Package, open_package
from retinue.runtime.picture import Picture, PictureLimits, open_picture
from retinue.runtime.tuning.rehearsal import Rehearsal
from retinue.runtime.view import WholePicture
from services.classification.pipeline import ClassificationItem, ClassificationOptions, ClassificationPipeline
from services.detection.detections import DetectionItem
from services.detection.pipeline import DetectionPipeline
from services.segmentation.pipeline import SegmentationPipeline
from services.segmentation.segmentations import SegmentationItem
from tests.unit.cli.tiny_classifiers import make_package
from tests.unit.runtime.tiny_detectors import CONTENTS, write_detector, yolo_graph
from tests.unit.services.segmentation.tiny_segmenters import options_with, write_segmenter


def picture_of(height: int, width: int) -> Picture:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return open_picture(bytes(cv2.imencode(".png", noise)[1]), PictureLimits())


def rehearsal_of(package: Package) -> Rehearsal:
    return Rehearsal(package, lambda name: OnnxBackend(package.path(name)))


def served(package: Package, picture: Picture) -> tuple[Any, Any]:
    """Return the service's own pipeline for a package, and an item for it."""

    def load(name: str) -> OnnxBackend:
        return OnnxBackend(package.path(name))

    match package.manifest.task:
        case "classification":
            return ClassificationPipeline(package, load), ClassificationItem(picture, ClassificationOptions())
        case "detection":
            options: Any = None
            return DetectionPipeline(package, load), DetectionItem(WholePicture(picture), options)
        case _:
            return SegmentationPipeline(package, load), SegmentationItem(WholePicture(picture), options_with())


@pytest.mark.parametrize("size", [(40, 60), (60, 40), (1, 90), (128, 128), (300, 5)])
@pytest.mark.parametrize("family", ["logits", *CONTENTS, "semantic"])
def test_input_is_what_the_service_makes_of_a_picture(tmp_path: Path, family: str, size: tuple[int, int]) -> None:
    if family == "logits":
        folder = make_package(tmp_path)
    elif family == "semantic":
        folder = write_segmenter(tmp_path)
    else:
        folder = tmp_path / write_detector(tmp_path, family).name / "1"
    package, picture = open_package(folder), picture_of(*size)
    mine = rehearsal_of(package)
    pipeline, item = served(package, picture)
    bucket = mine.bucket(picture)
    rows, theirs = mine.allocate(bucket, 1), pipeline.allocate(pipeline.bucket(item), 1)
    mine.prepare(mine.decode(picture), rows, 0)
    pipeline.prepare(pipeline.decode(item), theirs, 0)
    images = getattr(theirs, "images", theirs)

    np.testing.assert_array_equal(rows, images)
    assert rows.dtype == images.dtype
    assert mine.row_pixels(bucket) == pipeline.row_pixels(pipeline.bucket(item))
    assert mine.finish([picture], mine.run(rows, 1)) == [None]


def test_graph_without_its_input_is_refused(tmp_path: Path) -> None:
    folder = make_package(tmp_path, make=lambda path: path.write_bytes(yolo_graph()))
    with pytest.raises(PackageInvalid, match="the graph has no input image"):
        rehearsal_of(open_package(folder))
