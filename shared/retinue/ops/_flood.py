"""The order of pixels by height, and the two walks through it: flooding from markers, and finding the deep minima."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel
from retinue.ops._runs import joined_runs, root

_DIGIT = 11  # bits sorted by at once: few passes, and all counts of a pass stay in the first cache
_DIGITS = 1 << _DIGIT
_DRY = 1  # in the state of a pixel: inside the mask, not reached, level not known yet


@kernel()
def _key(bits: Any, bit_count: int) -> np.uint64:
    """Return the bits of a float as a number in the order of floats; both zeros give the same."""
    key = np.uint64(bits)
    sign = np.uint64(1) << np.uint64(bit_count - 1)
    if key & sign == 0:
        return key | sign
    # Negative floats have the highest bit, and larger bits the lower they are.
    return sign if key == sign else ~key


@kernel()
def _ascending(
    keys: NDArray[Any], pixels: NDArray[np.int32], other_keys: NDArray[Any], other_pixels: NDArray[np.int32]
) -> bool:
    """Sort keys ascending and pixels with them, equal keys as they were; return whether they are now in the others."""
    count = keys.size
    passes = (8 * keys.itemsize + _DIGIT - 1) // _DIGIT
    places = np.zeros((passes, _DIGITS), np.uint32)  # unsigned: see `_rise`
    for at in range(count):
        key = np.uint64(keys[at])
        for turn in range(passes):
            places[turn, (key >> np.uint64(_DIGIT * turn)) & np.uint64(_DIGITS - 1)] += 1
    is_swapped = False
    for turn in range(passes):
        next_places = places[turn]
        total = 0
        is_alike = False
        for value in range(_DIGITS):
            amount = next_places[value]
            is_alike = is_alike or amount == count
            next_places[value] = total
            total += amount
        if is_alike:
            continue
        shift = np.uint64(_DIGIT * turn)
        for at in range(count):
            digit = (np.uint64(keys[at]) >> shift) & np.uint64(_DIGITS - 1)
            place = next_places[digit]
            next_places[digit] = place + 1
            other_keys[place] = keys[at]
            other_pixels[place] = pixels[at]
        keys, other_keys = other_keys, keys
        pixels, other_pixels = other_pixels, pixels
        is_swapped = not is_swapped
    return is_swapped


@kernel(
    "(u4[::1], u1[::1], i4[::1], i4[:,::1], i4[::1], u4[:,::1], i4[:,::1], b1)",
    "(u8[::1], u1[::1], i4[::1], i4[:,::1], i4[::1], u8[:,::1], i4[:,::1], b1)",
)
def flood(
    bits: NDArray[Any],
    mask: NDArray[np.uint8],
    starts: NDArray[np.int32],
    labels: NDArray[np.int32],
    state: NDArray[np.int32],
    keys: NDArray[Any],
    lists: NDArray[np.int32],
    is_diagonal: bool,
) -> None:
    """Spread the labels of the markers over the pixels of the mask that they reach, the lowest first.

    A pixel's turn comes at its own height, or at the height of the flood that reaches it where that is higher; at equal
    heights in the order in which they were reached.

    Args:
        bits: (H * W,) heights, as the bits of floats.
        mask: (H * W,) zeros and ones.
        starts: where the runs of the mask start.
        labels: (H, W) the markers, and then the result.
        state: ((H + 2) * (W + 2),) zeros, where the picture with a rim around it is worked on. In it is 0 outside the
            mask, minus its label where a pixel has one, otherwise twice the number of its level, and 1 more if there
            are others on that level.
        keys: (2, H * W) to sort in.
        lists: (3, H * W) to sort in, and zeros in the last row.
        is_diagonal: whether a pixel is reached from its corners too.
    """
    runs = _contested_runs(mask, starts, labels, 1 if is_diagonal else 0)
    count = _shore(bits, starts, runs, labels, state, keys[0], lists[0])
    is_swapped = _ascending(keys[0, :count], lists[0, :count], keys[1, :count], lists[1, :count])
    heights = keys[1 if is_swapped else 0, :count]
    order, queue = lists[1 if is_swapped else 0], lists[0 if is_swapped else 1]
    _set_levels(heights, order, lists[2], state)
    _rise(heights, order, queue, lists[2], state, _steps(labels.shape[1] + 2, is_diagonal))
    flat = labels.ravel()
    for run in runs:
        shift = _padded(starts[run], labels.shape[1]) - starts[run]
        for at in range(starts[run], starts[run + 1]):
            flat[at] = max(0, -state[at + shift])


@kernel()
def _steps(stride: int, is_diagonal: bool) -> NDArray[np.int64]:
    """Return how far a pixel's neighbours are, those by a side first; the order decides where heights are equal."""
    steps = np.array([-stride, -1, 1, stride, -stride - 1, -stride + 1, stride - 1, stride + 1])
    return steps if is_diagonal else steps[:4]


