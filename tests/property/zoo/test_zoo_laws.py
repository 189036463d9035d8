"""Laws of the zoo, whatever the numbers."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retinue.zoo.attention import MultiHeadAttention
from retinue.zoo.blocks import divisible
from retinue.zoo.mobilenet_v2 import MobileNetV2
from retinue.zoo.mobilenet_v3 import SMALL, MobileNetV3
from retinue.zoo.positions import Interpolation, resampled_positions
from retinue.zoo.recognition import recognise
from retinue.zoo.recognition_vit import vision_transformer_of
from retinue.zoo.renames_vit import vit_from_timm, vit_to_timm
from retinue.zoo.vision_transformer import VisionTransformer

few = settings(max_examples=15, deadline=None)  # each builds a network
ways = st.sampled_from(("torchvision", "timm"))


@given(st.floats(1, 5000), st.integers(1, 64))
def test_divisible_is_a_near_multiple(channels: float, divisor: int) -> None:
    rounded = divisible(channels, divisor)
    assert rounded % divisor == 0
    assert rounded >= max(divisor, 0.9 * channels)
    assert rounded <= channels + divisor


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2), ways)
def test_constant_positions_stay_constant_on_any_grid(
    rows: int, columns: int, height: int, width: int, prefix: int, way: Interpolation
) -> None:
    """Bicubic weights sum to one, at borders too."""
    positions = torch.full((1, prefix + rows * columns, 3), 0.7)
    resampled = resampled_positions(
        positions, (height, width), source_grid=(rows, columns), prefix_tokens=prefix, interpolation=way
    )
    assert resampled.shape == (1, prefix + height * width, 3)
    assert np.allclose(resampled.numpy(), 0.7, atol=1e-5)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_attention_does_not_care_for_the_order_of_its_sources(heads: int, size: int, tokens: int, seed: int) -> None:
    torch.manual_seed(seed)
    attention = MultiHeadAttention(heads * size, heads=heads).eval()
    query, source = torch.randn(1, 2, heads * size), torch.randn(1, tokens, heads * size)
    shuffled = source[:, torch.randperm(tokens)]
    with torch.inference_mode():
        assert torch.allclose(attention(query, source), attention(query, shuffled), atol=1e-5)


@few
@given(st.floats(0.1, 0.6), st.integers(1, 20), st.integers(1, 50))
def test_any_mobilenet_is_recognised_from_its_weights(width: float, classes: int, last: int) -> None:
    for model in (
        MobileNetV2(width=width, class_count=classes),
        MobileNetV3(SMALL, width=width, class_count=classes, last_channels=last),
    ):
        found = recognise(model.state_dict()).model
        x = torch.rand(1, 3, 32, 32)
        with torch.inference_mode():
            assert torch.equal(found(x), model.eval()(x))


@few
@given(
    grid=st.integers(1, 4),
    patch_size=st.integers(1, 5),
    heads=st.integers(1, 3),
    size=st.integers(1, 8),
    depth=st.integers(1, 3),
    mlp=st.integers(1, 20),
    prefix_tokens=st.integers(1, 2),
    classes=st.integers(1, 5),
)
def test_any_transformer_is_recognised_from_its_weights(  # noqa: PLR0917 - drawn
    grid: int, patch_size: int, heads: int, size: int, depth: int, mlp: int, prefix_tokens: int, classes: int
) -> None:
    model = VisionTransformer(
        image_size=grid * patch_size,
        patch_size=patch_size,
        hidden=heads * size,
        depth=depth,
        heads=heads,
        mlp=mlp,
        class_count=classes,
        prefix_tokens=prefix_tokens,
    ).eval()
    torch.nn.init.normal_(model.head.weight)
    there_and_back = vit_from_timm(vit_to_timm(model.state_dict()))
    found, _, trained = vision_transformer_of(there_and_back, heads=heads, image_size=None, interpolation="timm")
    assert trained == (grid * patch_size, grid * patch_size)
    pictures = torch.rand(3, 3, *trained)
    with torch.inference_mode():
        batched = model(pictures)
        assert torch.equal(found(pictures), batched)
        single = torch.cat([model(picture[None]) for picture in pictures])
    assert torch.allclose(batched, single, atol=1e-4)  # other kernels for other batch sizes
