"""Regions cut out of a feature pyramid at a fixed size, without rounding their edges.

Source:
    He et al., ICCV 2017, arXiv:1703.06870, section 3 (RoIAlign, in its first form: cells at whole coordinates, regions
    at least one cell wide); Lin et al., CVPR 2017, arXiv:1612.03144, equation 1 (which level a region belongs to).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

SAMPLES_PER_BIN = 2
"""Along each axis."""

# A box a rounding error below a level's smallest size belongs to the level: 2 to the power of -1e-6.
_SLACK = 2.0**-1e-6


def pyramid_align(
    levels: Sequence[Tensor],
    strides: Sequence[int],
    boxes: Tensor,
    picture: Tensor,
    *,
    size: int = 7,
    canonical_px: float = 224.0,
) -> Tensor:
    """Return the features under each box, from the level that its size belongs to.

    Args:
        levels: maps [batch, channels, rows, columns] at strides that double from one to the next.
        strides: pixels between two cells of each level.
        boxes: [boxes, 4] float32, x1, y1, x2, y2 in pixels of the padded picture.
        picture: [boxes] int64, which picture of the batch each box lies in.
        size: rows and columns of the result.
        canonical_px: side of the square that belongs to stride 16; half of it belongs to stride 8 and so on.

    Returns:
        [boxes, channels, size, size].
    """
    level_of = pyramid_level(boxes, strides, canonical_px=canonical_px)
    pieces, orders = [], []
    for index, (level, stride) in enumerate(zip(levels, strides, strict=True)):
        chosen = torch.nonzero(level_of == index).flatten()
        pieces.append(region_align(level, boxes[chosen], picture[chosen], scale=1 / stride, size=size))
        orders.append(chosen)
    if len(pieces) == 1:
        return pieces[0]
    order = torch.cat(orders)
    place = torch.zeros_like(order).scatter(0, order, torch.arange(boxes.shape[0], device=order.device))
    return torch.cat(pieces)[place]


def pyramid_level(boxes: Tensor, strides: Sequence[int], *, canonical_px: float = 224.0) -> Tensor:
    """Return the index of the level that each box belongs to, [boxes] int64.

    ``floor(4 + log2(sqrt(area) / canonical_px) + 1e-6)`` is the logarithm of the stride, cut to those there are; it is
    found by comparing, which rounds the same everywhere.

    >>> pyramid_level(torch.tensor([[0, 0, 10, 10], [0, 0, 112, 112], [0, 0, 900, 900.0]]), (4, 8, 16, 32))
    tensor([0, 1, 3])
    """
    side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    smallest = [canonical_px * stride / 16 * _SLACK for stride in strides[1:]]
    return (side[:, None] >= torch.tensor(smallest, dtype=side.dtype, device=side.device)).sum(1)


def region_align(feature: Tensor, boxes: Tensor, picture: Tensor, *, scale: float, size: int = 7) -> Tensor:
    """Return the mean of 2x2 bilinear samples in each of size x size bins of each box, [boxes, channels, size, size].

    Args:
        feature: [batch, channels, rows, columns].
        boxes: [boxes, 4], x1, y1, x2, y2 in pixels.
        picture: [boxes] int64, row of the batch.
        scale: cells per pixel.
        size: bins along each axis.
    """
    if torch.onnx.is_in_onnx_export():
        aligned: Tensor = _RoiAlign.apply(feature, boxes, picture, scale, size)  # type: ignore[no-untyped-call]
        return aligned
    return _sampled(feature, boxes, picture, scale, size)


def _sampled(feature: Tensor, boxes: Tensor, picture: Tensor, scale: float, size: int) -> Tensor:
    rows, columns = feature.shape[-2:]
    samples = size * SAMPLES_PER_BIN
    steps = (torch.arange(samples, device=boxes.device, dtype=boxes.dtype) + 0.5) / samples
    start = boxes[:, :2] * scale
    extent = (boxes[:, 2:] * scale - start).clamp(min=1)
    xy = start[:, None] + extent[:, None] * steps[:, None]  # [boxes, samples, 2]
    limit = torch.tensor([columns, rows], device=boxes.device, dtype=boxes.dtype)
    inside = ((xy >= -1) & (xy <= limit)).to(feature.dtype)
    grid = 2 * xy / (limit - 1).clamp(min=1) - 1
    out = feature.new_zeros(len(boxes), feature.shape[1], size, size)
    for index in sorted(set(picture.tolist())):
        chosen = torch.nonzero(picture == index).flatten()
        x, y = (grid[chosen, :, axis] for axis in (0, 1))
        points = torch.stack([x[:, None].expand(-1, samples, -1), y[:, :, None].expand(-1, -1, samples)], -1)
        sampled = functional.grid_sample(
            feature[index : index + 1], points.reshape(1, -1, samples, 2), padding_mode="border", align_corners=True
        )
        sampled = sampled.reshape(-1, len(chosen), samples, samples).transpose(0, 1)
        sampled = sampled * (inside[chosen, None, :, 1, None] * inside[chosen, None, None, :, 0])
        out = out.index_copy(0, chosen, functional.avg_pool2d(sampled, SAMPLES_PER_BIN))
    return out


class _RoiAlign(torch.autograd.Function):
    """One node of the graph, where tracing would write down the sampling picture by picture."""

    @staticmethod
    def forward(_: Any, feature: Tensor, boxes: Tensor, picture: Tensor, scale: float, size: int) -> Tensor:
        return _sampled(feature, boxes, picture, scale, size)

    @staticmethod
    def symbolic(g: Any, feature: Any, boxes: Any, picture: Any, scale: float, size: int) -> Any:
        return g.op(
            "RoiAlign",
            feature,
            boxes,
            picture,
            coordinate_transformation_mode_s="output_half_pixel",
            mode_s="avg",
            output_height_i=size,
            output_width_i=size,
            sampling_ratio_i=SAMPLES_PER_BIN,
            spatial_scale_f=scale,
        )
