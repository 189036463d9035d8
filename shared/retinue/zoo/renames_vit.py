"""Vision transformers under the names of today's torchvision, which are the zoo's, from older names and from timm's.

Every rule goes by the names alone, so that it works for files whose metadata was lost in conversion.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from retinue.zoo.errors import CheckpointInvalid

State = dict[str, Tensor]

_VIT_NAMES = {
    "cls_token": "class_token",
    "pos_embed": "encoder.pos_embedding",
    "patch_embed.proj.weight": "conv_proj.weight",
    "patch_embed.proj.bias": "conv_proj.bias",
    "norm.weight": "encoder.ln.weight",
    "norm.bias": "encoder.ln.bias",
    "pre_logits.fc.weight": "heads.pre_logits.weight",
    "pre_logits.fc.bias": "heads.pre_logits.bias",
    "head.weight": "heads.head.weight",
    "head.bias": "heads.head.bias",
}
_VIT_BLOCK_NAMES = {
    "norm1.weight": "ln_1.weight",
    "norm1.bias": "ln_1.bias",
    "attn.qkv.weight": "self_attention.in_proj_weight",
    "attn.qkv.bias": "self_attention.in_proj_bias",
    "attn.proj.weight": "self_attention.out_proj.weight",
    "attn.proj.bias": "self_attention.out_proj.bias",
    "norm2.weight": "ln_2.weight",
    "norm2.bias": "ln_2.bias",
    "mlp.fc1.weight": "mlp.0.weight",
    "mlp.fc1.bias": "mlp.0.bias",
    "mlp.fc2.weight": "mlp.3.weight",
    "mlp.fc2.bias": "mlp.3.bias",
}
_OLD_MLP = re.compile(r"(.*\.mlp\.)linear_([12])\.(weight|bias)")
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


def migrated(state: Mapping[str, Tensor]) -> State:
    """Return a torchvision vision transformer under today's names: the published files predate them.

    >>> list(migrated({"encoder.layers.encoder_layer_0.mlp.linear_2.bias": torch.zeros(1)}))
    ['encoder.layers.encoder_layer_0.mlp.3.bias']
    """

    def renamed(name: str) -> str:
        old = _OLD_MLP.fullmatch(name)
        return f"{old[1]}{'0' if old[2] == '1' else '3'}.{old[3]}" if old else name

    return {renamed(name): tensor for name, tensor in state.items()}


def vit_from_timm(state: Mapping[str, Tensor]) -> State:
    """Return a timm or DeiT vision transformer under the zoo's names, with the same answers.

    The rows of ``qkv`` are those of ``in_proj``. What timm has besides is made part of the weights around it: a layer
    scale multiplies the projection before it; positions without one for the class token get zeros for it; the two
    averaged heads of a distilled DeiT become one that sees both tokens. Names that are not known stay as they are.

    Raises:
        CheckpointInvalid: a distilled transformer lacks one of its parts, or shapes of parts do not fit each other.
    """
    state = dict(state)
    try:
        _fold_layer_scale(state)
        _join_distillation(state)
        _complete_positions(state)
    except (RuntimeError, IndexError) as error:
        raise CheckpointInvalid(f"parts of the vision transformer do not fit each other: {error}") from error
    return {_vit_name(name): tensor for name, tensor in state.items()}


def vit_to_timm(state: Mapping[str, Tensor]) -> State:
    """Return a vision transformer of the zoo under timm's names; the inverse of `vit_from_timm` for plain ones.

    >>> names = ["class_token", "encoder.layers.encoder_layer_3.self_attention.in_proj_bias"]
    >>> list(vit_to_timm(dict.fromkeys(names, torch.zeros(1))))
    ['cls_token', 'blocks.3.attn.qkv.bias']
    """
    outer = {ours: theirs for theirs, ours in _VIT_NAMES.items()}
    inner = {ours: theirs for theirs, ours in _VIT_BLOCK_NAMES.items()}

    def renamed(name: str) -> str:
        block = re.fullmatch(r"encoder\.layers\.encoder_layer_(\d+)\.(.+)", name)
        return f"blocks.{block[1]}.{inner.get(block[2], block[2])}" if block else outer.get(name, name)

    return {renamed(name): tensor for name, tensor in state.items()}


def _vit_name(name: str) -> str:
    block = _BLOCK.fullmatch(name)
    if block:
        return f"encoder.layers.encoder_layer_{block[1]}.{_VIT_BLOCK_NAMES.get(block[2], block[2])}"
    return _VIT_NAMES.get(name, name)


def _fold_layer_scale(state: State) -> None:
    """Multiply each residual branch's last projection by its scale: gamma * (W x + b) = (gamma W) x + gamma b."""
    for name in [name for name in state if re.fullmatch(r"blocks\.\d+\.ls[12]\.gamma", name)]:
        block, _, _ = name.rpartition(".ls")
        projection = f"{block}.attn.proj" if name.endswith("ls1.gamma") else f"{block}.mlp.fc2"
        if f"{projection}.weight" in state and f"{projection}.bias" in state:
            gamma = state.pop(name)
            state[f"{projection}.weight"] = gamma[:, None] * state[f"{projection}.weight"]
            state[f"{projection}.bias"] = gamma * state[f"{projection}.bias"]


def _join_distillation(state: State) -> None:
    """Make one class token of two and one head, the mean of two, that sees both.

    Source:
        Touvron et al., ICML 2021, arXiv:2012.12877, section 4: both classifiers are added at test time.
    """
    parts = ("dist_token", "head_dist.weight", "head_dist.bias")
    present = [name for name in parts if name in state]
    if not present:
        return
    needed = (*parts, "cls_token", "head.weight", "head.bias")
    missing = [name for name in needed if name not in state]
    if missing:
        raise CheckpointInvalid(f"a distilled transformer needs {', '.join(needed)}; missing: {', '.join(missing)}")
    token, weight, bias = (state.pop(name) for name in parts)
    state["cls_token"] = torch.cat([state["cls_token"], token], 1)
    state["head.weight"] = torch.cat([state["head.weight"], weight], 1) / 2
    state["head.bias"] = (state["head.bias"] + bias) / 2


def _complete_positions(state: State) -> None:
    """Give zero positions to prefix tokens that have none: then the patches alone are a square."""
    if "pos_embed" not in state or "cls_token" not in state or state["pos_embed"].ndim != 3:
        return
    positions = state["pos_embed"]
    if positions.shape[1] > 1 and int(positions.shape[1] ** 0.5) ** 2 == positions.shape[1]:
        state["pos_embed"] = torch.cat([torch.zeros_like(positions[:, : state["cls_token"].shape[1]]), positions], 1)