@kernel()
def _contested_runs(
    mask: NDArray[np.uint8], starts: NDArray[np.int32], labels: NDArray[np.int32], reach: int
) -> NDArray[np.int32]:
    """Return the runs of the mask's components that hold several markers; where one holds one, or none, write it there.

    A flood goes all over the component that it begins in, and no further, so that most need not be flooded at all.
    """
    flat = labels.ravel()
    parents = joined_runs(mask, starts, labels.shape[1], reach)
    owners = np.zeros(starts.size, np.int32)  # by root: 0 nobody yet, -1 several
    for run in range(starts.size - 1):
        if mask[starts[run]] == 0:
            continue
        component = root(parents, run)
        owner = owners[component]
        at = starts[run]
        while owner >= 0 and at < starts[run + 1]:
            if flat[at] not in (0, owner):
                owner = flat[at] if owner == 0 else -1
            at += 1
        owners[component] = owner
    runs = np.empty(starts.size, np.int32)
    count = 0
    for run in range(starts.size - 1):
        owner = owners[root(parents, run)] if mask[starts[run]] else 0
        if owner < 0:
            runs[count] = run
            count += 1
        else:
            for at in range(starts[run], starts[run + 1]):
                flat[at] = owner
    return runs[:count]


@kernel()
def _shore(
    bits: NDArray[Any],
    starts: NDArray[np.int32],
    runs: NDArray[np.int32],
    labels: NDArray[np.int32],
    state: NDArray[np.int32],
    keys: NDArray[Any],
    order: NDArray[np.int32],
) -> int:
    """Write the first state, the keys and the places of the pixels that take part, and return how many do.

    That are the pixels without a label, and those beside them.
    """
    flat = labels.ravel()
    stride = labels.shape[1] + 2
    for run in runs:
        shift = _padded(starts[run], labels.shape[1]) - starts[run]
        for at in range(starts[run], starts[run + 1]):
            state[at + shift] = -flat[at] if flat[at] != 0 else _DRY
    count = 0
    for run in runs:
        shift = _padded(starts[run], labels.shape[1]) - starts[run]
        for at in range(starts[run], starts[run + 1]):
            place = at + shift
            is_shore = state[place] == _DRY
            if not is_shore:
                for row in (place - stride, place, place + stride):
                    is_shore |= (state[row - 1] == _DRY) | (state[row] == _DRY) | (state[row + 1] == _DRY)
            if is_shore:
                keys[count] = _key(bits[at], 8 * bits.itemsize)
                order[count] = place
                count += 1
    return count


@kernel()
def _padded(at: int, width: int) -> int:
    """Return where a pixel is in the picture with a rim of one pixel around it."""
    return at + at // width * 2 + width + 3


@kernel()
def _set_levels(
    heights: NDArray[Any], order: NDArray[np.int32], waiting_counts: NDArray[np.int32], state: NDArray[np.int32]
) -> None:
    """Write into the state the level of each pixel, and let the markers wait at theirs.

    A level is all pixels of one height, and its number the place after its first in the order. Those of a level that
    have been reached and wait for its turn are kept in that part of the order, in the order in which they came. A level
    of one needs no list: if its pixel has a label when its turn comes, it waits.
    """
    begin = 0
    while begin < heights.size:
        end = begin + 1
        while end < heights.size and heights[end] == heights[begin]:
            end += 1
        code = 2 * (begin + 1) + (1 if end > begin + 1 else 0)
        for at in range(begin, end):
            pixel = np.uint32(order[at])
            if state[pixel] == _DRY:
                state[pixel] = code
            else:
                order[begin + waiting_counts[begin]] = pixel
                waiting_counts[begin] += 1
        begin = end


