import pytest
import torch
from torch import nn
from torch.nn import functional

from retinue.zoo.blocks import CoordinateAttention, SqueezeExcitation
from retinue.zoo.unet import Attention, UNet, Up, published_decoder_widths


def tiny_unet(class_count: int = 3, seed: int = 0, **options: object) -> UNet:
    """Return a small UNet whose normalisation has seen something."""
    torch.manual_seed(seed)
    model = UNet(class_count, **{"widths": (4, 6, 8), **options})  # type: ignore[arg-type]  # options differ in type
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(2, model.in_channels, 16, 16))
    return model.eval()


def test_published_sizes_have_the_published_number_of_weights_and_keys() -> None:
    with torch.device("meta"):
        plain, bilinear = UNet(2), UNet(2, widths=(64, 128, 256, 512, 512), is_bilinear=True)
    for model, weights, keys in ((plain, 31_037_698, 118), (bilinear, 17_263_042, 110)):
        assert sum(weight.numel() for weight in model.parameters()) == weights
        assert len(model.state_dict()) == keys


@pytest.mark.parametrize("is_bilinear", [False, True])
@pytest.mark.parametrize("size", [(8, 8), (9, 15), (31, 22), (4, 5)])
def test_answers_have_the_size_of_the_picture(size: tuple[int, int], *, is_bilinear: bool) -> None:
    assert tiny_unet(is_bilinear=is_bilinear)(torch.rand(2, 3, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2)])
def test_small_pictures_are_continued_by_their_last_row_and_column(size: tuple[int, int]) -> None:
    model, x = tiny_unet(), torch.rand(1, 3, *size)
    height, width = (max(side, 4) for side in size)
    rows, columns = torch.arange(height).clamp(max=size[0] - 1), torch.arange(width).clamp(max=size[1] - 1)
    continued = x[:, :, rows][:, :, :, columns]
    assert torch.equal(model(x), model(continued)[:, :, : size[0], : size[1]])


def test_what_is_upsampled_comes_after_its_skip_and_is_padded_at_the_end() -> None:
    torch.manual_seed(0)
    up = Up(4, 2, 3, 3).eval()
    x, skip = torch.rand(1, 4, 2, 3), torch.rand(1, 2, 5, 7)
    expected = up.conv(torch.cat([skip, functional.pad(up.up(x), [0, 1, 0, 1])], 1))
    assert torch.equal(up(x, skip), expected)


def test_upsampling_is_bilinear_with_corners_aligned() -> None:
    up = Up(1, 1, 2, 2, is_bilinear=True)
    out = up.up(torch.tensor([[[[0.0, 3.0]]]]))
    assert out[0, 0, 0].tolist() == [0, 1, 2, 3]


def test_attention_and_dilated_convolutions_are_where_they_are_asked_for() -> None:
    kinds: dict[Attention, type[nn.Module]] = {"squeeze": SqueezeExcitation, "coordinate": CoordinateAttention}
    for kind, module in kinds.items():
        model = tiny_unet(attention=kind, dilated_count=3)
        assert [type(one) for one in model.attentions] == [module] * 3
        dilations = [part.dilation for part in model.bottleneck.modules() if isinstance(part, nn.Conv2d)]
        assert dilations == [(1, 1), (2, 2), (4, 4)]
        assert model(torch.rand(1, 3, 17, 12)).shape == (1, 3, 17, 12)
    assert not [name for name in tiny_unet().state_dict() if name.startswith(("attentions", "bottleneck"))]


@pytest.mark.parametrize("options", [{"attention": "squeeze"}, {"attention": "coordinate"}, {"dilated_count": 2}])
def test_every_weight_of_an_option_is_learnt(options: dict[str, object]) -> None:
    model = tiny_unet(**options).train()  # type: ignore[arg-type]  # options differ in type
    model(torch.rand(2, 3, 16, 16)).square().sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_a_single_level_is_no_unet() -> None:
    with pytest.raises(ValueError, match="two levels"):
        UNet(2, widths=(8,))
    with pytest.raises(ValueError, match="2 upsamplings, not 1"):
        UNet(2, widths=(8, 16, 32), decoder_widths=[(8, 8)])


def test_decoders_have_the_published_widths() -> None:
    assert published_decoder_widths((64, 128, 256, 512, 512), is_bilinear=True) == [
        (512, 256),
        (256, 128),
        (128, 64),
        (64, 64),
    ]


def test_the_stem_sees_the_picture() -> None:
    assert tiny_unet(in_channels=1).stem.in_channels == 1
