"""Checkpoint file -> recognition -> graph -> ONNX Runtime answers as the original UNet does."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch

from retinue.zoo.checkpoint import read_checkpoint
from retinue.zoo.export_unet import export_unet
from retinue.zoo.recognition_unet import recognise_unet
from tests.unit.zoo.conftest import Outputs

pytestmark = pytest.mark.slow  # a network of thirty million weights


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_unet_answers_as_the_original(
    suffix: str, golden_detection: Callable[[str], tuple[dict[str, torch.Tensor], Outputs]], tmp_path: Path
) -> None:
    state, wanted = golden_detection("milesial_unet")
    path = tmp_path / f"unet{suffix}"
    if suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:  # as the original's training leaves it
        torch.save({**state, "mask_values": [0, 1]}, path)
    found = recognise_unet(read_checkpoint(path))
    path.unlink()  # a large one should not outlive its test
    assert (found.architecture, found.widths) == ("unet", (64, 128, 256, 512, 1024))
    assert (found.model.class_count, found.model.in_channels) == (2, 3)
    export_unet(found.model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": wanted["input"][None]})
    deviation = np.abs(logits - wanted["out_logits"]).max() / np.ptp(wanted["out_logits"])
    print(f"milesial_unet{suffix}: {deviation:.1e} of the spread")  # noqa: T201 - shown with -s
    assert deviation < 1e-5  # the same arithmetic in another order; a wrong padding or order shows at 1e-2
