"""Two-stage detectors under the names of today's torchvision, which are the zoo's, from the older published ones."""

import re
from collections.abc import Mapping

from torch import Tensor

# Published files predate the sequences that these layers now stand in; conversions lose the version that says so.
_OLD = (
    (re.compile(r"rpn\.head\.conv\.(weight|bias)"), r"rpn.head.conv.0.0.\1"),
    (re.compile(r"backbone\.fpn\.(inner|layer)_blocks\.(\d+)\.(weight|bias)"), r"backbone.fpn.\1_blocks.\2.0.\3"),
)
_OLD_MASK = re.compile(r"roi_heads\.mask_head\.mask_fcn(\d+)\.(weight|bias)")


def migrated_detector(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a detector's tensors under today's names, going by the names alone; unknown ones stay.

    >>> import torch
    >>> names = ["rpn.head.conv.bias", "backbone.fpn.layer_blocks.3.weight", "roi_heads.mask_head.mask_fcn2.bias"]
    >>> for name in migrated_detector(dict.fromkeys(names, torch.zeros(1))):
    ...     print(name)
    rpn.head.conv.0.0.bias
    backbone.fpn.layer_blocks.3.0.weight
    roi_heads.mask_head.1.0.bias
    """
    return {_migrated(name): tensor for name, tensor in state.items()}


def has_old_names(state: Mapping[str, Tensor]) -> bool:
    """Return whether any name is one that `migrated_detector` changes."""
    return any(_migrated(name) != name for name in state)


def _migrated(name: str) -> str:
    for old, new in _OLD:
        if found := old.fullmatch(name):
            return found.expand(new)
    if found := _OLD_MASK.fullmatch(name):
        return f"roi_heads.mask_head.{int(found[1]) - 1}.0.{found[2]}"
    return name
