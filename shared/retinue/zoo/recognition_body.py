"""The body of a detector that a checkpoint's shapes describe: a ResNet, a MobileNetV3 or a plain trunk."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from retinue.zoo.body import Body
from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.fitting import shape_of
from retinue.zoo.frozen_norm import freeze_norms
from retinue.zoo.mobilenet_body import MobileNetBody
from retinue.zoo.mobilenet_v3 import LARGE, SMALL
from retinue.zoo.plain_trunk import PlainTrunk
from retinue.zoo.resnet import REPEATS, BasicBlock, Bottleneck, ResNet

State = Mapping[str, Tensor]


def is_frozen(state: State) -> bool:
    """Return whether a body was saved with frozen normalisation, which counts no batches."""
    return not any(name.endswith(".num_batches_tracked") for name in state)


def resnet_of(
    state: State,
    *,
    in_channels: Sequence[int] | None = None,
    is_dilated: bool = False,
    frozen_eps: float | None = None,
) -> tuple[ResNet, str]:
    """Return a ResNet of a checkpoint's shapes, on the meta device and without its weights, and its name.

    Args:
        state: tensors by the body's own names.
        in_channels: channels of the maps to return; None: of the last stage alone.
        is_dilated: whether the last stage dilates, which weights do not tell.
        frozen_eps: epsilon of frozen normalisation; None: batch normalisation.

    Raises:
        CheckpointInvalid: a dimension cannot be read, or no stage gives maps of so many channels.
    """
    block = Bottleneck if "layer1.0.conv3.weight" in state else BasicBlock
    repeats = tuple(_count(state, rf"layer{stage}\.(\d+)\..+") for stage in range(1, 5))
    widths = tuple(shape_of(state, f"layer{stage}.0.conv1.weight", 4)[0] for stage in range(1, 5))
    outs = [width * block.expansion for width in widths]
    if in_channels is None:
        returned: tuple[int, ...] = (4,)
    elif missing := [channels for channels in in_channels if channels not in outs]:
        raise CheckpointInvalid(f"the pyramid takes maps of {missing[0]} channels, the ResNet's stages have {outs}")
    else:
        returned = tuple(outs.index(channels) + 1 for channels in in_channels)
    with torch.device("meta"):
        model = ResNet(
            block,
            repeats,
            stem_channels=shape_of(state, "conv1.weight", 4)[0],
            widths=widths,
            returned=returned,
            is_dilated=is_dilated,
        )
        if frozen_eps is not None:
            freeze_norms(model, frozen_eps)
    depths = (
        depth for depth, counts in REPEATS.items() if counts == repeats and (depth >= 50) == (block is Bottleneck)
    )
    depth = next(depths, None)
    return model, "resnet" if depth is None else f"resnet{depth}"


def mobilenet_body_of(state: State, in_channels: Sequence[int]) -> tuple[MobileNetBody, str]:
    """Return a MobileNetV3 of a checkpoint's shapes, on the meta device and without its weights, and its name.

    Args:
        state: tensors by the body's own names.
        in_channels: channels of the maps to return. Published detectors return the last two of different size or
            width: the layer that strides last, and the last one.

    Raises:
        CheckpointInvalid: a dimension cannot be read, or it is neither the small nor the large one.
    """
    count = _count(state, r"(\d+)\.block\..+")
    known = {len(SMALL): ("mobilenet_v3_small", SMALL), len(LARGE): ("mobilenet_v3_large", LARGE)}
    if count not in known:
        raise CheckpointInvalid(f"{count} blocks are no MobileNetV3: small has {len(SMALL)}, large has {len(LARGE)}")
    name, rows = known[count]
    read = []
    for index, row in enumerate(rows, start=1):
        places = _count(state, rf"{index}\.block\.(\d+)\..+")
        out, expanded, *_ = shape_of(state, f"{index}.block.{places - 1}.0.weight", 4)
        read.append(replace(row, out_channels=out, expanded_channels=expanded))
    # Published detectors take maps where layers shrink them, and the last.
    taps = [0, *(index for index, row in enumerate(rows, start=1) if row.stride > 1), count + 1]
    with torch.device("meta"):
        model = MobileNetBody(
            tuple(read),
            returned=taps[-len(in_channels) :],
            stem_channels=shape_of(state, "0.0.weight", 4)[0],
        )
    return model, name


def plain_trunk_of(state: State) -> PlainTrunk:
    """Return a plain trunk of a checkpoint's shapes, on the meta device and without its weights.

    Raises:
        CheckpointInvalid: a dimension cannot be read.
    """
    stages = _count(state, r"stages\.(\d+)\..+")
    channels = tuple(shape_of(state, f"stages.{stage}.0.0.weight", 4)[0] for stage in range(stages))
    if len(channels) < 2:
        raise CheckpointInvalid(f"{len(channels)} stages are no trunk")
    with torch.device("meta"):
        return PlainTrunk(channels, depth=_count(state, r"stages\.0\.(\d+)\..+"))


def body_of(
    state: State, in_channels: Sequence[int], *, frozen_eps: float, is_dilated: bool = False
) -> tuple[Body, str]:
    """Return the body that a checkpoint's names belong to, on the meta device and without its weights, and its name.

    Args:
        state: tensors by the body's own names.
        in_channels: channels of the maps to return, the finest first.
        frozen_eps: epsilon of a ResNet's frozen normalisation.
        is_dilated: whether a ResNet's last stage dilates.

    Raises:
        CheckpointInvalid: no body has these names, or a dimension cannot be read.
    """
    if "conv1.weight" in state:
        eps = frozen_eps if is_frozen(state) else None
        return resnet_of(state, in_channels=in_channels, is_dilated=is_dilated, frozen_eps=eps)
    if "1.block.0.0.weight" in state:
        return mobilenet_body_of(state, in_channels)
    if "stages.0.0.0.weight" in state:
        return plain_trunk_of(state), "plain_trunk"
    raise CheckpointInvalid(
        f"the body's tensors have the names of no known one; the first are {', '.join(list(state)[:3])}"
    )


def _count(state: State, pattern: str) -> int:
    """Return how many different numbers stand at the pattern's group."""
    return len({found[1] for name in state if (found := re.fullmatch(pattern, name))})
