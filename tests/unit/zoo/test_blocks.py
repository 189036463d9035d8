import pytest
import torch
from torch import nn

from retinue.zoo.blocks import (
    ConvNormActivation,
    CoordinateAttention,
    DepthwiseSeparableConvolution,
    DilatedConvolution,
    SqueezeExcitation,
    divisible,
)


@pytest.mark.parametrize(
    ("channels", "expected"), [(1, 8), (16, 16), (18, 24), (20, 24), (12, 16), (27, 32), (26.4, 24)]
)
def test_channels_round_to_eight_but_lose_at_most_a_tenth(channels: float, expected: int) -> None:
    assert divisible(channels) == expected


@pytest.mark.parametrize(
    ("kernel_size", "stride", "dilation"), [(1, 1, 1), (3, 1, 1), (5, 1, 1), (3, 2, 1), (5, 2, 1), (3, 1, 4)]
)
def test_padding_keeps_the_size_up_to_the_stride(kernel_size: int, stride: int, dilation: int) -> None:
    block = ConvNormActivation(3, 4, kernel_size, stride=stride, dilation=dilation).eval()
    assert block(torch.zeros(1, 3, 11, 14)).shape == (1, 4, -(-11 // stride), 14 // stride)


def test_activation_can_be_left_out() -> None:
    assert len(ConvNormActivation(3, 4, activation=None)) == 2


def test_dilated_convolution_looks_at_taps_a_rate_apart() -> None:
    """An impulse answers at the taps only: rate - 1 zeros lie between them."""
    block = DilatedConvolution(1, 1, rate=3).eval()
    nn.init.ones_(block.get_parameter("0.weight"))
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[0, 0, 4, 4] = 1
    rows = block(impulse)[0, 0].sum(1).nonzero().flatten().tolist()
    assert rows == [1, 4, 7]


def test_dilation_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="rate must be at least 1, not 0"):
        DilatedConvolution(1, 1, rate=0)


def test_depthwise_separable_convolution_costs_a_part_of_the_full_one() -> None:
    """1/N + 1/k² of the multiplications, section 3.1 of the paper."""
    block = DepthwiseSeparableConvolution(32, 64, kernel_size=3)
    weights = sum(weight.numel() for weight in block.parameters() if weight.ndim == 4)
    assert weights / (32 * 64 * 9) == pytest.approx(1 / 64 + 1 / 9)


def test_squeeze_and_excitation_scales_each_channel_by_one_number() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 8, 5, 7) + 0.1
    ratio = SqueezeExcitation(8, 4)(x) / x
    assert torch.allclose(ratio, ratio[:, :, :1, :1].expand_as(ratio))
    assert bool(((ratio >= 0) & (ratio <= 1)).all())


def test_coordinate_attention_gates_rows_and_columns_on_their_own() -> None:
    """The gate is an outer product: of rank one in every channel."""
    torch.manual_seed(0)
    x = torch.rand(1, 16, 5, 7) + 0.1
    ratio = (CoordinateAttention(16).eval()(x) / x)[0]
    product = ratio[:, :, :1] * ratio[:, :1, :] / ratio[:, :1, :1]
    assert torch.allclose(ratio, product, atol=1e-5)  # two float32 divisions apart


def test_coordinate_attention_turns_with_the_picture() -> None:
    """With both gates alike, transposing the picture transposes the answer."""
    torch.manual_seed(0)
    block = CoordinateAttention(16).eval()
    block.gate_columns.load_state_dict(block.gate_rows.state_dict())
    x = torch.rand(1, 16, 5, 7)
    assert torch.allclose(block(x.transpose(2, 3)), block(x).transpose(2, 3), atol=1e-6)


def test_coordinate_attention_has_the_normalised_bottleneck_of_the_paper() -> None:
    block = CoordinateAttention(512, reduction=32)
    assert block.norm.num_features == 16
    assert isinstance(block.activation, nn.Hardswish)
    assert CoordinateAttention(64).norm.num_features == 8
