"""Whether a classifier answers as its manifest says, by asking real graphs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retinue.cli.classifier_check import check_classifier
from retinue.ops import OpenMax
from retinue.runtime.classification_manifest import ClassificationManifest, InputPolicy, LogitsOutput, OpenSet
from retinue.runtime.errors import BackendFailed, PackageInvalid
from retinue.runtime.onnx_backend import OnnxBackend
from retinue.runtime.package import open_package, sha256_of
from tests.unit.cli.tiny_classifiers import make_graph, make_package


def check(folder: Path) -> None:
    """Check the package in a folder."""
    package = open_package(folder)
    check_classifier(package, ClassificationManifest.of(package.manifest), lambda name: OnnxBackend(folder / name))


def test_a_classifier_that_answers_as_it_says_is_good(tmp_path: Path) -> None:
    check(make_package(tmp_path))


@pytest.mark.parametrize(
    ("make", "fields", "problem"),
    [
        (lambda path: path.write_bytes(b"no graph"), {}, "model.onnx cannot be loaded"),
        (
            lambda path: make_graph(path, classes=4),
            {},
            r"logits is float32 \[2, 4\], the manifest says float32 \[batch, 3\]",
        ),
        (lambda path: make_graph(path, output="scores"), {}, "the graph has no logits"),
        (lambda path: make_graph(path, scale=1e38), {}, "logits of a grey picture is not finite"),
        (make_graph, {"input": InputPolicy(height=9, width=9, fit="stretch")}, "the graph failed"),
        (make_graph, {"input": InputPolicy(tensor="x", height=8, width=12, fit="stretch")}, "the graph has no x"),
        (make_graph, {"output": LogitsOutput(embedding="features", embedding_size=2)}, "the graph has no features"),
        (make_graph, {"output": LogitsOutput(embedding="logits", embedding_size=2)}, "the manifest says float32"),
    ],
)
def test_what_a_classifier_does_not_keep_is_told(
    tmp_path: Path, make: Callable[[Path], Any], fields: dict[str, Any], problem: str
) -> None:
    folder = make_package(tmp_path, make=make, **fields)
    with pytest.raises((PackageInvalid, BackendFailed), match=problem):
        check(folder)


def calibrated(root: Path, calibration: Callable[[Path], object]) -> Path:
    """Write a package with features as its logits, and a calibration."""

    def make(path: Path) -> None:
        make_graph(path)
        calibration(path.with_name("openmax.npz"))

    files = ["model.onnx", "openmax.npz"]
    scratch = root / "scratch"
    scratch.mkdir()
    make(scratch / "model.onnx")
    return make_package(
        root,
        make=make,
        output=LogitsOutput(embedding="logits", embedding_size=3),
        open_set=OpenSet(method="openmax", threshold=0.5, file="openmax.npz"),
        files={name: sha256_of(scratch / name) for name in files},
    )


def fitted(class_count: int, feature_count: int) -> Callable[[Path], object]:
    """Return what writes a calibration for so many classes and features."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(class_count), 30)
    features = rng.normal(size=(len(labels), feature_count)) + labels[:, None]
    model = OpenMax.fit(features, np.eye(class_count)[labels], labels)
    return model.save


def test_a_calibration_for_the_models_classes_is_good(tmp_path: Path) -> None:
    check(calibrated(tmp_path, fitted(3, 3)))


@pytest.mark.parametrize(("classes", "features"), [(2, 3), (3, 4)])
def test_a_calibration_for_other_classes_or_features_is_told(tmp_path: Path, classes: int, features: int) -> None:
    folder = calibrated(tmp_path, fitted(classes, features))
    with pytest.raises(
        PackageInvalid, match=rf"openmax.npz is for .*\({classes}, {features}\), the model has \(3, 3\)"
    ):
        check(folder)


def test_a_calibration_that_is_none_is_told(tmp_path: Path) -> None:
    folder = calibrated(tmp_path, lambda path: path.write_bytes(b"rubbish"))
    with pytest.raises(PackageInvalid, match=r"^openmax.npz: "):
        check(folder)
