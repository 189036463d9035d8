"""Segmentation as tensors: the same as the service's own answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from retinue.runtime.errors import NotSupported
from services.segmentation.pipeline import SegmentationPipeline
from services.segmentation.segmentations import Segmentation
from services.segmentation.tensors import SegmentationFace
from tests.unit.services.segmentation.tiny_segmenters import (
    LABELS,
    answers,
    black,
    idle_engine,
    picture_of,
    pipeline_of,
    with_blobs,
    with_discs,
    write_segmenter,
)

EVERYTHING = ("class_map", "class_pixels", "instance_map")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("models")
    return root


@pytest.fixture(scope="module")
def pipeline(root: Path) -> SegmentationPipeline:
    return pipeline_of(write_segmenter(root))


def face_of(pipeline: SegmentationPipeline) -> SegmentationFace:
    return SegmentationFace(idle_engine(pipeline))


def answered(pipeline: SegmentationPipeline, *pictures: Any) -> list[Segmentation]:
    face = face_of(pipeline)
    return [one for pixels in pictures for one in answers(pipeline, face.item(picture_of(pixels)))]


def test_outputs_are_told_with_their_types_and_shapes(root: Path, pipeline: SegmentationPipeline) -> None:
    specs = [(spec.name, spec.datatype, spec.shape) for spec in face_of(pipeline).outputs]
    assert specs == [
        ("class_map", "UINT16", (-1, -1, -1)),
        ("class_pixels", "INT64", (-1, 3)),
        ("instance_map", "INT32", (-1, -1, -1)),
    ]
    semantic = pipeline_of(write_segmenter(root, "semantic", family="semantic"))
    assert [spec.name for spec in face_of(semantic).outputs] == ["class_map", "class_pixels"]


def test_class_names_are_labels_of_the_counts(pipeline: SegmentationPipeline) -> None:
    face = face_of(pipeline)
    assert [face.labels(name) for name in EVERYTHING] == [None, LABELS, None]


def test_tensors_say_what_the_answers_say(pipeline: SegmentationPipeline) -> None:
    pictures = [with_discs(80, 120, seed)[0] for seed in range(2)]
    found = answered(pipeline, *pictures)
    tensors = face_of(pipeline).tensors(found, EVERYTHING)
    assert {name: (tensor.dtype.name, tensor.shape) for name, tensor in tensors.items()} == {
        "class_map": ("uint16", (2, 80, 120)),
        "class_pixels": ("int64", (2, 3)),
        "instance_map": ("int32", (2, 80, 120)),
    }
    for index, one in enumerate(found):
        assert_array_equal(tensors["class_map"][index], one.codes)
        assert_array_equal(tensors["class_pixels"][index], np.bincount(one.codes.ravel(), minlength=3))
        assert one.found is not None
        assert_array_equal(tensors["instance_map"][index], one.found.label_map)


def test_only_what_is_asked_for_is_made(pipeline: SegmentationPipeline) -> None:
    assert list(face_of(pipeline).tensors(answered(pipeline, black(3, 4)), ("class_pixels",))) == ["class_pixels"]


def test_pictures_of_several_sizes_have_counts_and_no_maps(pipeline: SegmentationPipeline) -> None:
    found = answered(pipeline, black(3, 4), black(4, 3))
    assert face_of(pipeline).tensors(found, ("class_pixels",))["class_pixels"].tolist() == [[12, 0, 0]] * 2
    for name in ("class_map", "instance_map"):
        with pytest.raises(NotSupported, match="one by one"):
            face_of(pipeline).tensors(found, ("class_pixels", name))


def several() -> Iterator[tuple[str, str, float]]:
    yield from [("softmax", "half", 0.5), ("sigmoid", "some", 0.5), ("sigmoid", "high", 0.99)]


@pytest.mark.parametrize(("activation", "name", "threshold"), list(several()))
def test_thresholds_of_the_manifest_hold_for_tensors_too(
    root: Path, activation: str, name: str, threshold: float
) -> None:
    output = {"activation": activation, "threshold": threshold}
    pipeline = pipeline_of(write_segmenter(root, f"{activation}-{name}", output=output))
    (one,) = answered(pipeline, with_blobs(30, 40))
    assert one.codes.shape == (30, 40, 4)
    tensors = face_of(pipeline).tensors([one], EVERYTHING)
    assert_array_equal(tensors["class_map"][0], one.codes[..., 3])
    assert_array_equal(tensors["class_pixels"][0], one.codes[..., :3].sum(axis=(0, 1)))
