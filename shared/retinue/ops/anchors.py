"""The boxes that a region proposal network starts from: a few shapes around every cell of a feature pyramid.

A picture of 800 x 1333 has 270 000 of them and a detector looks at a thousand of each level. So there are two ways:
`pyramid_anchors` makes them all; `cell_anchors`, once for a model, and `anchors_at`, for the indices of the best
scores, make only those that count.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import finite_floats, native, number, whole_number, whole_vector
from retinue.ops._kernel import kernel

Convention = Literal["torchvision", "detectron2"]
Pair = tuple[int, int]

MOST_ANCHORS = 2**26  # 1 GiB; a picture of 15 000 x 15 000 has as many in a pyramid from stride 4 on
_MOST_CELLS_A_SIDE = 2**31 - 1


def pyramid_anchors(
    feature_sizes: Sequence[Pair],
    sizes: Sequence[Sequence[float]],
    aspect_ratios: Sequence[Sequence[float]],
    *,
    image_size: Pair | None = None,
    strides: Sequence[int | Pair] | None = None,
    convention: Convention = "torchvision",
    offset: float = 0.0,
) -> list[NDArray[np.float32]]:
    """Return all anchors of each level of a feature pyramid.

    Args:
        feature_sizes: (height, width) of each level in cells, finest first or in any other order.
        sizes: for each level the sides in pixels of the squares whose area the anchors have.
        aspect_ratios: for each level the ratios height / width; each is combined with each size.
        image_size: (height, width) in pixels of the picture as the network saw it, padding included; the stride of a
            level is then ``image_size // feature_size``, as torchvision has it. Either this or `strides` is given.
        strides: for each level the pixels from one cell to the next, one number or (along y, along x).
        convention: how shapes are rounded and ordered, see `cell_anchors`.
        offset: where in a cell its anchors have their centre, in strides from its upper left corner, in [0, 1).

    Returns:
        For each level (height * width * anchors of a cell, 4) float32 corners ``x1, y1, x2, y2`` in pixels of
        `image_size`, cells in row-major order and all shapes of a cell in a row. They are not clipped.

    Raises:
        ValueError: lengths differ between levels, a size, ratio, stride or offset is out of range, a level is larger
            than the picture, both or neither of `image_size` and `strides` are given, or there would be more than 2**26
            anchors.

    Notes:
        No levels give no arrays; a level without cells has none. The anchors of 800 x 1333 take about a millisecond;
        where only the best of each level are needed, `anchors_at` is a hundred times as fast.

    Source:
        Ren et al., NeurIPS 2015, arXiv:1506.01497, section 3.1, as in torchvision's `AnchorGenerator` and detectron2's
        `DefaultAnchorGenerator`.

    >>> [level] = pyramid_anchors([(1, 2)], [(32,)], [(1.0,)], image_size=(16, 32))
    >>> level
    array([[-16., -16.,  16.,  16.],
           [  0., -16.,  32.,  16.]], dtype=float32)
    """
    features = [_pair(size, "feature_sizes", at_least=0, at_most=_MOST_CELLS_A_SIDE) for size in feature_sizes]
    for name, levels in (("sizes", sizes), ("aspect_ratios", aspect_ratios)):
        if len(levels) != len(features):
            raise ValueError(f"{name}: must be one sequence for each of {len(features)} levels, got {len(levels)}")
    steps = _steps(features, image_size, strides)
    shift = _offset(offset)
    cells = [cell_anchors(*level, convention=convention) for level in zip(sizes, aspect_ratios, strict=True)]
    counts = [height * width * len(shapes) for (height, width), shapes in zip(features, cells, strict=True)]
    if sum(counts) > MOST_ANCHORS:
        raise ValueError(f"feature_sizes: must give at most {MOST_ANCHORS} anchors, got {sum(counts)}")
    levels_xyxy_px = []
    for feature, step, shapes, count in zip(features, steps, cells, counts, strict=True):
        anchors = np.empty((count, 4), np.float32)
        _fill_level(shapes, feature, step, shift, anchors)
        levels_xyxy_px.append(anchors)
    return levels_xyxy_px


def cell_anchors(
    sizes: Sequence[float], aspect_ratios: Sequence[float], *, convention: Convention = "torchvision"
) -> NDArray[np.float32]:
    """Return the anchors of one cell, around (0, 0).

    Args:
        sizes: sides in pixels of the squares whose area the anchors have, above 0; at least one.
        aspect_ratios: ratios height / width, above 0; at least one.
        convention: ``"torchvision"``: computed in float32, corners rounded to whole pixels (half to even), ratio by
            ratio and in each size by size. ``"detectron2"``: not rounded, size by size and in each ratio by ratio.
            Weights were learned with one of them and are worth less with the other.

    Returns:
        (sizes * ratios, 4) float32 corners ``x1, y1, x2, y2`` in pixels.

    Raises:
        ValueError: a size or ratio is not above 0, not finite or beyond float32, there is none, or the convention is
            none of the two.

    Source:
        As `pyramid_anchors`.

    >>> cell_anchors([32], [0.5, 1.0, 2.0])
    array([[-23., -11.,  23.,  11.],
           [-16., -16.,  16.,  16.],
           [-11., -23.,  11.,  23.]], dtype=float32)
    >>> cell_anchors([32], [0.5], convention="detectron2")
    array([[-22.627417, -11.313708,  22.627417,  11.313708]], dtype=float32)
    """
    if convention not in ("torchvision", "detectron2"):
        raise ValueError(f"convention: must be 'torchvision' or 'detectron2', got {convention!r}")
    sides, ratios = _positive(sizes, "sizes"), _positive(aspect_ratios, "aspect_ratios")
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):  # looked at below
        if convention == "torchvision":
            stretch = np.sqrt(ratios.astype(np.float32))[:, None]
            heights, widths = stretch * sides.astype(np.float32), 1 / stretch * sides.astype(np.float32)
        else:
            widths = np.sqrt(sides[:, None] ** 2 / ratios)
            heights = ratios * widths
        corners = (np.stack([-widths, -heights, widths, heights], axis=-1).reshape(-1, 4) / 2).astype(np.float32)
    if not np.isfinite(corners).all():
        raise ValueError("sizes: must give anchors within float32 with the aspect ratios, got some beyond")
    return np.rint(corners) if convention == "torchvision" else corners


def anchors_at(
    indices: ArrayLike, feature_size: Pair, stride: int | Pair, cells: NDArray[np.float32], *, offset: float = 0.0
) -> NDArray[np.float32]:
    """Return the anchors of one level at the indices asked for: rows of that level of `pyramid_anchors`.

    Args:
        indices: (n,) integers in [0, height * width * A), in any order and as often as you like.
        feature_size: (height, width) of the level in cells.
        stride: pixels from one cell to the next, one number or (along y, along x).
        cells: (A, 4) float32 anchors of one cell, from `cell_anchors`.
        offset: as in `pyramid_anchors`.

    Returns:
        (n, 4) float32 corners ``x1, y1, x2, y2`` in pixels.

    Raises:
        ValueError: an index is out of range or no integer, or another argument is out of range.

    >>> cells = cell_anchors([32], [0.5, 1.0, 2.0])
    >>> anchors_at([4, 0], (1, 2), 16, cells)
    array([[  0., -16.,  32.,  16.],
           [-23., -11.,  23.,  11.]], dtype=float32)
    """
    size = _pair(feature_size, "feature_size", at_least=0, at_most=_MOST_CELLS_A_SIDE)
    step = _pair(stride, "stride", at_least=1, at_most=_MOST_CELLS_A_SIDE)
    shapes = finite_floats(np.asarray(cells, np.float32), "cells")
    if shapes.ndim != 2 or shapes.shape[1] != 4 or not len(shapes):
        raise ValueError(f"cells: must be (anchors of a cell, 4), at least one, got {shapes.shape}")
    places = whole_vector(indices, "indices")
    anchors = np.empty((len(places), 4), np.float32)
    if not _pick(native(places), native(shapes), size, step, _offset(offset), anchors):
        count = size[0] * size[1] * len(shapes)
        raise ValueError(f"indices: must be in [0, {count}), got some from {places.min()} to {places.max()}")
    return anchors


def _steps(features: list[Pair], image_size: Pair | None, strides: Sequence[int | Pair] | None) -> list[Pair]:
    """Return the stride of each level along y and x."""
    if (image_size is None) == (strides is None):
        raise ValueError("strides: must be given where image_size is not, and only there")
    if strides is not None:
        if len(strides) != len(features):
            raise ValueError(f"strides: must be one for each of {len(features)} levels, got {len(strides)}")
        return [_pair(stride, "strides", at_least=1, at_most=_MOST_CELLS_A_SIDE) for stride in strides]
    image_height, image_width = _pair(image_size, "image_size", at_least=0, at_most=_MOST_CELLS_A_SIDE)
    steps = []
    for height, width in features:
        if height > image_height or width > image_width:
            raise ValueError(f"image_size: must be at least every level's, got {image_size} and {(height, width)}")
        steps.append((image_height // max(height, 1), image_width // max(width, 1)))
    return steps


def _pair(sizes: object, name: str, *, at_least: int, at_most: int) -> Pair:
    """Return two whole numbers, along y and x; one alone stands for both."""
    both = sizes if isinstance(sizes, (tuple, list)) else (sizes, sizes)
    if len(both) != 2:
        raise ValueError(f"{name}: must be two numbers, got {sizes!r}")
    first, second = (whole_number(size, name, at_least=at_least) for size in both)
    if max(first, second) > at_most:
        raise ValueError(f"{name}: must be at most {at_most}, got {sizes!r}")
    return first, second


def _offset(offset: float) -> float:
    value = number(offset, "offset", at_least=0)
    if value >= 1:
        raise ValueError(f"offset: must be less than 1, got {offset!r}")
    return value


def _positive(values: Sequence[float], name: str) -> NDArray[np.float64]:
    array = finite_floats(np.asarray(values, np.float64), name)
    if array.ndim != 1 or not array.size or not (array > 0).all():
        raise ValueError(f"{name}: must be numbers above 0, at least one for each level, got {values!r}")
    return array


@kernel("(f4[:,::1], UniTuple(i8, 2), UniTuple(i8, 2), f8, f4[:,::1])")
def _fill_level(
    cells: NDArray[np.float32], size: Pair, step: Pair, offset: float, anchors: NDArray[np.float32]
) -> None:
    place = 0
    for y in range(size[0]):
        shift_y = np.float32((y + offset) * step[0])  # rounded before it is added, as the peers do
        for x in range(size[1]):
            shift_x = np.float32((x + offset) * step[1])
            for shape in range(len(cells)):
                anchors[place, 0] = cells[shape, 0] + shift_x
                anchors[place, 1] = cells[shape, 1] + shift_y
                anchors[place, 2] = cells[shape, 2] + shift_x
                anchors[place, 3] = cells[shape, 3] + shift_y
                place += 1


@kernel("(i8[::1], f4[:,::1], UniTuple(i8, 2), UniTuple(i8, 2), f8, f4[:,::1])")
def _pick(
    indices: NDArray[np.int64],
    cells: NDArray[np.float32],
    size: Pair,
    step: Pair,
    offset: float,
    anchors: NDArray[np.float32],
) -> bool:
    """Write the anchors at the indices; return whether all are in range."""
    height, width = size
    for place in range(len(indices)):
        index = indices[place]
        cell = index // len(cells)
        y = cell // width if width else height
        if index < 0 or y >= height:
            return False
        shape, x = index - cell * len(cells), cell - y * width
        shift_y = np.float32((y + offset) * step[0])
        shift_x = np.float32((x + offset) * step[1])
        anchors[place, 0] = cells[shape, 0] + shift_x
        anchors[place, 1] = cells[shape, 1] + shift_y
        anchors[place, 2] = cells[shape, 2] + shift_x
        anchors[place, 3] = cells[shape, 3] + shift_y
    return True
