from collections.abc import Callable

import pytest
import torch

from retinue.zoo.vision_transformer import VisionTransformer
from tests.unit.zoo.conftest import Golden


def _small(**options: object) -> VisionTransformer:
    torch.manual_seed(0)
    sizes = {"image_size": 16, "patch_size": 4, "hidden": 24, "depth": 2, "heads": 3, "class_count": 5}
    model = VisionTransformer(**{**sizes, **options}).eval()  # type: ignore[arg-type]  # whatever the test asks for
    torch.nn.init.normal_(model.head.weight)
    return model


def test_base_has_the_published_names_in_order(golden: Callable[[str], Golden]) -> None:
    with torch.device("meta"):
        model = VisionTransformer(hidden=768, depth=12)
    published = golden("vit_b_16").state
    assert {name: t.shape for name, t in model.state_dict().items()} == {name: t.shape for name, t in published.items()}
    assert list(model.state_dict()) == list(published)
    assert len(published) == 152
    assert sum(weight.numel() for weight in model.parameters()) == 86_567_656


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"hidden": 768, "depth": 12, "patch_size": 32}, 88_224_232),
        ({"hidden": 1024, "depth": 24, "heads": 16}, 304_326_632),
        ({"hidden": 1280, "depth": 32, "heads": 16, "patch_size": 14}, 632_045_800),
        ({"hidden": 768, "depth": 12, "image_size": 384}, 86_859_496),
        ({"hidden": 192, "depth": 12}, 5_717_416),
    ],
)
def test_other_sizes_have_the_published_number_of_parameters(options: dict[str, int], parameters: int) -> None:
    with torch.device("meta"):
        model = VisionTransformer(**options)
    assert sum(weight.numel() for weight in model.parameters()) == parameters


def test_normalises_with_the_published_epsilon() -> None:
    assert {m.eps for m in _small().modules() if isinstance(m, torch.nn.LayerNorm)} == {1e-6}


def test_short_cut_of_the_last_block_changes_nothing() -> None:
    """The class token is the same as with every token carried to the end."""
    model = _small()
    x = torch.randn(2, 3, 16, 16)
    tokens = torch.cat([model.class_token.expand(2, -1, -1), model.conv_proj(x).flatten(2).transpose(1, 2)], 1)
    tokens = model.encoder.ln(model.encoder.layers(tokens + model.encoder.pos_embedding))
    assert torch.allclose(model(x), model.head(tokens[:, 0]), atol=1e-5)  # float32 sums in another order


def test_two_prefix_tokens_meet_in_one_head() -> None:
    model = _small(prefix_tokens=2)
    logits, embedding = model.forward_features(torch.randn(2, 3, 16, 16))
    assert embedding.shape == (2, 48)
    assert logits.shape == (2, 5)


def test_representation_size_adds_a_layer_before_the_logits() -> None:
    model = _small(representation_size=9)
    _, embedding = model.forward_features(torch.randn(2, 3, 16, 16))
    assert embedding.shape == (2, 9)
    assert float(embedding.detach().abs().max()) <= 1
    assert "heads.pre_logits.weight" in model.state_dict()


@pytest.mark.parametrize("size", [17, (16, 18), 2, (0, 16)])
def test_pictures_must_be_whole_patches(size: int | tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no whole number of 4-pixel patches"):
        _small(image_size=size)


def test_pictures_may_be_oblong() -> None:
    assert _small(image_size=(8, 24))(torch.randn(1, 3, 8, 24)).shape == (1, 5)
