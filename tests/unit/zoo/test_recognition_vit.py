from typing import Any

import pytest
import torch

from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.recognition_vit import default_heads, vision_transformer_of
from retinue.zoo.vision_transformer import VisionTransformer


def _state(**options: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    sizes = {"image_size": 16, "patch_size": 4, "hidden": 64, "depth": 2, "heads": 1, "class_count": 3}
    return dict(VisionTransformer(**{**sizes, **options}).state_dict())


def _of(state: dict[str, torch.Tensor], **options: Any) -> VisionTransformer:
    return vision_transformer_of(state, **{"heads": None, "image_size": None, "interpolation": "timm", **options})[0]


@pytest.mark.parametrize(
    "options", [{"mlp": 100}, {"prefix_tokens": 2}, {"representation_size": 7}, {"patch_size": 8}, {"depth": 11}]
)
def test_every_dimension_is_read_off(options: dict[str, int]) -> None:
    state = _state(**options)
    model = _of(state)
    assert {name: t.shape for name, t in model.state_dict().items()} == {name: t.shape for name, t in state.items()}
    assert model.image_size == (16, 16)


@pytest.mark.parametrize(("hidden", "heads"), [(192, 3), (384, 6), (768, 12), (1024, 16), (1280, 16), (1408, 16)])
def test_heads_follow_the_published_rule(hidden: int, heads: int) -> None:
    assert default_heads(hidden) == heads


def test_heads_of_an_unusual_size_must_be_given() -> None:
    state = _state(hidden=96, heads=3)
    with pytest.raises(CheckpointInvalid, match="heads must be given"):
        _of(state)
    assert _of(state, heads=3).encoder.layers[0].self_attention.heads == 3  # type: ignore[union-attr]  # a block


@pytest.mark.parametrize("heads", [0, -1, 7])
def test_heads_that_do_not_divide_are_refused(heads: int) -> None:
    with pytest.raises(CheckpointInvalid, match="do not divide"):
        _of(_state(), heads=heads)


def test_another_size_interpolates_positions() -> None:
    model = _of(_state(), image_size=(8, 32))
    assert model.image_size == (8, 32)
    assert model(torch.zeros(1, 3, 8, 32)).shape == (1, 3)


@pytest.mark.parametrize("size", [(15, 16), (2, 16), (16, 18)])
def test_a_size_of_broken_patches_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(CheckpointInvalid, match="no whole number of 4-pixel patches"):
        _of(_state(), image_size=size)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"conv_proj.weight": torch.zeros(64, 1, 4, 4)}, "1 channels"),
        ({"conv_proj.weight": torch.zeros(64, 3, 4, 8)}, "4x8 patches"),
        ({"conv_proj.weight": torch.zeros(64, 3)}, "conv_proj.weight has shape"),
        ({"encoder.pos_embedding": torch.zeros(1, 16, 64)}, "are no square"),
        ({"encoder.pos_embedding": torch.zeros(1, 1, 64)}, "are no square"),
        ({"encoder.pos_embedding": torch.zeros(1, 17, 5)}, "encoder.pos_embedding: has"),
        ({"class_token": torch.zeros(64)}, "class_token has shape"),
        ({"heads.head.weight": torch.zeros(64)}, "heads.head.weight has shape"),
        ({"encoder.layers.encoder_layer_99.ln_1.weight": torch.zeros(64)}, "missing: encoder.layers.encoder_layer_2"),
        ({"encoder.layers": torch.zeros(1)}, "unexpected: encoder.layers"),
        ({"encoder.layers.what": torch.zeros(1)}, "unexpected: encoder.layers.what"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, torch.Tensor], problem: str) -> None:
    with pytest.raises(CheckpointInvalid, match=problem):
        _of({**_state(), **change})
