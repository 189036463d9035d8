from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.package import open_package
from retinue.zoo.architectures import build
from retinue.zoo.checkpoint_import import import_classifier, preprocessing_of
from retinue.zoo.errors import CheckpointInvalid, PackageExists, PackageRefused
from retinue.zoo.recognition import Recognised
from retinue.zoo.renames_vit import vit_to_timm

VIT = {"image_size": 32, "patch_size": 8, "hidden": 64, "depth": 2, "heads": 1, "class_count": 3}


@pytest.fixture
def mobilenet(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "mine.pth"
    torch.save(build("mobilenet_v3_small", width=0.25, last_channels=16, class_count=3).state_dict(), path)
    return path


@pytest.fixture
def transformer(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = build("vit_b_16", **VIT)
    torch.nn.init.normal_(model.head.weight)
    path = tmp_path / "timm.pth"
    torch.save({"model": vit_to_timm(model.state_dict())}, path)
    return path


def _import(checkpoint: Path, **options: Any) -> Path:
    return import_classifier(checkpoint, checkpoint.parent / "models", **{"name": "net", "image_size": 32, **options})


def test_package_says_what_the_checkpoint_is(mobilenet: Path) -> None:
    folder = _import(mobilenet, labels=["a", "b", "c"], licence="MIT", description="Mine.", version="7")
    assert folder == mobilenet.parent / "models" / "net" / "7"
    package = open_package(folder)
    package.verify()
    manifest = ClassificationManifest.of(package.manifest)
    assert manifest.labels == ("a", "b", "c")
    assert (manifest.input.height, manifest.input.width, manifest.input.short_side) == (32, 32, 37)
    assert (manifest.output.embedding, manifest.output.embedding_size) == ("embedding", 16)
    assert (manifest.licence, manifest.description) == ("MIT", "Mine.")
    assert manifest.provenance.source == "mobilenet_v3_small from mine.pth"
    assert manifest.provenance.checkpoint_sha256 is not None


def test_transformer_runs_at_another_resolution(transformer: Path) -> None:
    folder = _import(transformer, image_size=(48, 64))
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    logits, embedding = session.run(None, {"image": np.zeros((2, 48, 64, 3), np.uint8)})
    assert (logits.shape, embedding.shape) == ((2, 3), (2, 64))
    assert open_package(folder).manifest.labels == ("class_0000", "class_0001", "class_0002")


def test_transformer_runs_at_the_size_it_was_trained_for(transformer: Path) -> None:
    policy = ClassificationManifest.of(open_package(_import(transformer, image_size=None)).manifest).input
    assert (policy.height, policy.kernel, policy.short_side) == (32, "bicubic", 35)


def test_batched_equals_single(mobilenet: Path) -> None:
    session = onnxruntime.InferenceSession(_import(mobilenet) / "model.onnx", providers=["CPUExecutionProvider"])
    pictures = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    (batched,) = session.run(["logits"], {"image": pictures})
    single = np.concatenate([session.run(["logits"], {"image": picture[None]})[0] for picture in pictures])
    assert np.allclose(batched, single, atol=1e-5 * np.ptp(batched))  # other kernels for other batch sizes


def test_a_multi_label_model_without_embedding_can_be_asked_for(mobilenet: Path) -> None:
    package = open_package(_import(mobilenet, activation="sigmoid", has_embedding=False))
    output = ClassificationManifest.of(package.manifest).output
    assert (output.activation, output.embedding) == ("sigmoid", None)


def test_an_existing_package_is_refused_before_any_work(mobilenet: Path) -> None:
    _import(mobilenet)
    mobilenet.write_bytes(b"damaged")
    with pytest.raises(PackageExists):
        _import(mobilenet)
    with pytest.raises(CheckpointInvalid):
        _import(mobilenet, overwrite=True)


@pytest.mark.parametrize(
    ("options", "error", "problem"),
    [
        ({"architecture": "mobilenet_v2"}, CheckpointInvalid, "mine.pth is mobilenet_v3_small, not mobilenet_v2"),
        ({"architecture": "resnet"}, ValueError, "no architecture 'resnet'; there are mobilenet_v1"),
        ({"preprocessing": "what"}, ValueError, "no preprocessing 'what'; there are torchvision"),
        ({"labels": ["a"]}, PackageRefused, "there are 1 names for 3 classes"),
        ({"image_size": 0}, ValueError, "image size must be at least 1x1"),
        ({"name": "../x"}, PackageRefused, "name"),
        ({"activation": "tanh"}, PackageRefused, "output.activation"),
        ({"licence": ""}, PackageRefused, "licence"),
    ],
)
def test_wrong_options_are_refused_and_nothing_is_written(
    mobilenet: Path, options: dict[str, Any], error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        _import(mobilenet, **options)
    assert not (mobilenet.parent / "models").exists()


def test_tensorflows_padding_is_refused(transformer: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="TensorFlow's padding"):
        _import(transformer.rename(transformer.with_name("tf_mobilenetv3_large_100.pth")))


@pytest.mark.parametrize(
    ("architecture", "layout", "size", "distilled", "file", "expected"),
    [
        ("mobilenet_v2", "torchvision", None, False, "mobilenet_v2-b0353104.pth", "torchvision"),
        ("mobilenet_v2", "torchvision", None, False, "mobilenet_v2-7ebf99e0.pth", "torchvision_v2"),
        ("mobilenet_v3_large", "torchvision", None, False, "mobilenet_v3_large-5c1a4163.pth", "torchvision_v2"),
        ("mobilenet_v3_large", "timm", None, False, "mobilenetv3_large_100_ra-f55367f5.pth", "timm_mobilenet"),
        ("mobilenet_v1", "timm", None, False, "model.safetensors", "timm_mobilenet_v1"),
        ("vit_b_16", "torchvision", 224, False, "vit_b_16-c867db91.pth", "torchvision"),
        ("vit_l_16", "torchvision", 224, False, "vit_l_16-852ce7e3.pth", "torchvision_vit_l_16"),
        ("vit_b_16", "torchvision", 384, False, "vit_b_16_swag-9ac1b537.pth", "swag_e2e"),
        ("vit_b_16", "torchvision", 384, False, "renamed.safetensors", "swag_e2e"),
        ("vit_b_16", "torchvision", 224, False, "vit_b_16_lc_swag-4e70ced5.pth", "swag_linear"),
        ("vit_h_14", "torchvision", 224, False, "renamed.pth", "swag_linear"),
        ("vit_b_16", "timm", 224, False, "jx_vit_base_p16_224-80ecf9dd.pth", "timm_vit"),
        ("vit_b_16", "timm", 384, False, "model.safetensors", "timm_vit_384"),
        ("vit_tiny_16", "timm", 224, False, "deit_tiny_patch16_224-a1311bcf.pth", "deit"),
        ("vit_b_16", "timm", 224, True, "model.safetensors", "deit"),
        ("vit_b_16", "timm", 384, False, "deit_base_patch16_384-8de9b5d1.pth", "deit_384"),
    ],
)
def test_preprocessing_is_the_published_one(
    architecture: str,
    layout: Any,
    size: int | None,
    distilled: bool,  # noqa: FBT001 - one column of a table
    file: str,
    expected: str,
) -> None:
    found = Recognised(build("mobilenet_v1", width=0.1), architecture, layout, size and (size, size), distilled)  # type: ignore[arg-type]
    assert preprocessing_of(found, file) == expected
