"""Learned positions of a vision transformer carried to another grid of patches.

Two published ways that give different numbers; which one fits depends on who trained the weights.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Interpolation = Literal["torchvision", "timm"]


def resampled_positions(
    positions: Tensor,
    grid: tuple[int, int],
    *,
    source_grid: tuple[int, int] | None = None,
    prefix_tokens: int = 1,
    interpolation: Interpolation,
) -> Tensor:
    """Return position embeddings for another grid of patches.

    Args:
        positions: [1, prefix_tokens + rows * columns, hidden], row by row.
        grid: rows and columns wanted, at least 1 each.
        source_grid: rows and columns of ``positions``; default: square.
        prefix_tokens: embeddings before those of the patches, such as the class token's: copied as they are.
        interpolation: ``torchvision``: bicubic, corners aligned, no antialiasing. ``timm``: bicubic, pixel areas
            aligned, antialiased.

    Returns:
        [1, prefix_tokens + grid rows * columns, hidden] float32; ``positions`` itself if the grid is the same.

    Raises:
        ValueError: the count of positions does not fit ``source_grid`` or is no square, or ``grid`` is empty.

    Source:
        Dosovitskiy et al., ICLR 2021, arXiv:2010.11929, section 3.2, fine-tuning at higher resolution.

    >>> resampled_positions(torch.zeros(1, 197, 8), (24, 16), interpolation="timm").shape
    torch.Size([1, 385, 8])
    """
    cells = positions.shape[1] - prefix_tokens
    rows, columns = source_grid or (int(max(0, cells) ** 0.5),) * 2
    if cells < 1 or rows * columns != cells:
        expected = f"{rows}x{columns}" if source_grid else "a square"
        raise ValueError(f"{positions.shape[1]} positions less {prefix_tokens} prefix tokens are not {expected}")
    if min(grid) < 1:
        raise ValueError(f"grid must be at least 1x1, not {grid[0]}x{grid[1]}")
    if grid == (rows, columns):
        return positions
    prefix, patches = positions.float().tensor_split([prefix_tokens], 1)
    image = patches.transpose(1, 2).reshape(1, -1, rows, columns)
    is_timm = interpolation == "timm"
    image = functional.interpolate(image, grid, mode="bicubic", align_corners=not is_timm, antialias=is_timm)
    return torch.cat([prefix, image.flatten(2).transpose(1, 2)], 1)
