"""Pyramids: which level of features a box is looked up on, and a map of any size pooled to a vector of one length."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import Float, finite_floats, float_boxes, number, whole_number

MOST_BINS_A_SIDE = 256
_MOST_LEVEL = 62  # a stride of 2**62 is the last that int64 holds


def fpn_level(
    boxes: NDArray[Float],
    *,
    min_level: int = 2,
    max_level: int = 5,
    canonical_size: float = 224.0,
    canonical_level: int = 4,
    convention: Literal["torchvision", "detectron2"] = "torchvision",
) -> NDArray[np.int64]:
    """Return the level of a feature pyramid that each box is looked up on: the larger the box, the coarser.

    Args:
        boxes: (n, 4) corners ``x1, y1, x2, y2`` in pixels of the picture as the network saw it, float32 or float64;
            other real dtypes count as float64.
        min_level: the finest level there is, at least 0; level l has a stride of 2**l.
        max_level: the coarsest, `min_level` to 62.
        canonical_size: side in pixels of a square that belongs on `canonical_level`, above 0.
        canonical_level: 0 to 62.
        convention: how sizes just below a threshold are lifted over it. ``"torchvision"``: 1e-6 is added to the
            logarithm; ``"detectron2"``: 1e-8 to what it is taken of, which float32 only notices in tiny boxes.

    Returns:
        (n,) int64 levels, not indices: subtract `min_level` for those.

    Raises:
        ValueError: boxes are not (n, 4) or not finite, or another argument is out of range.

    Notes:
        A box without area, or with one side reversed, is on the finest level; one whose area is beyond the dtype's
        range on the coarsest. float32 boxes are computed in float32, as the peers do.

    Source:
        Lin et al., CVPR 2017, arXiv:1612.03144, equation 1: ``floor(4 + log2(sqrt(w * h) / 224))``, cut to the levels.

    >>> fpn_level(np.array([[0, 0, 100, 100], [0, 0, 224, 224], [0, 0, 900, 900]], dtype=np.float32))
    array([2, 4, 5])
    """
    corners = float_boxes(boxes)
    finest = whole_number(min_level, "min_level", at_least=0)
    coarsest = _level(max_level, "max_level", at_least=finest)
    canonical = _level(canonical_level, "canonical_level", at_least=0)
    if convention not in ("torchvision", "detectron2"):
        raise ValueError(f"convention: must be 'torchvision' or 'detectron2', got {convention!r}")
    canonical_px = number(canonical_size, "canonical_size", above=0)
    real = corners.dtype.type
    with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
        area = np.maximum((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]), real(0))
        size = np.sqrt(area) / real(canonical_px)
        if convention == "torchvision":
            level = real(canonical) + np.log2(size) + real(1e-6)
        else:
            level = real(canonical) + np.log2(size + real(1e-8))
        # `fmax` also takes care of NaN, which a side beyond the dtype's range times none gives.
        levels: NDArray[np.int64] = np.fmin(np.fmax(np.floor(level), finest), coarsest).astype(np.int64)
    return levels


def spatial_pyramid_pool(
    features: NDArray[Float], levels: Sequence[int] = (1, 2, 4), *, mode: Literal["max", "avg"] = "max"
) -> NDArray[Float]:
    """Return a vector whose length does not depend on the map's size: its channels pooled over grids of bins.

    Args:
        features: (C, H, W), or (N, C, H, W) for a batch, at least one cell; float32 or float64, other real dtypes count
            as float64.
        levels: bins along each side of each grid, 1 to 256; at least one grid.
        mode: whether a bin is the largest or the mean of its cells.

    Returns:
        (C * sum of levels squared,), or (N, that) for a batch: grid by grid, in each channel by channel, in each bin by
        bin in row-major order.

    Raises:
        ValueError: a shape does not fit, a feature is not finite, or another argument is out of range.

    Notes:
        Bin i of n covers ``floor(i * H / n)`` up to ``ceil((i + 1) * H / n)``. So a bin has a cell at least, and on a
        map smaller than the grid neighbours share cells.

    Source:
        He et al., ECCV 2014, arXiv:1406.4729, appendix A.

    >>> spatial_pyramid_pool(np.arange(9.0).reshape(1, 3, 3), (1, 2))
    array([8., 4., 5., 7., 8.])
    """
    maps = finite_floats(features, "features")
    if maps.ndim not in (3, 4) or 0 in maps.shape[-2:]:
        raise ValueError(f"features: must be (C, H, W) or (N, C, H, W) with at least one cell, got {maps.shape}")
    if mode not in ("max", "avg"):
        raise ValueError(f"mode: must be 'max' or 'avg', got {mode!r}")
    sides = [whole_number(level, "levels", at_least=1) for level in levels]
    if not sides or max(sides) > MOST_BINS_A_SIDE:
        raise ValueError(f"levels: must be one or more of 1 to {MOST_BINS_A_SIDE}, got {levels!r}")
    # With the channels last, all of them are compared or added side by side.
    cells = np.ascontiguousarray(np.moveaxis(maps, -3, -1))
    outer, channels = maps.shape[:-3], maps.shape[-3]
    grids = []
    for side in sides:
        grid = _pooled(_pooled(cells, side, -3, mode), side, -2, mode)
        grids.append(np.moveaxis(grid, -1, -3).reshape(*outer, channels * side**2))
    return np.concatenate(grids, axis=-1)


def _pooled(cells: NDArray[Float], bins: int, axis: int, mode: str) -> NDArray[Float]:
    """Return the largest or the mean of each bin along one axis; a bin is a rectangle, so the other may follow."""
    lines = np.moveaxis(cells, axis, 0)
    size = lines.shape[0]
    pooled = []
    for place in range(bins):
        begin, end = place * size // bins, -(-(place + 1) * size // bins)
        pooled.append(lines[begin:end].max(axis=0) if mode == "max" else lines[begin:end].mean(axis=0))
    return np.stack(pooled, axis=axis)


def _level(level: int, name: str, *, at_least: int) -> int:
    value = whole_number(level, name, at_least=at_least)
    if value > _MOST_LEVEL:
        raise ValueError(f"{name}: must be at most {_MOST_LEVEL}, got {value}")
    return value
