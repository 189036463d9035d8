"""UNets of any depth and width, in the layout in which milesial's are published.

Source:
    Ronneberger et al., MICCAI 2015, arXiv:1505.04597, with padded convolutions and batch normalisation. Names, the
    order [skip, up] of what is joined, and the padding of what is upsampled to its skip are those of published weights.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from retinue.zoo.blocks import CoordinateAttention, DilatedConvolution, SqueezeExcitation
from retinue.zoo.classifier import initialise_convolutional

Attention = Literal["none", "squeeze", "coordinate"]
WIDTHS = (64, 128, 256, 512, 1024)
_SQUEEZE = 4


class DoubleConvolution(nn.Module):
    """Two 3x3 convolutions with normalisation and ReLU: keys ``double_conv.{0,1,3,4}``.

    Args:
        in_channels: channels of the input [batch, in_channels, height, width].
        mid_channels: channels between the two.
        out_channels: channels of the output [batch, out_channels, height, width].
        has_bias: whether the convolutions have one, which the normalisation makes idle; old weights do.
    """

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int, *, has_bias: bool = False) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, 3, padding=1, bias=has_bias),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(),
            nn.Conv2d(mid_channels, out_channels, 3, padding=1, bias=has_bias),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same height and width."""
        out: Tensor = self.double_conv(x)
        return out


