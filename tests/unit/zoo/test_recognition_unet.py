from collections.abc import Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from retinue.zoo.checkpoint import read_checkpoint
from retinue.zoo.errors import CheckpointInvalid, CheckpointMismatch
from retinue.zoo.recognition_unet import is_unet, recognise_unet
from retinue.zoo.unet import UNet
from tests.unit.zoo.test_unet import tiny_unet


def _same(model: UNet, state: Mapping[str, Tensor]) -> bool:
    """Return whether a checkpoint is recognised as a network that answers as the one it came from."""
    x = torch.rand(2, model.in_channels, 19, 33)
    return torch.equal(recognise_unet(state).model(x), model(x))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_count": 1, "in_channels": 1},
        {"widths": (8, 16)},
        {"widths": (3, 5, 4, 9, 7, 2)},
        {"widths": (8, 16, 16), "is_bilinear": True},
        {"widths": (4, 6, 5), "is_bilinear": True, "decoder_widths": [(3, 7), (2, 9)]},
        {"decoder_widths": [(3, 7), (2, 9)], "has_bias": True},
        {"attention": "squeeze"},
        {"attention": "coordinate", "dilated_count": 3},
    ],
    ids=str,
)
def test_any_depth_and_width_and_all_options_are_read_off(options: dict[str, object]) -> None:
    model = tiny_unet(**options)  # type: ignore[arg-type]  # options differ in type
    assert is_unet(model.state_dict())
    assert _same(model, model.state_dict())


def test_names_widths_and_classes_are_told() -> None:
    found = recognise_unet(tiny_unet(7, is_bilinear=True).state_dict())
    assert (found.architecture, found.widths, found.model.class_count) == ("unet_bilinear", (4, 6, 8), 7)
    assert recognise_unet(tiny_unet().state_dict()).architecture == "unet"
    assert not found.model.training


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_values_of_masks_among_the_weights_are_left(suffix: str, tmp_path: Path) -> None:
    model, path = tiny_unet(), tmp_path / f"unet{suffix}"
    if suffix == ".pth":  # as the original's training leaves it
        torch.save({**model.state_dict(), "mask_values": [0, 1]}, path)
    else:
        safetensors.torch.save_file({**model.state_dict(), "mask_values": torch.tensor([0, 255])}, path)
    assert _same(model, read_checkpoint(path))


def test_wrapped_checkpoints_without_counters_are_read(tmp_path: Path) -> None:
    model, path = tiny_unet(), tmp_path / "unet.pth"
    state = {f"module.{name}": x for name, x in model.state_dict().items() if "num_batches" not in name}
    torch.save({"state_dict": state, "epoch": 3}, path)
    assert _same(model, read_checkpoint(path))


def test_names_of_the_first_versions_are_read() -> None:
    model = tiny_unet(has_bias=True)
    old = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("inc."):
            old[name.replace("inc.double_conv", "inc.conv.conv")] = tensor
        else:
            old[name.replace("maxpool_conv.1.double_conv", "mpconv.1.conv").replace("double_conv", "conv")] = tensor
    assert {"inc.conv.conv.0.weight", "down1.mpconv.1.conv.0.weight", "up1.conv.conv.0.weight"} < old.keys()
    assert is_unet(old)
    assert _same(model, old)


def test_other_checkpoints_are_no_unets() -> None:
    assert not is_unet({"outc.conv.weight": torch.zeros(1, 1, 1, 1)})
    assert not is_unet({"inc.double_conv.0.weight": torch.zeros(1, 1, 3, 3)})


def test_what_lacks_or_does_not_fit_is_named() -> None:
    state = tiny_unet().state_dict()
    for name, problem in (
        ("down2.maxpool_conv.1.double_conv.3.weight", "lacks down2"),
        ("up1.conv.double_conv.3.weight", "lacks up1"),
        ("up2.up.bias", "missing: up2.up.bias"),
    ):
        with pytest.raises(CheckpointInvalid, match=problem):
            recognise_unet({key: tensor for key, tensor in state.items() if key != name})
    with pytest.raises(CheckpointInvalid, match="no down1"):
        recognise_unet({name: tensor for name, tensor in state.items() if not name.startswith("down")})
    with pytest.raises(CheckpointMismatch, match=r"up1\.up\.weight: has \(3, 3\)"):
        recognise_unet({**state, "up1.up.weight": torch.zeros(3, 3)})
    with pytest.raises(CheckpointMismatch, match=r"unexpected: fc\.weight"):
        recognise_unet({**state, "fc.weight": torch.zeros(3, 3)})
    with pytest.raises(CheckpointInvalid, match="shape"):
        recognise_unet({**state, "outc.conv.weight": torch.zeros(3, 3)})
