"""Where to look for boxes that overlap one box enough: boxes filed by their centre, in tiles of their group.

The centres of each group (the boxes of one label) are laid out on a grid of some boxes to the tile. An intersection
over union above t bounds how far two centres lie apart: by less than (1 - t) / (2 t) of either box's side. So a search
looks at few tiles and passes over no box that could be above t, since it looks wider than rounding can reach. A tile is
a run of slots, of which sixteen at a time are compared in one go: boxes that all fall into one tile cost what a plain
loop over all boxes does, and memory is O(n) whatever the coordinates.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import native, whole_vector
from retinue.ops._kernel import kernel
from retinue.ops._overlap_kernels import DIOU, IOS, intersection, remoteness

NO_GROUPS = np.zeros(0, np.int64)  # all boxes are of one label

_BLOCK = 16  # slots compared in one go: two registers of float32
_PER_TILE = 48
_SLACK = 1e-5  # more than the rounding of an IoU in float32
_SMALLEST_AREA = 1e-30  # of smaller areas, float32 keeps too few digits for the bound to hold


Function = TypeVar("Function", bound=Callable[..., Any])


def inner(function: Function) -> Function:
    """Compile a loop that kernels call often and that makes no arrays, so that numba does not count references to any.

    Counting each array in and out of each call took longer than what these loops do.
    """
    return cast("Function", numba.njit(nogil=True, error_model="numpy", _nrt=False)(function))


class Tiles(NamedTuple):
    """Boxes by place. Inner loops take the arrays one by one: references to a tuple of them would be counted."""

    slots: NDArray[Any]  # [slot / 16, 5, slot % 16]: x1, y1, x2, y2 and area of the box there; zeros overlap nothing
    items: NDArray[np.int64]  # [slot]: the number of that box
    where: NDArray[np.int64]  # [box]: its slot; -1 once it is taken out, -2 if it covers nothing and never was filed
    tile_of: NDArray[np.int64]  # [box]
    spans: NDArray[np.int64]  # [tile, 2]: the first slot, and the one behind the last in use
    extents: NDArray[np.float64]  # [tile, 4]: the smallest box around its boxes
    grids: NDArray[np.float64]  # [group, 8]: least centre x, y; tiles per unit along x, y; largest width, height; the
    # first tile and how many there are along each side


def dense_groups(labels: ArrayLike | None, count: int) -> tuple[NDArray[np.int64], int]:
    """Return a group for each of `count` boxes, counted from 0, and how many there are: one for each label.

    Raises:
        ValueError: labels are not (count,) integers.
    """
    if labels is None:
        return NO_GROUPS, 1
    groups = native(whole_vector(labels, "labels", count))
    if count == 0:
        return NO_GROUPS, 1
    low, high = int(groups.min()), int(groups.max())
    if high - low < 2 * count + 128:  # groups that nobody is in cost little
        return groups - low, high - low + 1
    values, groups = np.unique(groups, return_inverse=True)
    return groups, len(values)


@kernel()
def limit_below(slots: NDArray[Any], threshold: float, is_inclusive: bool) -> Any:
    """Return the largest number of the slots' dtype that is not above the threshold, or is below it if inclusive.

    To be larger than that is to be above the threshold (or at least at it), though it may be no number of the dtype.
    At threshold 0 boxes that do not overlap are not above even if it is inclusive.
    """
    limit = slots.dtype.type(threshold)
    if np.float64(limit) > threshold or (is_inclusive and np.float64(limit) == threshold > 0):
        limit = np.nextafter(limit, slots.dtype.type(-1))
    return limit


@kernel()
def file_boxes(boxes: NDArray[Any], groups: NDArray[np.int64], group_count: int) -> Tiles:
    """Return tiles in which all boxes are filed that cover anything."""
    count = len(boxes)
    where, tile_of = np.empty(count, np.int64), np.empty(count, np.int64)
    grids = np.zeros((group_count, 8))
    grids[:, 0:2] = np.inf
    grids[:, 2:4] = -np.inf
    sizes = np.zeros(group_count, np.int64)
    for item in range(count):
        x1, y1, x2, y2 = boxes[item, 0], boxes[item, 1], boxes[item, 2], boxes[item, 3]
        width, height = x2 - x1, y2 - y1
        if not (width > 0 and height > 0 and width * height > 0):
            where[item] = -2
            continue
        where[item] = 0
        group = groups[item] if group_count > 1 else 0
        tile_of[item] = group
        sizes[group] += 1
        x, y = _middle(x1, x2), _middle(y1, y2)
        grids[group, 0], grids[group, 1] = min(grids[group, 0], x), min(grids[group, 1], y)
        grids[group, 2], grids[group, 3] = max(grids[group, 2], x), max(grids[group, 3], y)
        grids[group, 4] = max(grids[group, 4], np.float64(x2) - np.float64(x1))
        grids[group, 5] = max(grids[group, 5], np.float64(y2) - np.float64(y1))
    tile_count = 0
    for group in range(group_count):
        side: Any = max(1, np.int64(np.sqrt(sizes[group] / _PER_TILE)))
        for axis in range(2):
            scale = side / (grids[group, 2 + axis] - grids[group, axis])
            grids[group, 2 + axis] = scale if 0 < scale < np.inf else 0.0  # all in the first
        grids[group, 6], grids[group, 7] = tile_count, side
        tile_count += side * side
    spans = np.zeros((tile_count, 2), np.int64)
    for item in range(count):
        if where[item] == 0:
            group = tile_of[item]
            side = np.int64(grids[group, 7])
            column = _step(_middle(boxes[item, 0], boxes[item, 2]), grids[group, 0], grids[group, 2], side)
            line = _step(_middle(boxes[item, 1], boxes[item, 3]), grids[group, 1], grids[group, 3], side)
            tile = np.int64(grids[group, 6]) + line * side + column
            tile_of[item] = tile
            spans[tile, 1] += 1
    begin: Any = 0
    for tile in range(tile_count):
        size = spans[tile, 1]
        spans[tile, 0] = spans[tile, 1] = begin
        begin += (size + _BLOCK - 1) // _BLOCK * _BLOCK
    slots, items = np.zeros((begin // _BLOCK, 5, _BLOCK), boxes.dtype), np.empty(begin, np.int64)
    extents = np.empty((tile_count, 4))
    extents[:, 0:2] = np.inf
    extents[:, 2:4] = -np.inf
    for item in range(count):
        if where[item] == 0:
            tile = tile_of[item]
            slot = spans[tile, 1]
            spans[tile, 1] = slot + 1
            where[item], items[slot] = slot, item
            x1, y1, x2, y2 = boxes[item, 0], boxes[item, 1], boxes[item, 2], boxes[item, 3]
            block, k = slot >> 4, slot & 15
            slots[block, 0, k], slots[block, 1, k], slots[block, 2, k], slots[block, 3, k] = x1, y1, x2, y2
            slots[block, 4, k] = (x2 - x1) * (y2 - y1)
            extents[tile, 0], extents[tile, 1] = min(extents[tile, 0], x1), min(extents[tile, 1], y1)
            extents[tile, 2], extents[tile, 3] = max(extents[tile, 2], x2), max(extents[tile, 3], y2)
    return Tiles(slots, items, where, tile_of, spans, extents, grids)


@inner
def take_out(
    slots: NDArray[Any], items: NDArray[Any], where: NDArray[Any], tile_of: NDArray[Any], spans: NDArray[Any], item: int
) -> None:
    """Take a box out of its tile; the last one of the tile moves to its slot."""
    slot, tile = where[item], tile_of[item]
    where[item] = -1
    last = spans[tile, 1] - 1
    spans[tile, 1] = last
    moved = items[last]
    if moved != item:
        items[slot], where[moved] = moved, slot
    for k in range(5):
        slots[slot >> 4, k, slot & 15] = slots[last >> 4, k, last & 15]
        slots[last >> 4, k, last & 15] = 0


@inner
def find_matches(
    boxes: NDArray[Any],
    item: int,
    slots: NDArray[Any],
    spans: NDArray[Any],
    extents: NDArray[Any],
    grids: NDArray[Any],
    group: int,
    limit: Any,
    metric: int,
    found: NDArray[Any],
    overlaps: NDArray[Any],
    block_overlaps: NDArray[Any],
) -> int:
    """Write to `found` the slots of all boxes that overlap one box by more than the limit; return how many there are.

    By how much is written to `overlaps`. The boxes may be taken out one after the other: one that has been moved
    meanwhile can still be told by the slot where it was found.
    """
    x1, y1, x2, y2 = boxes[item, 0], boxes[item, 1], boxes[item, 2], boxes[item, 3]
    width, height = x2 - x1, y2 - y1
    area = width * height
    side = np.int64(grids[group, 7])
    left, right, top, bottom = 0, side - 1, 0, side - 1
    if side > 1 and area > _SMALLEST_AREA:
        far = np.inf
        if metric != IOS:
            least = max(np.float64(limit), 0.0) * (1 - _SLACK)
            far = (1 - least) / (2 * least)  # infinite where the limit is 0
        x, y = _middle(x1, x2), _middle(y1, y2)
        reach = min(far * width, 0.5 * (width + grids[group, 4])) * (1 + _SLACK) + abs(x) * 1e-14
        left = _step(x - reach, grids[group, 0], grids[group, 2], side)
        right = _step(x + reach, grids[group, 0], grids[group, 2], side)
        reach = min(far * height, 0.5 * (height + grids[group, 5])) * (1 + _SLACK) + abs(y) * 1e-14
        top = _step(y - reach, grids[group, 1], grids[group, 3], side)
        bottom = _step(y + reach, grids[group, 1], grids[group, 3], side)
    first = np.int64(grids[group, 6])
    count = 0
    for line in range(first + top * side, first + bottom * side + 1, side):
        for tile in range(line + left, line + right + 1):
            if not (
                extents[tile, 0] < x2 and x1 < extents[tile, 2] and extents[tile, 1] < y2 and y1 < extents[tile, 3]
            ):
                continue
            begin, end = spans[tile, 0], spans[tile, 1]
            for block in range(begin >> 4, (end + _BLOCK - 1) >> 4):
                if overlap_block(slots, block, x1, y1, x2, y2, area, limit, metric, block_overlaps):
                    for k in range(_BLOCK):
                        if block_overlaps[k] > limit:
                            found[count], overlaps[count] = (block << 4) + k, block_overlaps[k]
                            count += 1
    return count


@inner
def overlap_block(
    slots: NDArray[Any],
    block: int,
    x1: Any,
    y1: Any,
    x2: Any,
    y2: Any,
    area: Any,
    limit: Any,
    metric: int,
    overlaps: NDArray[Any],
) -> bool:
    """Write how far one box overlaps those in sixteen slots, without a branch for each; return whether any is above.

    Where nothing is filed that is 0 or NaN.
    """
    real = slots.dtype.type
    zero, half, epsilon = real(0), real(0.5), real(1e-7)
    is_match = False
    if metric == IOS:
        for k in range(_BLOCK):
            left, top, right, bottom = slots[block, 0, k], slots[block, 1, k], slots[block, 2, k], slots[block, 3, k]
            inter = intersection(x1, y1, x2, y2, left, top, right, bottom, zero)
            overlap = inter / min(area, slots[block, 4, k])
            overlaps[k] = overlap
            is_match |= overlap > limit
    elif metric == DIOU:
        for k in range(_BLOCK):
            left, top, right, bottom = slots[block, 0, k], slots[block, 1, k], slots[block, 2, k], slots[block, 3, k]
            inter = intersection(x1, y1, x2, y2, left, top, right, bottom, zero)
            far = remoteness(x1, y1, x2, y2, left, top, right, bottom, half, epsilon)
            overlap = inter / (area + slots[block, 4, k] - inter) - far
            overlaps[k] = overlap
            is_match |= overlap > limit
    else:
        for k in range(_BLOCK):
            left, top, right, bottom = slots[block, 0, k], slots[block, 1, k], slots[block, 2, k], slots[block, 3, k]
            inter = intersection(x1, y1, x2, y2, left, top, right, bottom, zero)
            overlap = inter / (area + slots[block, 4, k] - inter)
            overlaps[k] = overlap
            is_match |= overlap > limit
    return is_match


@kernel()
def _middle(low: Any, high: Any) -> float:
    return 0.5 * np.float64(low) + 0.5 * np.float64(high)


@kernel()
def _step(position: float, least: float, scale: float, side: Any) -> Any:
    """Return the tile of a position along one axis: it grows with the position, however it is rounded."""
    return np.int64(min(max((position - least) * scale, 0.0), side - 1.0))
