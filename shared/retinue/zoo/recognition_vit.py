"""The vision transformer that a checkpoint's shapes describe, at the resolution that is wanted."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.fitting import fill, shape_of
from retinue.zoo.positions import Interpolation, resampled_positions
from retinue.zoo.vision_transformer import VisionTransformer

_POSITIONS = "encoder.pos_embedding"
_NAMES = {
    (192, 12, 16): "vit_tiny_16",
    (384, 12, 16): "vit_small_16",
    (768, 12, 16): "vit_b_16",
    (768, 12, 32): "vit_b_32",
    (1024, 24, 16): "vit_l_16",
    (1024, 24, 32): "vit_l_32",
    (1280, 32, 14): "vit_h_14",
}
"""By hidden size, depth and patch size."""


def vision_transformer_of(
    state: Mapping[str, Tensor],
    *,
    heads: int | None,
    image_size: tuple[int, int] | None,
    interpolation: Interpolation,
) -> tuple[VisionTransformer, str, tuple[int, int]]:
    """Return the transformer with a checkpoint's weights, its name in the zoo or ``vit``, and its trained size.

    Args:
        state: tensors by the zoo's names.
        heads: attention heads; default: by `default_heads`.
        image_size: height and width to run at, pixels; default: as trained.
        interpolation: how positions are carried to another size.

    Raises:
        CheckpointInvalid: a dimension cannot be read, names or shapes differ, or the size is no whole number of
            patches.
    """
    hidden, channels, patch_size, patch_width = shape_of(state, "conv_proj.weight", 4)
    if channels != 3 or patch_size != patch_width:
        raise CheckpointInvalid(
            f"conv_proj.weight takes {channels} channels in {patch_size}x{patch_width} patches, not RGB in square ones"
        )
    prefix_tokens = shape_of(state, "class_token", 3)[1]
    position_count = shape_of(state, _POSITIONS, 3)[1]
    side = math.isqrt(max(0, position_count - prefix_tokens))
    if side < 1 or side**2 + prefix_tokens != position_count:
        raise CheckpointInvalid(f"{position_count} positions less {prefix_tokens} for prefix tokens are no square")
    trained = (side * patch_size, side * patch_size)
    height, width = image_size or trained
    if min(height, width) < patch_size or height % patch_size or width % patch_size:
        raise CheckpointInvalid(f"image size {height}x{width} is no whole number of {patch_size}-pixel patches")

    depth = len({name.split(".")[2] for name in state if name.startswith("encoder.layers.")})
    pre_logits = "heads.pre_logits.weight"
    with torch.device("meta"):
        model = VisionTransformer(
            image_size=(height, width),
            patch_size=patch_size,
            hidden=hidden,
            depth=depth,
            heads=default_heads(hidden) if heads is None else _dividing(hidden, heads),
            mlp=shape_of(state, "encoder.layers.encoder_layer_0.mlp.0.weight", 2)[0],
            class_count=shape_of(state, "heads.head.weight", 2)[0],
            prefix_tokens=prefix_tokens,
            representation_size=shape_of(state, pre_logits, 2)[0] if pre_logits in state else None,
        )
    positions = resampled_positions(
        state[_POSITIONS],
        (height // patch_size, width // patch_size),
        prefix_tokens=prefix_tokens,
        interpolation=interpolation,
    )
    name = _NAMES.get((hidden, depth, patch_size), "vit")
    fill(model, {**state, _POSITIONS: positions}, name)
    return model, name, trained


def default_heads(hidden: int) -> int:
    """Return the attention heads that published transformers of a hidden size have, since weights do not tell.

    64 dimensions a head below 1024; from there on 16 heads, whether large (1024), huge (1280), giant (1408) or
    gigantic (1664).

    Raises:
        CheckpointInvalid: there is no rule for this size.

    Source:
        Dosovitskiy et al., arXiv:2010.11929, table 1; Zhai et al., CVPR 2022, arXiv:2106.04560, table 2.

    >>> [default_heads(hidden) for hidden in (192, 768, 1024, 1280)]
    [3, 12, 16, 16]
    """
    if hidden >= 1024 and hidden % 16 == 0:
        return 16
    if hidden < 1024 and hidden % 64 == 0:
        return hidden // 64
    raise CheckpointInvalid(f"weights do not tell how many heads share a hidden size of {hidden}: heads must be given")


def _dividing(hidden: int, heads: int) -> int:
    if heads < 1 or hidden % heads:
        raise CheckpointInvalid(f"{heads} heads do not divide a hidden size of {hidden}")
    return heads
