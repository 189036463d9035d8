"""A feature pyramid: coarse maps carried down to fine ones, so that every level knows what the coarsest has seen.

Source:
    Lin et al., CVPR 2017, arXiv:1612.03144, section 3.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from retinue.zoo.body import Body


class FeaturePyramid(nn.Module):
    """1x1 convolutions to one width, top-down addition, 3x3 convolutions: keys ``{inner,layer}_blocks.{i}.{0,1}.*``.

    Args:
        in_channels: channels of the body's maps, the finest first.
        out_channels: channels of every level.
        has_norm: whether each convolution is normalised, and then has no bias.

    >>> import torch
    >>> pyramid = FeaturePyramid((8, 16), 4)
    >>> [tuple(x.shape) for x in pyramid((torch.zeros(1, 8, 6, 10), torch.zeros(1, 16, 3, 5)))]
    [(1, 4, 6, 10), (1, 4, 3, 5)]
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256, *, has_norm: bool = False) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(
            _convolution(channels, out_channels, 1, has_norm=has_norm) for channels in in_channels
        )
        self.layer_blocks = nn.ModuleList(
            _convolution(out_channels, out_channels, 3, has_norm=has_norm) for _ in in_channels
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return one level [batch, out_channels, rows, columns] for each map, of the same rows and columns."""
        inner = [block(x) for block, x in zip(self.inner_blocks, maps, strict=True)]
        for index in range(len(inner) - 2, -1, -1):
            # To the exact size, not by a factor: odd sizes round up on their way down.
            above = functional.interpolate(inner[index + 1], inner[index].shape[-2:], mode="nearest")
            inner[index] = inner[index] + above
        return tuple(block(x) for block, x in zip(self.layer_blocks, inner, strict=True))


class PyramidBackbone(nn.Module):
    """A body and the pyramid over its maps: keys ``body.*`` and ``fpn.*``.

    Args:
        body: gives the maps.
        out_channels: channels of every level.
        has_norm: of the pyramid, see `FeaturePyramid`.
        has_pooled_level: whether there is one more level, the coarsest with every other row and column left out.
    """

    def __init__(
        self, body: Body, out_channels: int = 256, *, has_norm: bool = False, has_pooled_level: bool = True
    ) -> None:
        super().__init__()
        self.body = body
        self.has_pooled_level = has_pooled_level
        self.fpn = FeaturePyramid(body.channels, out_channels, has_norm=has_norm)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the levels of normalised pictures [batch, 3, height, width], the finest first."""
        levels: tuple[Tensor, ...] = self.fpn(self.body(x))
        return (*levels, functional.max_pool2d(levels[-1], 1, 2)) if self.has_pooled_level else levels


def _convolution(in_channels: int, out_channels: int, kernel_size: int, *, has_norm: bool) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=not has_norm)
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels)) if has_norm else nn.Sequential(convolution)
