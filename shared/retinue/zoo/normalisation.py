"""Normalisation of raw pictures, and how a graph takes it over with one subtraction and nothing else."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Normalisation:
    """Pixels in [0, 255] to what a network was trained on: ``(pixel / 255 - mean) / std`` by channel.

    Args:
        mean: for pixels in [0, 1], RGB.
        std: for pixels in [0, 1], RGB, above 0.

    Raises:
        ValueError: there are not three of each, or ``std`` is not positive.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"mean and std must have three values, std above 0, not {list(mean)} and {list(std)}")
        self.mean = tuple(mean)
        self.std = tuple(std)

    def normalised(self, image: Tensor) -> Tensor:
        """Return float32 [batch, 3, height, width] of [batch, height, width, 3], step by step as in training."""
        x = image.permute(0, 3, 1, 2).float() / 255.0
        return (x - torch.tensor(self.mean).view(3, 1, 1)) / torch.tensor(self.std).view(3, 1, 1)

    @contextmanager
    def folded_into(self, stem: nn.Conv2d) -> Iterator[Tensor | None]:
        """Let a first convolution scale pixels in [0, 255] for a while; give what is still to be subtracted before it.

        Where it pads, the padding is zero *after* normalisation, so that the shift cannot become part of its bias.

        Yields:
            [3, 1, 1] float32, or None where the convolution does it all.
        """
        weight, bias = stem.weight.data, None if stem.bias is None else stem.bias.data
        pixel_mean = 255.0 * torch.tensor(self.mean, dtype=torch.float64).view(3, 1, 1)
        scaled = weight.double() / (255.0 * torch.tensor(self.std, dtype=torch.float64).view(3, 1, 1))
        try:
            stem.weight.data = scaled.float()
            if stem.bias is None or bias is None or stem.padding != (0, 0):
                yield pixel_mean.float()
            else:
                stem.bias.data = (bias.double() - (scaled * pixel_mean).sum((1, 2, 3))).float()
                yield None
        finally:
            stem.weight.data = weight
            if stem.bias is not None and bias is not None:
                stem.bias.data = bias


def inside(x: Tensor, size: Tensor) -> Tensor:
    """Return where each picture of a padded batch has pixels, bool [batch, 1, height, width].

    Args:
        x: [batch, channels, height, width], pictures at the upper left.
        size: int64 [batch, 2], each picture's own height and width.

    >>> inside(torch.zeros(1, 3, 2, 3), torch.tensor([[1, 2]])).int()
    tensor([[[[1, 1, 0],
              [0, 0, 0]]]], dtype=torch.int32)
    """
    rows = torch.arange(x.shape[2], device=x.device) < size[:, :1]
    columns = torch.arange(x.shape[3], device=x.device) < size[:, 1:]
    return (rows[:, :, None] & columns[:, None, :])[:, None]