@kernel()
def _rise(
    heights: NDArray[Any],
    order: NDArray[np.int32],
    queue: NDArray[np.int32],
    waiting_counts: NDArray[np.int32],
    state: NDArray[np.int32],
    steps: NDArray[np.int64],
) -> None:
    """Go from level to level, and from each pixel that waits there to its neighbours."""
    first = last = begin = 0
    while begin < heights.size:
        end = begin + 1
        while end < heights.size and heights[end] == heights[begin]:
            end += 1
        if end > begin + 1:
            for at in range(begin, begin + waiting_counts[begin]):
                queue[last] = order[at]
                last += 1
        elif state[order[begin]] < 0:
            queue[last] = order[begin]
            last += 1
        highest = 2 * (begin + 1) + 1
        while first < last:
            pixel = np.int64(queue[first])
            first += 1
            label = state[pixel]
            for step in steps:
                reached = np.uint64(pixel + step)  # of a signed index numba asks whether it counts from the end
                code = state[reached]
                if code <= 0:
                    continue
                state[reached] = label
                if code <= highest:
                    queue[last] = reached
                    last += 1
                elif code & 1:
                    level = (code >> 1) - 1
                    order[level + waiting_counts[level]] = reached
                    waiting_counts[level] += 1
        begin = end


@kernel(
    "(f4[:,::1], u4[::1], u1[:,::1], f8, i4[:,::1], u4[:,::1], i4[:,::1])",
    "(f8[:,::1], u8[::1], u1[:,::1], f8, i4[:,::1], u8[:,::1], i4[:,::1])",
)
def mark_minima(
    heights: NDArray[Any],
    bits: NDArray[Any],
    mask: NDArray[np.uint8],
    depth: float,
    markers: NDArray[np.int32],
    keys: NDArray[Any],
    lists: NDArray[np.int32],
) -> None:
    """Write the number of each deep minimum into zeros; `keys` and `lists` are room, as in `flood`."""
    height, width = heights.shape
    flat, marked = heights.ravel(), markers.ravel()
    count = _inside(bits, mask.ravel(), keys[0], lists[0])
    is_swapped = _ascending(keys[0, :count], lists[0, :count], keys[1, :count], lists[1, :count])
    order = lists[1 if is_swapped else 0]
    # A basin is the set of pixels that drain to its minimum, and the minimum is its root. Pixels come from the lowest
    # to the highest; one that touches several basins is where they meet, and all but the deepest end there.
    parents = lists[2]
    parents[:] = -1
    for turn in range(count):
        pixel = np.int64(order[turn])
        y = pixel // width
        x = pixel - y * width
        parents[pixel] = pixel
        deepest = pixel
        for to_y in range(max(y - 1, 0), min(y + 2, height)):
            for to_x in range(max(x - 1, 0), min(x + 2, width)):
                if parents[to_y * width + to_x] < 0:
                    continue
                basin = np.int64(root(parents, to_y * width + to_x))
                if basin == deepest:
                    continue
                is_deeper = flat[basin] < flat[deepest] or (flat[basin] == flat[deepest] and basin < deepest)
                ending = basin
                if is_deeper:
                    ending, deepest = deepest, basin
                if ending != pixel and flat[pixel] - flat[ending] >= depth:
                    marked[ending] = 1
                parents[ending] = deepest
    found = 0
    for at in range(flat.size):
        if marked[at] != 0 or parents[at] == at:
            found += 1
            marked[at] = found


@kernel()
def _inside(bits: NDArray[Any], mask: NDArray[np.uint8], keys: NDArray[Any], order: NDArray[np.int32]) -> int:
    """Write the keys and places of the pixels of a mask, and return how many they are."""
    count = 0
    for at in range(mask.size):
        if mask[at]:
            keys[count] = _key(bits[at], 8 * bits.itemsize)
            order[count] = at
            count += 1
    return count
