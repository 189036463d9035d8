"""Telling from the names and shapes of a checkpoint's tensors which classifier they belong to.

Nothing goes by file: a checkpoint of another width, class count or resolution is recognised by the same rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from retinue.zoo.classifier import Classifier
from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.mobilenet_v3 import EPS
from retinue.zoo.recognition_mobilenet import mobilenet_v1_of, mobilenet_v2_of, mobilenet_v3_of
from retinue.zoo.recognition_vit import vision_transformer_of
from retinue.zoo.renames_mobilenet import mobilenet_from_timm
from retinue.zoo.renames_vit import migrated, vit_from_timm

Layout = Literal["torchvision", "timm"]

# timm trains its MobileNetV3 with PyTorch's default epsilon, not with the paper's.
_TIMM_EPS = 1e-5


@dataclass(frozen=True, slots=True)
class Recognised:
    """A network with the weights of a checkpoint, ready to answer."""

    model: Classifier
    architecture: str
    """Its name in the zoo; ``vit`` for a transformer of no published size."""
    layout: Layout
    """Whose names the checkpoint had."""
    trained_size: tuple[int, int] | None = None
    """Height and width of a transformer's positions before interpolation, pixels; None where any size will do."""
    is_distilled: bool = False
    """Whether it is a transformer with a distillation token."""


def recognise(
    state: Mapping[str, Tensor], *, heads: int | None = None, image_size: tuple[int, int] | None = None
) -> Recognised:
    """Return the network that a checkpoint holds, with its weights in place.

    Args:
        state: tensors by name, as `read_checkpoint` gives them.
        heads: attention heads of a vision transformer; default: by the rule of published ones.
        image_size: height and width to run at, pixels; a vision transformer's positions are interpolated to it in the
            way of the library whose names the checkpoint has. Default: as trained.

    Raises:
        CheckpointInvalid: no architecture has these names, or a dimension cannot be read.
        CheckpointMismatch: names or shapes differ from those of the architecture; the message lists them.
    """
    if "conv_proj.weight" in state or "patch_embed.proj.weight" in state:
        layout: Layout = "torchvision" if "conv_proj.weight" in state else "timm"
        renamed = migrated(state) if layout == "torchvision" else vit_from_timm(state)
        transformer, name, trained = vision_transformer_of(
            renamed, heads=heads, image_size=image_size, interpolation=layout
        )
        return Recognised(transformer, name, layout, trained, "dist_token" in state)
    layout = "timm" if "conv_stem.weight" in state else "torchvision"
    ours = mobilenet_from_timm(state) if layout == "timm" else state
    if any(name.startswith("features.1.block.") for name in ours):
        network, name = mobilenet_v3_of(ours, eps=_TIMM_EPS if layout == "timm" else EPS)
        return Recognised(network, name, layout)
    if any(name.startswith("features.1.conv.") for name in ours):
        return Recognised(mobilenet_v2_of(ours), "mobilenet_v2", layout)
    if "features.1.1.0.weight" in ours:
        return Recognised(mobilenet_v1_of(ours), "mobilenet_v1", layout)
    raise CheckpointInvalid(
        "the tensors have the names of no known classifier (MobileNetV1, V2, V3 or a vision transformer); "
        f"the first are {', '.join(list(state)[:3])}"
    )
