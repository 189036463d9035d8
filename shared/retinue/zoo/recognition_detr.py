"""Telling from the names and shapes of a checkpoint's tensors which DETR they belong to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from retinue.zoo.detr import Detr
from retinue.zoo.detr_transformer import DetrTransformer
from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.fitting import fill, shape_of
from retinue.zoo.recognition_body import is_frozen, resnet_of

# All that has been published has eight heads, which weights do not tell.
_HEADS = 8
_FROZEN_EPS = 1e-5
_BODY = "backbone.0.body."


@dataclass(frozen=True, slots=True)
class RecognisedDetr:
    """A detector with the weights of a checkpoint, ready to answer."""

    model: Detr
    architecture: str
    """Such as ``detr_resnet50``."""


def is_detr(state: Mapping[str, Tensor]) -> bool:
    """Return whether a checkpoint's tensors have the names of a detection transformer."""
    return "query_embed.weight" in state or "detr.query_embed.weight" in state


def recognise_detr(
    state: Mapping[str, Tensor], *, heads: int = _HEADS, is_dilated: bool | None = None, file_name: str = ""
) -> RecognisedDetr:
    """Return the detector that a checkpoint holds, with its weights in place.

    Depths, widths, class and query count are read off. Of a panoptic one the boxes are taken and the masks left.

    Args:
        state: tensors by name, as `read_checkpoint` gives them.
        heads: attention heads.
        is_dilated: whether the ResNet's last stage dilates; None: if the file's name has ``dc5`` in it.
        file_name: of the checkpoint.

    Raises:
        CheckpointInvalid: it is no such detector, or a dimension cannot be read.
        CheckpointMismatch: names or shapes differ from those of the architecture; the message lists them.
    """
    if "detr.query_embed.weight" in state:
        state = {name.removeprefix("detr."): tensor for name, tensor in state.items() if name.startswith("detr.")}
    body_state = {name.removeprefix(_BODY): tensor for name, tensor in state.items() if name.startswith(_BODY)}
    is_dilated = "dc5" in file_name.lower() if is_dilated is None else is_dilated
    body, body_name = resnet_of(
        body_state, is_dilated=is_dilated, frozen_eps=_FROZEN_EPS if is_frozen(body_state) else None
    )
    query_count, hidden = shape_of(state, "query_embed.weight", 2)
    if heads < 1 or hidden % heads or hidden % 4:
        raise CheckpointInvalid(f"a hidden size of {hidden} is no multiple of 4 and of {heads} heads")
    name = f"detr_{body_name}" + ("_dc5" if is_dilated else "")
    with torch.device("meta"):
        transformer = DetrTransformer(
            hidden,
            heads=heads,
            encoder_depth=_count(state, r"transformer\.encoder\.layers\.(\d+)\..+"),
            decoder_depth=_count(state, r"transformer\.decoder\.layers\.(\d+)\..+"),
            feedforward=shape_of(state, "transformer.encoder.layers.0.linear1.weight", 2)[0],
        )
        model = Detr(
            body,
            transformer,
            hidden=hidden,
            class_count=shape_of(state, "class_embed.weight", 2)[0],
            query_count=query_count,
            box_layers=_count(state, r"bbox_embed\.layers\.(\d+)\..+"),
        )
    fill(model, state, name)
    return RecognisedDetr(model, name)


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """Return how many different numbers stand at the pattern's group."""
    return len({found[1] for name in state if (found := re.fullmatch(pattern, name))})
