"""Positions as sines and cosines of growing wavelength, scaled to each picture's own extent."""

import math

import torch
from torch import Tensor

TEMPERATURE = 10_000
_EPS = 1e-6


def sine_positions(is_inside: Tensor, hidden: int) -> Tensor:
    """Return what is added to each cell so that attention knows where it lies.

    Row and column are counted from 1 over the cells inside, divided by the last and stretched to a full circle; the
    first half of the channels tells the row, the second the column, sines and cosines in turn.

    Args:
        is_inside: bool [batch, rows, columns], true where the picture is, which lies at the upper left.
        hidden: channels, a multiple of 4.

    Returns:
        float32 [batch, rows, columns, hidden].

    Source:
        Parmar et al., ICML 2018, arXiv:1802.05751; Carion et al., ECCV 2020, arXiv:2005.12872, appendix A.4.

    >>> sine_positions(torch.ones(1, 1, 2, dtype=torch.bool), 4)[0, 0].round(decimals=3).abs()
    tensor([[0., 1., 0., 1.],
            [0., 1., 0., 1.]])
    """
    counted = is_inside.float()
    half = hidden // 2
    exponents = 2 * torch.div(torch.arange(half), 2, rounding_mode="floor") / half
    wavelengths = TEMPERATURE ** exponents.to(is_inside.device)
    parts = []
    for axis in (1, 2):
        place = counted.cumsum(axis)
        last = place[:, -1:] if axis == 1 else place[:, :, -1:]
        angle = (place / (last + _EPS) * (2 * math.pi))[..., None] / wavelengths
        parts.append(torch.stack([angle[..., 0::2].sin(), angle[..., 1::2].cos()], -1).flatten(3))
    return torch.cat(parts, -1)
