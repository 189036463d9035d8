"""Checkpoint file -> package -> ONNX Runtime answers as the original implementation does."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch

from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.package import open_package
from retinue.zoo.checkpoint_import import import_classifier
from tests.unit.zoo.conftest import Golden

# The same arithmetic in another order. MobileNetV2's untrained weights amplify rounding: its float32 answer is 2e-5
# from its float64 answer already. A wrong epsilon or kernel shows at 1e-3 and more.
TOLERANCES = {"mobilenet_v2": 1e-4, "mobilenet_v3_large": 1e-5, "vit_b_16": 1e-5}


def _deviation(golden: Golden, package: Path) -> float:
    """Return the largest difference from the original's logits, as a share of their spread."""
    session = onnxruntime.InferenceSession(package / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": golden.pictures})
    return float(np.abs(logits - golden.logits).max() / np.ptp(golden.logits))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "mobilenet_v3_large", pytest.param("vit_b_16", marks=pytest.mark.slow)]
)
def test_imported_checkpoint_answers_as_the_original(
    name: str, suffix: str, golden: Callable[[str], Golden], tmp_path: Path
) -> None:
    """The whole way: file, recognition, export, package, runtime."""
    case = golden(name)
    path = tmp_path / f"{name}{suffix}"
    if suffix == ".pth":
        torch.save(case.state, path)
    else:
        safetensors.torch.save_file(case.state, path)
    package = import_classifier(path, tmp_path / "models", name=name)
    deviation = _deviation(case, package)
    print(f"{name}{suffix}: {deviation:.1e} of the spread")  # noqa: T201 - shown with -s
    assert deviation < TOLERANCES[name]
    manifest = ClassificationManifest.of(open_package(package).manifest)
    assert (manifest.input.height, manifest.input.width, manifest.input.short_side) == (224, 224, 256)
    path.unlink()  # a large one should not outlive its test
