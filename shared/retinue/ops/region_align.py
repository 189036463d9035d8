"""Features under a box at a fixed size, without rounding the box: what the second stage of a detector looks at.

A bin's value is a mean of bilinear samples on a grid, so it is a sum of products of a weight along y and one along x
(`_region_taps`). The sums run over blocks of channels, which are first laid side by side for the cells that a box
touches; where the boxes of a picture touch more cells than the map has, once for the whole map.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, float_boxes, native, number, whole_number, whole_vector
from retinue.ops._kernel import kernel
from retinue.ops._region_taps import TAPS_AT_A_TIME, Taps, find_box_taps, number_cells, room_for_taps

MOST_BINS_A_SIDE = 256
MOST_SAMPLES_A_SIDE = 64

_CHANNELS = 32  # of a block: what is summed at a time stays in the nearest cache
_LINES = 16  # rows of the map that are read at a time when their channels are laid side by side


def roi_align(
    features: NDArray[Float],
    boxes: NDArray[Float],
    output_size: int | tuple[int, int],
    *,
    batch_indices: ArrayLike | None = None,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = False,
) -> NDArray[Float]:
    """Return the features under each box, each bin the mean of bilinear samples.

    Args:
        features: (C, H, W), or (N, C, H, W) for a batch, float32 or float64; other real dtypes count as float64.
        boxes: (R, 4) corners ``x1, y1, x2, y2`` in pixels of the picture; taken in the dtype of the features.
        output_size: bins along both sides, or (along y, along x), 1 to 256 each.
        batch_indices: (R,) integers in [0, N), which map of the batch each box lies on; may be left out where there is
            one.
        spatial_scale: cells of the map per pixel, above 0 and at most 1e9; 1 / stride.
        sampling_ratio: samples of a bin along each side, at most 64; 0 or less: as many as a bin has cells, rounded up.
        aligned: whether cell i has its centre at i + 0.5, so that boxes are moved by half a cell. If not, they are not,
            and a box counts as at least one cell wide and high.

    Returns:
        (R, C, bins along y, bins along x), dtype of the features.

    Raises:
        ValueError: a shape does not fit, a box is not finite, a map has no cells, or another argument is out of range.

    Notes:
        The defaults are those of torchvision's `roi_align`; its Faster and Mask R-CNN take ``sampling_ratio=2``,
        detectron2 takes ``aligned=True``. A sample beyond [-1, H] or [-1, W] is 0, one in the margin takes the value of
        the border. With ``aligned=True`` a reversed or empty box is 0 where samples are counted by size. Where a box
        reaches more than 2**22 cells away, samples are placed in float64. Features are not searched for NaN or
        infinity: those spread to the bins that touch them.

    Source:
        He et al., ICCV 2017, arXiv:1703.06870, section 3, as in torchvision and in ONNX's RoiAlign (``half_pixel`` is
        aligned). Sums are taken in another order than theirs, which costs a few roundings.

    >>> features = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> roi_align(features, np.array([[0, 0, 4, 4]]), 2, sampling_ratio=2, aligned=True)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]], dtype=float32)
    """
    maps = np.asarray(features)
    if maps.dtype.kind not in "biuf" or maps.ndim not in (3, 4):
        raise ValueError(f"features: must be (C, H, W) or (N, C, H, W) reals, got {maps.shape} of {maps.dtype}")
    if maps.dtype != np.float32:
        maps = maps.astype(np.float64, copy=False)
    if maps.ndim == 3:
        maps = maps[None]
    if 0 in maps.shape[2:]:
        raise ValueError(f"features: must have at least one cell, got {maps.shape}")
    with np.errstate(over="ignore"):  # found by the check behind
        corners = float_boxes(np.asarray(boxes).astype(maps.dtype, copy=False), "boxes")
    if batch_indices is None:
        if len(maps) > 1:
            raise ValueError(f"batch_indices: must be given for a batch of {len(maps)}")
        batch_indices = np.zeros(len(corners), np.int64)
    pictures = whole_vector(batch_indices, "batch_indices", len(corners))
    if pictures.size and not 0 <= pictures.min() <= pictures.max() < len(maps):
        raise ValueError(f"batch_indices: must be in [0, {len(maps)}), got {pictures.min()} to {pictures.max()}")
    scale = number(spatial_scale, "spatial_scale", above=0, at_most=1e9)
    ratio = max(0, whole_number(sampling_ratio, "sampling_ratio", at_least=-(2**62)))
    if ratio > MOST_SAMPLES_A_SIDE:
        raise ValueError(f"sampling_ratio: must be at most {MOST_SAMPLES_A_SIDE}, got {ratio}")
    regions = np.empty((len(corners), maps.shape[1], *_bins(output_size)), maps.dtype)
    if regions.size:
        real = maps.dtype.type
        _align(native(maps), native(corners), native(pictures), real(scale), bool(aligned), ratio, regions)
    return regions


def _bins(output_size: int | tuple[int, int]) -> tuple[int, int]:
    both = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(both) != 2:
        raise ValueError(f"output_size: must be one number, or two for y and x, got {output_size!r}")
    rows, columns = (whole_number(side, "output_size", at_least=1) for side in both)
    if max(rows, columns) > MOST_BINS_A_SIDE:
        raise ValueError(f"output_size: must be at most {MOST_BINS_A_SIDE}, got {output_size!r}")
    return rows, columns


@kernel(
    "(f4[:,:,:,::1], f4[:,::1], i8[::1], f4, b1, i8, f4[:,:,:,::1])",
    "(f8[:,:,:,::1], f8[:,::1], i8[::1], f8, b1, i8, f8[:,:,:,::1])",
)
def _align(
    maps: NDArray[Float],
    boxes: NDArray[Float],
    pictures: NDArray[np.int64],
    scale: Float,
    is_aligned: bool,  # noqa: FBT001, kernels take positions only
    ratio: int,
    regions: NDArray[Float],
) -> None:
    _, channels, height, width = maps.shape
    sizes = (height, width)
    rows, columns = regions.shape[2:]
    along_y, along_x = room_for_taps(rows, height, boxes), room_for_taps(columns, width, boxes)
    seen_y, seen_x = np.full(height, -1), np.full(width, -1)
    cells_y, cells_x = np.empty(height, np.int64), np.empty(width, np.int64)
    block = min(channels, _CHANNELS)
    turned = np.empty(0, boxes.dtype)  # the cells with their channels side by side
    band = np.empty(0, boxes.dtype)  # what each row of bins has of each column
    bins = np.empty((rows * columns, block), boxes.dtype)
    for picture in range(len(maps)):
        touched = 0
        for box in np.flatnonzero(pictures == picture):
            find_box_taps(boxes[box], scale, is_aligned, ratio, sizes, along_y, along_x)
            touched += number_cells(along_y, seen_y, cells_y) * number_cells(along_x, seen_x, cells_x)
        is_whole = touched > height * width
        for begin in range(0, channels, block):
            source = maps[picture, begin : begin + block]
            if is_whole:
                turned = _grown(turned, height * width * block)
                _turn_map(source, turned, block)
            for box in np.flatnonzero(pictures == picture):
                find_box_taps(boxes[box], scale, is_aligned, ratio, sizes, along_y, along_x)
                found_x = cells_x[: number_cells(along_x, seen_x, cells_x)]
                if not is_whole:
                    found_y = cells_y[: number_cells(along_y, seen_y, cells_y)]
                    turned = _grown(turned, len(found_y) * len(found_x) * block)
                    _turn_cells(source, found_y, found_x, turned, block)
                size = len(found_x) * block
                band = _grown(band, rows * size)
                if is_whole:
                    _weigh_columns(turned, width, found_x, along_y, band, block)
                else:
                    _weigh(turned, size, along_y, band, size, size)
                for row in range(rows):
                    _weigh(band[row * size :], block, along_x, bins[row * columns :].reshape(-1), block, block)
                _lay_out(bins, regions[box, begin : begin + block].reshape(len(source), rows * columns))


@kernel()
def _grown(room: NDArray[Any], size: int) -> NDArray[Any]:
    return room if len(room) >= size else np.empty(size, room.dtype)


@kernel()
def _turn_map(source: NDArray[Any], turned: NDArray[Any], block: int) -> None:
    """Lay the channels of every cell side by side."""
    channels, height, width = source.shape
    cells = turned[: height * width * block].reshape(height, width, block)
    for y in range(height):
        for begin in range(0, channels, _LINES):
            for x in range(width):
                for channel in range(begin, min(begin + _LINES, channels)):
                    cells[y, x, channel] = source[channel, y, x]


@kernel()
def _turn_cells(
    source: NDArray[Any], rows: NDArray[np.int64], columns: NDArray[np.int64], turned: NDArray[Any], block: int
) -> None:
    """Lay the channels of the cells in some rows and columns side by side."""
    cells = turned[: len(rows) * len(columns) * block].reshape(len(rows), len(columns), block)
    for i in range(len(rows)):
        for channel in range(len(source)):
            line = source[channel, rows[i]]
            for j in range(len(columns)):
                cells[i, j, channel] = line[columns[j]]


@kernel()
def _lay_out(bins: NDArray[Any], region: NDArray[Any]) -> None:
    """Lay the bins of every channel side by side."""
    for channel in range(len(region)):
        for place in range(len(bins)):
            region[channel, place] = bins[place, channel]


@kernel()
def _weigh_columns(
    turned: NDArray[Any], width: int, columns: NDArray[np.int64], taps: Taps, band: NDArray[Any], block: int
) -> None:
    """Weigh the rows of the whole map in some of its columns: as many at a time as lie side by side."""
    begin = 0
    while begin < len(columns):
        end = begin + 1
        while end < len(columns) and columns[end] == columns[end - 1] + 1:
            end += 1
        size = (end - begin) * block
        _weigh(turned[columns[begin] * block :], width * block, taps, band[begin * block :], len(columns) * block, size)
        begin = end


@kernel()
def _weigh(source: NDArray[Any], stride: int, taps: Taps, target: NDArray[Any], target_stride: int, size: int) -> None:
    """Write for each bin a sum of rows, as many as it has taps, each by its weight.

    Rows begin every `stride` in the source and every `target_stride` in the target; so many numbers of each are summed.
    """
    used, weights, counts = taps
    for place in range(len(counts)):
        total = target[place * target_stride :][:size]
        if counts[place] == 0:
            total[:] = 0
        for i in range(0, counts[place], TAPS_AT_A_TIME):
            a, b = source[used[place, i] * stride :], source[used[place, i + 1] * stride :]
            c, d = source[used[place, i + 2] * stride :], source[used[place, i + 3] * stride :]
            p, q, r, s = weights[place, i], weights[place, i + 1], weights[place, i + 2], weights[place, i + 3]
            if i == 0:
                for j in range(size):
                    total[j] = p * a[j] + q * b[j] + (r * c[j] + s * d[j])
            else:
                for j in range(size):
                    total[j] += p * a[j] + q * b[j] + (r * c[j] + s * d[j])
