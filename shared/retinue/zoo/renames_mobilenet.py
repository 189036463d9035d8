"""MobileNets under the zoo's names, which are torchvision's, from timm's."""

import re
from collections.abc import Mapping

from torch import Tensor

State = dict[str, Tensor]

_STAGE_BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.(.+)")


def mobilenet_from_timm(state: Mapping[str, Tensor]) -> State:
    """Return a timm MobileNetV1, V2 or V3 under the zoo's names.

    Stages are counted through, and each block's parts are put in the order in which they are applied. V3's
    ``conv_head``, a 1x1 convolution after pooling, is the first linear layer of the classifier. Unknown names stay.
    """
    blocks: dict[tuple[int, int], State] = {}
    renamed: State = {}
    for name, tensor in state.items():
        block = _STAGE_BLOCK.fullmatch(name)
        if block:
            blocks.setdefault((int(block[1]), int(block[2])), {})[block[3]] = tensor
        else:
            renamed[name] = tensor
    is_v3 = "conv_head.bias" in state
    is_v1 = not is_v3 and "conv_head.weight" not in state
    last = len(blocks) + 1
    outer = {"conv_stem": "features.0.0", "bn1": "features.0.1"}
    if is_v3:
        outer |= {"conv_head": "classifier.0", "classifier": "classifier.3"}
        if renamed["conv_head.bias"].ndim == 1 and (head := renamed.get("conv_head.weight")) is not None:
            renamed["conv_head.weight"] = head.flatten(1) if head.ndim > 1 else head
    else:
        outer |= {"conv_head": f"features.{last}.0", "bn2": f"features.{last}.1", "classifier": "classifier.1"}
    out = {_replaced(name, outer): tensor for name, tensor in renamed.items()}
    for index, (_, parts) in enumerate(sorted(blocks.items()), start=1):
        table = {
            part: f"features.{index}.{ours}" for part, ours in _block_table(parts, is_v1=is_v1, is_v3=is_v3).items()
        }
        out |= {
            _replaced(name, table) if _module(name) in table else f"blocks.{index}.{name}": tensor
            for name, tensor in parts.items()
        }
    return out


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _replaced(name: str, table: Mapping[str, str]) -> str:
    """Return the name of a parameter whose module is renamed by the table."""
    module, dot, parameter = name.rpartition(".")
    return f"{table.get(module, module)}{dot}{parameter}"


def _block_table(parts: Mapping[str, Tensor], *, is_v1: bool, is_v3: bool) -> dict[str, str]:
    """Return the zoo's name of each module of one block, relative to the block."""
    if "conv.weight" in parts:  # a plain convolution, V3's last
        return {"conv": "0", "bn1": "1"}
    if "conv_pwl.weight" in parts:
        chain = [("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")]
    else:
        chain = [("conv_dw", "bn1"), ("conv_pw", "bn2")]
    has_squeeze = "se.conv_reduce.weight" in parts
    inner = "block." if is_v3 else "" if is_v1 else "conv."
    table: dict[str, str] = {}
    for index, (convolution, norm) in enumerate(chain):
        is_projection = index == len(chain) - 1
        place = index + (has_squeeze and is_projection)
        if is_projection and not is_v1 and not is_v3:  # V2's projection lies flat
            table |= {convolution: f"{inner}{place}", norm: f"{inner}{place + 1}"}
        else:
            table |= {convolution: f"{inner}{place}.0", norm: f"{inner}{place}.1"}
    if has_squeeze:
        place = len(chain) - 1
        table |= {"se.conv_reduce": f"{inner}{place}.fc1", "se.conv_expand": f"{inner}{place}.fc2"}
    return table
