"""The convolution blocks that the zoo's architectures are built of, each by its paper.

Parameter names follow the layout in which weights of these blocks are published, so that checkpoints load unchanged.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Callable[..., nn.Module]


def divisible(channels: float, divisor: int = 8) -> int:
    """Return a channel count rounded to a multiple of ``divisor``, never below 90 % of what was asked.

    Args:
        channels: wanted channel count, positive; a width multiplier makes it fractional.
        divisor: what the result is a multiple of, at least 1.

    Returns:
        The nearest multiple, halves up, at least ``divisor``; the next one where rounding down took more than 10 %.

    Source:
        Sandler et al., CVPR 2018, arXiv:1801.04381, reference implementation.

    >>> [divisible(c) for c in (3, 18, 24, 33.6)]
    [8, 24, 24, 32]
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class ConvNormActivation(nn.Sequential):
    """A convolution without bias, batch normalisation, an activation: keys ``0.weight`` and ``1.*``.

    Args:
        in_channels: channels of the input [batch, in_channels, height, width].
        out_channels: channels of the output.
        kernel_size: odd side of the kernel, pixels; padding keeps the size at stride 1.
        stride: step, pixels; the output has ``ceil(side / stride)`` rows and columns.
        dilation: distance between taps, pixels; 1 is dense.
        groups: ``in_channels`` makes it depthwise.
        activation: builds the activation; None leaves it out.
        eps: batch normalisation's epsilon.
        momentum: batch normalisation's momentum.

    Source:
        Ioffe and Szegedy, ICML 2015, arXiv:1502.03167, section 3.2: the bias is subsumed by the normalisation.
    """

    def __init__(  # noqa: PLR0913 - a convolution has as many knobs
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        activation: Activation | None = nn.ReLU,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        padding = (kernel_size - 1) // 2 * dilation
        convolution = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, dilation=dilation, groups=groups, bias=False
        )
        layers: list[nn.Module] = [convolution, nn.BatchNorm2d(out_channels, eps, momentum)]
        if activation is not None:
            layers.append(activation())
        super().__init__(*layers)


class DilatedConvolution(ConvNormActivation):
    """An atrous convolution: the field of view grows with ``rate``, parameters and resolution stay.

    ``rate - 1`` zeros lie between neighbouring taps, so a kernel of side k sees ``k + (k - 1)(rate - 1)`` pixels.

    Args:
        in_channels: channels of the input [batch, in_channels, height, width].
        out_channels: channels of the output [batch, out_channels, height, width].
        rate: distance between taps, pixels, at least 1.
        kernel_size: odd number of taps along a side.

    Raises:
        ValueError: ``rate`` is below 1.

    Source:
        Chen et al., TPAMI 2018, arXiv:1606.00915, section 3.1.

    >>> DilatedConvolution(3, 8, rate=4).eval()(torch.zeros(1, 3, 9, 9)).shape
    torch.Size([1, 8, 9, 9])
    """

    def __init__(self, in_channels: int, out_channels: int, *, rate: int, kernel_size: int = 3) -> None:
        if rate < 1:
            raise ValueError(f"rate must be at least 1, not {rate}")
        super().__init__(in_channels, out_channels, kernel_size, dilation=rate)


class DepthwiseSeparableConvolution(nn.Sequential):
    """A depthwise convolution, then a pointwise one, each with normalisation and activation: keys ``0.*`` and ``1.*``.

    Costs ``1/out_channels + 1/kernel_size²`` of the full convolution's multiplications.

    Args:
        in_channels: channels of the input [batch, in_channels, height, width].
        out_channels: channels of the output.
        stride: step of the depthwise part, pixels.
        kernel_size: odd side of the depthwise kernel, pixels.
        activation: builds the activation after each of the two.

    Source:
        Howard et al., 2017, arXiv:1704.04861, section 3.1, figure 3 right.

    >>> block = DepthwiseSeparableConvolution(32, 64)
    >>> [tuple(weight.shape) for weight in block.parameters() if weight.ndim == 4]
    [(32, 1, 3, 3), (64, 32, 1, 1)]
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        kernel_size: int = 3,
        activation: Activation | None = nn.ReLU,
    ) -> None:
        super().__init__(
            ConvNormActivation(
                in_channels, in_channels, kernel_size, stride=stride, groups=in_channels, activation=activation
            ),
            ConvNormActivation(in_channels, out_channels, 1, activation=activation),
        )


class SqueezeExcitation(nn.Module):
    """Channels weighted by a gate that sees the whole picture: keys ``fc1.*`` and ``fc2.*``.

    Args:
        channels: channels of input and output [batch, channels, height, width].
        squeeze_channels: width of the bottleneck.
        activation: builds the bottleneck's activation.
        gate: builds the function that maps to [0, 1].

    Source:
        Hu et al., CVPR 2018, arXiv:1709.01507, section 3; the hard gate is MobileNetV3's, arXiv:1905.02244, section 5.

    >>> SqueezeExcitation(16, 8)(torch.ones(2, 16, 5, 5)).shape
    torch.Size([2, 16, 5, 5])
    """

    def __init__(
        self,
        channels: int,
        squeeze_channels: int,
        *,
        activation: Activation = nn.ReLU,
        gate: Activation = nn.Hardsigmoid,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, channels, 1)
        self.activation = activation()
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with every channel scaled by its gate."""
        scale: Tensor = self.gate(self.fc2(self.activation(self.fc1(functional.adaptive_avg_pool2d(x, 1)))))
        return x * scale


class CoordinateAttention(nn.Module):
    """Positions weighted by two gates, one along each axis, that keep where along the axis things are.

    Both axes share one bottleneck with batch normalisation and h-swish, as in the paper.

    Args:
        channels: channels of input and output [batch, channels, height, width].
        reduction: the bottleneck has ``max(8, channels // reduction)`` channels.

    Source:
        Hou et al., CVPR 2021, arXiv:2103.02907, section 3.2, equations 4 to 9.

    >>> CoordinateAttention(64)(torch.ones(2, 64, 5, 7)).shape
    torch.Size([2, 64, 5, 7])
    """

    def __init__(self, channels: int, reduction: int = 32) -> None:
        super().__init__()
        squeeze_channels = max(8, channels // reduction)
        self.squeeze = nn.Conv2d(channels, squeeze_channels, 1)
        self.norm = nn.BatchNorm2d(squeeze_channels)
        self.activation = nn.Hardswish()
        self.gate_rows = nn.Conv2d(squeeze_channels, channels, 1)
        self.gate_columns = nn.Conv2d(squeeze_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` scaled at row i and column j by both axes' gates."""
        height, width = x.shape[2:]
        rows = x.mean(3, keepdim=True)  # [batch, channels, height, 1]
        columns = x.mean(2, keepdim=True).transpose(2, 3)  # [batch, channels, width, 1]
        # One pass over both, not two: in training they must share the statistics of the normalisation.
        both = self.activation(self.norm(self.squeeze(torch.cat([rows, columns], 2))))
        rows, columns = both.split([height, width], 2)
        row_gate: Tensor = self.gate_rows(rows).sigmoid()
        column_gate: Tensor = self.gate_columns(columns.transpose(2, 3)).sigmoid()
        return x * row_gate * column_gate
