"""The MobileNet that a checkpoint's shapes describe: channels are read off, so that any width is recognised.

Kernels, strides and activations are the published ones; a network that differs in the first is refused by its shapes.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.fitting import fill, shape_of
from retinue.zoo.mobilenet_v1 import CHANNELS, MobileNetV1
from retinue.zoo.mobilenet_v2 import STAGES, MobileNetV2, Stage
from retinue.zoo.mobilenet_v3 import LARGE, SMALL, MobileNetV3

State = Mapping[str, Tensor]


def mobilenet_v1_of(state: State) -> MobileNetV1:
    """Return the MobileNetV1 with a checkpoint's weights.

    Raises:
        CheckpointInvalid: a dimension cannot be read, or names or shapes differ.
    """
    channels = tuple(shape_of(state, f"features.{i}.1.0.weight", 4)[0] for i in range(1, len(CHANNELS) + 1))
    with torch.device("meta"):
        model = MobileNetV1(channels, class_count=_rows(state, "classifier.1.weight"), stem_channels=_stem(state))
    fill(model, state, "mobilenet_v1")
    return model


def mobilenet_v2_of(state: State) -> MobileNetV2:
    """Return the MobileNetV2 with a checkpoint's weights, of any width and depth.

    Raises:
        CheckpointInvalid: a dimension cannot be read, or names or shapes differ.
    """
    count = _count(state, r"features\.(\d+)\.conv\..+")
    # The first block does not expand, so its projection comes one earlier.
    outs = [shape_of(state, f"features.{i}.conv.{1 if i == 1 else 2}.weight", 4)[0] for i in range(1, count + 1)]
    last = shape_of(state, f"features.{count + 1}.0.weight", 4)[0]
    with torch.device("meta"):
        model = MobileNetV2(
            _stages(outs),
            class_count=_rows(state, "classifier.1.weight"),
            stem_channels=_stem(state),
            last_channels=last,
        )
    fill(model, state, "mobilenet_v2")
    return model


def mobilenet_v3_of(state: State, *, eps: float) -> tuple[MobileNetV3, str]:
    """Return the MobileNetV3 with a checkpoint's weights, and whether it is ``mobilenet_v3_small`` or ``…_large``.

    Args:
        state: tensors by name.
        eps: of batch normalisation, which the weights do not tell.

    Raises:
        CheckpointInvalid: a dimension cannot be read, or names or shapes differ.
    """
    count = _count(state, r"features\.(\d+)\.block\..+")
    name, rows = {len(SMALL): ("mobilenet_v3_small", SMALL), len(LARGE): ("mobilenet_v3_large", LARGE)}.get(
        count, ("", ())
    )
    if not name:
        raise CheckpointInvalid(f"{count} blocks are no MobileNetV3: small has {len(SMALL)}, large has {len(LARGE)}")
    read = []
    for index, row in enumerate(rows, start=1):
        places = _count(state, rf"features\.{index}\.block\.(\d+)\..+")
        out, expanded, *_ = shape_of(state, f"features.{index}.block.{places - 1}.0.weight", 4)
        read.append(replace(row, out_channels=out, expanded_channels=expanded))
    last, _ = shape_of(state, "classifier.0.weight", 2)
    with torch.device("meta"):
        model = MobileNetV3(
            tuple(read),
            class_count=_rows(state, "classifier.3.weight"),
            last_channels=last,
            stem_channels=_stem(state),
            eps=eps,
        )
    fill(model, state, name)
    return model, name


def _stem(state: State) -> int:
    return shape_of(state, "features.0.0.weight", 4)[0]


def _rows(state: State, name: str) -> int:
    return shape_of(state, name, 2)[0]


def _count(state: State, pattern: str) -> int:
    """Return how many different numbers stand at the pattern's group."""
    return len({found[1] for name in state if (found := re.fullmatch(pattern, name))})


def _stages(outs: list[int]) -> tuple[Stage, ...]:
    """Return V2's stages for the output channels of all blocks: of the paper's depths, or cut where channels change."""
    repeats = [stage.repeats for stage in STAGES]
    if len(outs) != sum(repeats):
        starts = [i for i in range(len(outs)) if i == 0 or outs[i] != outs[i - 1]]
        repeats = [end - start for start, end in zip(starts, [*starts[1:], len(outs)], strict=True)]
    if len(repeats) != len(STAGES):
        raise CheckpointInvalid(f"{len(outs)} blocks fall into {len(repeats)} stages; MobileNetV2 has {len(STAGES)}")
    firsts = [sum(repeats[:i]) for i in range(len(repeats))]
    return tuple(
        replace(stage, out_channels=outs[first], repeats=repeat)
        for stage, first, repeat in zip(STAGES, firsts, repeats, strict=True)
    )
