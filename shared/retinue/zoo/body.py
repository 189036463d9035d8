"""What every convolutional body of the zoo offers to a detector: maps of the picture at growing strides."""

from abc import abstractmethod

from torch import Tensor, nn


class Body(nn.Module):
    """A network from normalised pictures to feature maps, the finest first."""

    channels: tuple[int, ...]
    """Channels of each map."""
    strides: tuple[int, ...]
    """Pixels of the picture between two cells of each map, powers of 2 that never shrink."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return one map [batch, channels, ceil(height / stride), ceil(width / stride)] for each stride.

        Args:
            x: float32 [batch, 3, height, width], RGB, normalised as the weights were trained.
        """

    @property
    @abstractmethod
    def stem(self) -> nn.Conv2d:
        """The first convolution, which alone sees the picture."""
