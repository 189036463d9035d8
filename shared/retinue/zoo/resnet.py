"""ResNets as bodies of detectors, in the layout in which their weights are published.

Source:
    He et al., CVPR 2016, arXiv:1512.03385, table 1. The bottleneck's stride is at its 3x3 convolution, as published
    weights have it.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from torch import Tensor, nn
from torch.nn import functional

from retinue.zoo.body import Body
from retinue.zoo.classifier import initialise_convolutional

REPEATS: Mapping[int, tuple[int, int, int, int]] = MappingProxyType(
    {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
)
"""Blocks in each stage by depth; from 50 on they are bottlenecks."""
WIDTHS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, added to the input: keys ``conv1``, ``bn1``, ``conv2``, ``bn2``, ``downsample.{0,1}``.

    Args:
        in_channels: channels of the input [batch, in_channels, height, width].
        width: channels of the output.
        stride: of the first convolution.
        dilation: of the convolutions, which the wide ones of the last stage of some detectors have.
    """

    expansion = 1

    def __init__(self, in_channels: int, width: int, *, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _downsample(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, width, ceil(height / stride), ceil(width / stride)]."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up, added to the input: keys ``conv{1,2,3}``, ``bn{1,2,3}``, ``downsample.{0,1}``.

    Args:
        in_channels: channels of the input [batch, in_channels, height, width].
        width: channels inside; the output has four times as many.
        stride: of the 3x3 convolution.
        dilation: of the 3x3 convolution.
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, *, stride: int, dilation: int) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = _downsample(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, 4 width, ceil(height / stride), ceil(width / stride)]."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = functional.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(Body):
    """A stem of stride 4 and four stages of residual blocks: keys ``conv1``, ``bn1``, ``layer{1-4}.{i}.*``.

    Args:
        block: what the stages are made of.
        repeats: blocks in each stage.
        stem_channels: channels of the first convolution.
        widths: ``width`` of each stage's blocks.
        returned: numbers of the stages whose maps are returned, from 1, rising.
        is_dilated: whether the last stage keeps the size of the one before and dilates instead.

    >>> import torch
    >>> body = ResNet(BasicBlock, REPEATS[18], stem_channels=8, widths=(8, 16, 32, 64), returned=(2, 4)).eval()
    >>> body.channels, body.strides, [tuple(x.shape) for x in body(torch.zeros(1, 3, 64, 96))]
    ((16, 64), (8, 32), [(1, 16, 8, 12), (1, 64, 2, 3)])
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        repeats: Sequence[int],
        *,
        stem_channels: int = 64,
        widths: Sequence[int] = WIDTHS,
        returned: Sequence[int] = (1, 2, 3, 4),
        is_dilated: bool = False,
    ) -> None:
        super().__init__()
        strides = [1, 2, 2, 1 if is_dilated else 2]
        self.conv1 = nn.Conv2d(3, stem_channels, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        channels, total, reached = stem_channels, 4, {}
        for number, (width, count, stride) in enumerate(zip(widths, repeats, strides, strict=True), start=1):
            # The first block of a dilated stage still sees the undilated neighbourhood, as published.
            dilation = 2 if is_dilated and number == 4 else 1
            layers = [block(channels, width, stride=stride, dilation=1)]
            channels, total = width * block.expansion, total * stride
            layers += [block(channels, width, stride=1, dilation=dilation) for _ in range(count - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*layers))
            reached[number] = (channels, total)
        self.returned = tuple(returned)
        self.channels = tuple(reached[number][0] for number in returned)
        self.strides = tuple(reached[number][1] for number in returned)
        initialise_convolutional(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of the stages that are wanted."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        maps = []
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
            if number in self.returned:
                maps.append(x)
        return tuple(maps)

    @property
    def stem(self) -> nn.Conv2d:
        """The first convolution."""
        return self.conv1


def _downsample(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """Return what brings a block's input to the shape of its output, None where it has it already."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