class Down(nn.Module):
    """Half the height and width, rounded down, and a double convolution: keys ``maxpool_conv.1.double_conv.*``."""

    def __init__(self, in_channels: int, out_channels: int, *, has_bias: bool = False) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(
            nn.MaxPool2d(2), DoubleConvolution(in_channels, out_channels, out_channels, has_bias=has_bias)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, out_channels, height // 2, width // 2]; both must be 2 at least."""
        out: Tensor = self.maxpool_conv(x)
        return out


class Up(nn.Module):
    """Twice the height and width, joined to the skip, and a double convolution: keys ``up.*``, ``conv.double_conv.*``.

    Args:
        in_channels: channels of the coarse map.
        skip_channels: channels of the skip; a transposed convolution gives as many.
        mid_channels: channels between the two convolutions.
        out_channels: channels of the output.
        is_bilinear: whether to upsample bilinearly, corners aligned, instead of by a transposed convolution.
        has_bias: whether the two convolutions have one.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        mid_channels: int,
        out_channels: int,
        *,
        is_bilinear: bool = False,
        has_bias: bool = False,
    ) -> None:
        super().__init__()
        if is_bilinear:
            self.up: nn.Module = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            joined = in_channels + skip_channels
        else:
            self.up = nn.ConvTranspose2d(in_channels, skip_channels, 2, 2)
            joined = 2 * skip_channels
        self.conv = DoubleConvolution(joined, mid_channels, out_channels, has_bias=has_bias)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return a map [batch, out_channels, height, width] of the skip's height and width.

        Args:
            x: [batch, in_channels, height // 2, width // 2], the coarse map.
            skip: [batch, skip_channels, height, width].
        """
        x = self.up(x)
        # An odd side was rounded down by one: a row or column of zeros at the end takes its place.
        x = functional.pad(x, [0, skip.shape[3] - x.shape[3], 0, skip.shape[2] - x.shape[2]])
        out: Tensor = self.conv(torch.cat([skip, x], 1))
        return out


class Head(nn.Module):
    """The 1x1 convolution to the logits: keys ``conv.*``."""

    def __init__(self, in_channels: int, class_count: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, class_count, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, class_count, height, width]."""
        out: Tensor = self.conv(x)
        return out


class UNet(nn.Module):
    """A UNet: keys ``inc.*``, ``down{i}.*``, ``up{i}.*``, ``outc.*``; of options ``attentions.*``, ``bottleneck.*``.

    Args:
        class_count: channels of the logits.
        in_channels: channels of the pictures.
        widths: channels of each level, from the full size to the coarsest; at least two.
        is_bilinear: whether to upsample bilinearly, otherwise by transposed convolutions. Published bilinear ones have
            half of the width at the coarsest level: 64, 128, 256, 512, 512.
        decoder_widths: for each upsampling the channels between its two convolutions and after them. Default: as
            published: the level's own; bilinear: half of what is joined, and then the next finer level's.
        has_bias: whether double convolutions have biases.
        attention: what weights the channels of each level, before it is passed on: squeeze and excitation, or
            coordinate attention. Both look at the whole picture, so that a tile answers otherwise than the picture.
        dilated_count: so many dilated convolutions, of rates 1, 2, 4 and so on, at the coarsest level, whose sum with
            their input goes on: a wider view for few weights.

    Raises:
        ValueError: there are fewer than two levels, or not as many ``decoder_widths`` as upsamplings.

    >>> UNet(2, widths=(4, 8, 16))(torch.zeros(1, 3, 13, 10)).shape
    torch.Size([1, 2, 13, 10])
    """

    def __init__(  # noqa: PLR0913 - all that one differs in from another
        self,
        class_count: int,
        *,
        in_channels: int = 3,
        widths: Sequence[int] = WIDTHS,
        is_bilinear: bool = False,
        decoder_widths: Sequence[tuple[int, int]] | None = None,
        has_bias: bool = False,
        attention: Attention = "none",
        dilated_count: int = 0,
    ) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ValueError(f"a UNet has two levels at least, not widths {list(widths)}")
        if decoder_widths is None:
            decoder_widths = published_decoder_widths(widths, is_bilinear=is_bilinear)
        if len(decoder_widths) != len(widths) - 1:
            raise ValueError(f"{len(widths)} levels have {len(widths) - 1} upsamplings, not {len(decoder_widths)}")
        self.depth = len(widths) - 1
        self.in_channels = in_channels
        self.class_count = class_count
        self.inc = DoubleConvolution(in_channels, widths[0], widths[0], has_bias=has_bias)
        for level in range(1, len(widths)):
            self.add_module(f"down{level}", Down(widths[level - 1], widths[level], has_bias=has_bias))
        coarse = widths[-1]
        for number, (mid, out) in enumerate(decoder_widths, start=1):
            up = Up(coarse, widths[-1 - number], mid, out, is_bilinear=is_bilinear, has_bias=has_bias)
            self.add_module(f"up{number}", up)
            coarse = out
        self.outc = Head(coarse, class_count)
        self.attentions = nn.ModuleList(_attention(attention, width) for width in widths if attention != "none")
        self.bottleneck = nn.Sequential(
            *(DilatedConvolution(widths[-1], widths[-1], rate=2**index) for index in range(dilated_count))
        )
        initialise_convolutional(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [batch, class_count, height, width].

        Args:
            x: float32 [batch, in_channels, height, width], normalised as the weights were trained; any size. What is
                too small for all levels is continued by its last row and column to ``2 ** depth`` pixels.
        """
        height, width = x.shape[2], x.shape[3]
        x = _at_least(x, self.stride_px)
        skips = [self._weighted(0, self.inc(x))]
        for level in range(1, self.depth + 1):
            skips.append(self._weighted(level, self.get_submodule(f"down{level}")(skips[-1])))
        x = skips.pop()
        if len(self.bottleneck):
            x = x + self.bottleneck(x)
        for number in range(1, self.depth + 1):
            x = self.get_submodule(f"up{number}")(x, skips.pop())
        logits: Tensor = self.outc(x)
        return logits[:, :, :height, :width]

    @property
    def stride_px(self) -> int:
        """By which multiples a picture may be shifted for its logits to be shifted likewise, away from its edges.

        Bilinear upsampling with its corners aligned is shifted nearly so only, and attention looks at all at once.
        """
        return 1 << self.depth

    @property
    def stem(self) -> nn.Conv2d:
        """The first convolution, which alone sees the picture."""
        stem = self.inc.double_conv[0]
        if not isinstance(stem, nn.Conv2d):
            raise TypeError(f"the first layer is a {type(stem).__name__}")
        return stem

    def _weighted(self, level: int, x: Tensor) -> Tensor:
        return self.attentions[level](x) if len(self.attentions) else x


def published_decoder_widths(widths: Sequence[int], *, is_bilinear: bool) -> list[tuple[int, int]]:
    """Return for each upsampling the channels between its two convolutions and after them, as published UNets have it.

    >>> published_decoder_widths((64, 128, 256), is_bilinear=False)
    [(128, 128), (64, 64)]
    >>> published_decoder_widths((64, 128, 128), is_bilinear=True)
    [(128, 64), (64, 64)]
    """
    if not is_bilinear:
        return [(width, width) for width in reversed(widths[:-1])]
    pairs, coarse = [], widths[-1]
    for level in range(len(widths) - 2, -1, -1):
        out = widths[max(0, level - 1)]
        pairs.append(((coarse + widths[level]) // 2, out))
        coarse = out
    return pairs


def _attention(kind: Attention, channels: int) -> nn.Module:
    if kind == "squeeze":
        return SqueezeExcitation(channels, max(1, channels // _SQUEEZE))
    return CoordinateAttention(channels)


def _at_least(x: Tensor, side: int) -> Tensor:
    """Return maps continued by their last row and column up to a side, where they are smaller."""
    height, width = x.shape[2], x.shape[3]
    if torch.onnx.is_in_onnx_export():  # sizes are not known yet: by how much is part of the graph
        below, beside = (torch.clamp(side - torch.as_tensor(length), min=0) for length in (height, width))
        return functional.pad(x, [0, beside, 0, below], mode="replicate")  # type: ignore[list-item]
    if height >= side and width >= side:
        return x
    return functional.pad(x, [0, max(0, side - width), 0, max(0, side - height)], mode="replicate")
