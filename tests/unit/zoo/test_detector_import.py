"""A detector's checkpoint becomes a package whose manifest says what it was read off."""

from pathlib import Path
from typing import Any

import pytest
import torch

from retinue.runtime.detection_manifest import DetrManifest, FasterRcnnManifest
from retinue.runtime.package import open_package
from retinue.zoo.detector_import import import_detector, is_detector
from retinue.zoo.detr import Detr
from retinue.zoo.detr_transformer import DetrTransformer
from retinue.zoo.errors import CheckpointInvalid, PackageExists, PackageRefused
from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.frozen_norm import freeze_norms
from retinue.zoo.resnet import Bottleneck, ResNet


def _body(**options: Any) -> ResNet:
    body = ResNet(Bottleneck, (1, 1, 1, 1), stem_channels=4, widths=(4, 8, 12, 16), **options)
    freeze_norms(body, 0.0)
    return body


@pytest.fixture
def two_stage(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = FasterRcnn(_body(), class_count=4, pyramid_channels=8, hidden=16)
    torch.save({"model": model.state_dict(), "epoch": 3}, tmp_path / "two.pth")
    return tmp_path / "two.pth"


@pytest.fixture
def transformer(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    inside = DetrTransformer(16, heads=8, encoder_depth=1, decoder_depth=1, feedforward=24)
    model = Detr(_body(returned=(4,)), inside, hidden=16, class_count=4, query_count=7)
    torch.save({"model": model.state_dict()}, tmp_path / "detr.pth")
    return tmp_path / "detr.pth"


def imported(path: Path, **options: Any) -> Path:
    return import_detector(path, path.parent / "models", name="mine", **options)


def test_a_two_stage_detector_is_two_graphs_and_its_policy(two_stage: Path) -> None:
    package = open_package(imported(two_stage, licence="MIT"))
    package.verify()
    manifest = FasterRcnnManifest.of(package.manifest)
    assert set(manifest.files) == {"rpn.onnx", "head.onnx"}
    assert manifest.labels == ("__background__", "class_0001", "class_0002", "class_0003")
    assert (manifest.input.short_side, manifest.input.long_side, manifest.input.pixels) == (800, 1333, "float32")
    assert manifest.output.levels == ("level_0", "level_1", "level_2", "level_3")
    assert manifest.output.anchors.strides == (4, 8, 16, 32, 64)
    assert manifest.output.selection.score_threshold == 0.05
    assert (manifest.licence, manifest.provenance.source) == ("MIT", "two.pth")


@pytest.mark.parametrize("names", [("a", "b", "c"), ("nothing", "a", "b", "c")])
def test_labels_come_with_or_without_the_background(two_stage: Path, names: tuple[str, ...]) -> None:
    labels = open_package(imported(two_stage, labels=names)).manifest.labels
    assert labels == ("__background__" if len(names) == 3 else "nothing", "a", "b", "c")


def test_labels_of_another_number_are_refused(two_stage: Path) -> None:
    with pytest.raises(PackageRefused, match="2 names for 4 classes"):
        imported(two_stage, labels=("a", "b"))


def test_sides_can_be_others(two_stage: Path) -> None:
    policy = FasterRcnnManifest.of(open_package(imported(two_stage, short_side=2000)).manifest).input
    assert (policy.short_side, policy.long_side) == (2000, 2000)


def test_a_transformer_is_one_graph_without_suppression(transformer: Path) -> None:
    package = open_package(imported(transformer, short_side=256, long_side=512))
    package.verify()
    manifest = DetrManifest.of(package.manifest)
    assert manifest.labels == ("class_0000", "class_0001", "class_0002")
    assert (manifest.input.rounding, manifest.input.antialias, manifest.input.size_divisor) == ("detr", True, 1)
    assert (manifest.input.short_side, manifest.input.long_side) == (256, 512)
    assert (manifest.output.selection.nms, manifest.output.selection.score_threshold) == ("none", 0.0)


def test_coco_classes_are_named(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = FasterRcnn(_body(), class_count=91, pyramid_channels=8, hidden=16)
    torch.save(model.state_dict(), tmp_path / "coco.pth")
    labels = open_package(imported(tmp_path / "coco.pth")).manifest.labels
    assert (labels[0], labels[1], labels[90]) == ("__background__", "person", "toothbrush")


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    state = {"features.0.weight": torch.zeros(1)}
    assert not is_detector(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointInvalid, match="no detector that the zoo knows"):
        imported(tmp_path / "other.pth")


def test_a_package_that_is_there_is_kept_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "models" / "mine" / "1").mkdir(parents=True)
    with pytest.raises(PackageExists):
        imported(tmp_path / "none.pth")
