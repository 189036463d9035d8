"""A slim body of plain 3x3 convolutions, for detectors and segmenters that are trained on a CPU in minutes."""

from collections.abc import Sequence

from torch import Tensor, nn

from retinue.zoo.blocks import ConvNormActivation
from retinue.zoo.body import Body
from retinue.zoo.classifier import initialise_convolutional


class PlainTrunk(Body):
    """Stages of 3x3 convolutions with normalisation, each halving the size: keys ``stages.{i}.{j}.{0,1}.*``.

    Args:
        channels: of each stage; the maps of all but the first, at strides 4, 8, 16 …, are returned.
        depth: convolutions in each stage, the first of stride 2.

    Raises:
        ValueError: there are fewer than two stages.

    >>> import torch
    >>> body = PlainTrunk((24, 48, 96, 128)).eval()
    >>> body.strides, [tuple(x.shape) for x in body(torch.zeros(1, 3, 64, 96))]
    ((4, 8, 16), [(1, 48, 16, 24), (1, 96, 8, 12), (1, 128, 4, 6)])
    """

    def __init__(self, channels: Sequence[int], *, depth: int = 2) -> None:
        super().__init__()
        if len(channels) < 2:
            raise ValueError(f"a trunk has at least two stages, not {len(channels)}")
        before = (3, *channels[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                ConvNormActivation(first, out, stride=2), *(ConvNormActivation(out, out) for _ in range(depth - 1))
            )
            for first, out in zip(before, channels, strict=True)
        )
        self.channels = tuple(channels[1:])
        self.strides = tuple(4 << index for index in range(len(channels) - 1))
        initialise_convolutional(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of all stages but the first."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps[1:])

    @property
    def stem(self) -> nn.Conv2d:
        """The first convolution."""
        return self.get_submodule("stages.0.0.0")  # type: ignore[return-value]  # built above
