"""Telling from the names and shapes of a checkpoint's tensors which UNet they belong to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.fitting import fill, shape_of
from retinue.zoo.unet import Attention, UNet

# The grey values that a mask's classes were drawn in, which training leaves among the weights.
_NO_WEIGHT = "mask_values"
# Names of the first versions: another one for the same layers.
_OLD_NAMES = (
    (re.compile(r"^inc\.conv\.conv\."), r"inc.double_conv."),
    (re.compile(r"^(up\d+)\.conv\.conv\."), r"\1.conv.double_conv."),
    (re.compile(r"^(down\d+)\.mpconv\.1\.conv\."), r"\1.maxpool_conv.1.double_conv."),
)


@dataclass(frozen=True, slots=True)
class RecognisedUNet:
    """A UNet with the weights of a checkpoint, ready to answer."""

    model: UNet
    architecture: str
    """``unet``, or ``unet_bilinear``."""
    widths: tuple[int, ...]
    """Channels of each level, from the full size to the coarsest."""


def is_unet(state: Mapping[str, Tensor]) -> bool:
    """Return whether a checkpoint's tensors have the names of a UNet."""
    state = _renamed(state)
    return "inc.double_conv.0.weight" in state and "outc.conv.weight" in state


def recognise_unet(state: Mapping[str, Tensor]) -> RecognisedUNet:
    """Return the UNet that a checkpoint holds, with its weights in place.

    Depth, widths, input channels and classes are read off, and which options of `UNet` there are.

    Args:
        state: tensors by name, as `read_checkpoint` gives them, under milesial's names, new or old. ``mask_values``
            among them is no weight and is left.

    Raises:
        CheckpointInvalid: it is no such network, or a dimension cannot be read.
        CheckpointMismatch: names or shapes differ from those of the architecture; the message lists them.
    """
    state = {name: tensor for name, tensor in _renamed(state).items() if name != _NO_WEIGHT}
    depth = _count(state, r"down(\d+)\..+")
    if not depth:
        raise CheckpointInvalid("a UNet has two levels at least, the checkpoint has no down1")
    widths = [_out(state, "inc"), *(_out(state, f"down{level}.maxpool_conv.1") for level in range(1, depth + 1))]
    in_channels = shape_of(state, "inc.double_conv.0.weight", 4)[1]
    is_bilinear = not any(re.fullmatch(r"up\d+\.up\..+", name) for name in state)
    attention: Attention = "none"
    if any(name.startswith("attentions.") for name in state):
        attention = "squeeze" if "attentions.0.fc1.weight" in state else "coordinate"
    with torch.device("meta"):
        model = UNet(
            shape_of(state, "outc.conv.weight", 4)[0],
            in_channels=in_channels,
            widths=widths,
            is_bilinear=is_bilinear,
            decoder_widths=[
                (shape_of(state, f"up{n}.conv.double_conv.0.weight", 4)[0], _out(state, f"up{n}.conv"))
                for n in range(1, depth + 1)
            ],
            has_bias="inc.double_conv.0.bias" in state,
            attention=attention,
            dilated_count=_count(state, r"bottleneck\.(\d+)\..+"),
        )
    name = "unet_bilinear" if is_bilinear else "unet"
    fill(model, state, name)
    return RecognisedUNet(model, name, tuple(widths))


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under today's names."""
    renamed = {}
    for old, tensor in state.items():
        name = old
        for pattern, replacement in _OLD_NAMES:
            name = pattern.sub(replacement, name)
        renamed[name] = tensor
    return renamed


def _out(state: Mapping[str, Tensor], block: str) -> int:
    """Return how many channels a double convolution gives."""
    return shape_of(state, f"{block}.double_conv.3.weight", 4)[0]


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """Return how many different numbers stand at the pattern's group."""
    return len({found[1] for name in state if (found := re.fullmatch(pattern, name))})
