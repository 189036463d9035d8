"""Loops between polygons and runs.

Rasterising follows the published definition of COCO masks, whose result depends on every rounding: vertices are put on
a grid five times as fine, edges are drawn on it as integer lines, and where a line steps over the centre of a column of
pixels, the column toggles in the first row whose centre is not above. COCO's own code draws all points of all lines;
only those beside a centre matter, and they are computed directly here.
"""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel
from retinue.ops._rle_scan import Places, Runs, runs_of_toggles, with_room

FARTHEST = 2.0**32  # beyond any mask; the fine grid stays exact up to there
_FINER = 5
_BEFORE = 2  # a column's centre lies between these two of its fine places
_AFTER = 3
_AT_ONCE = 1 << 22  # about how many toggles are sorted at a time
_SORTED_BY_INSERTION = 24


@kernel("(f8[:,::1], i8, i8)")
def runs_of_polygon(points: NDArray[np.float64], height: int, width: int) -> Runs:
    """Return the runs of the pixels that a closed polygon ``x, y`` covers, by the even-odd rule.

    None at all, not even one of zeros, says that a point is not finite, or too far away.
    """
    count = points.shape[0]
    for j in range(count):
        if not (abs(points[j, 0]) <= FARTHEST and abs(points[j, 1]) <= FARTHEST):
            return np.empty(0, np.uint32)
    x, y = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    for j in range(count):
        x[j], y[j] = int(_FINER * points[j, 0] + 0.5), int(_FINER * points[j, 1] + 0.5)
    x[count], y[count] = x[0], y[0]
    first, last = _columns(x.min(), x.max(), 0, width)
    crossings = 0
    for j in range(count):
        begin, end = _columns(x[j], x[j + 1], first, last)
        crossings += end - begin
    toggles = np.empty(min(crossings, _AT_ONCE) + 1, np.int64)
    used = 0
    if crossings:  # so many columns at a time that memory stays bounded, however the polygon winds
        step = max(1, min(last - first, (last - first) * _AT_ONCE // crossings))
        for begin in range(first, last, step):
            rows, starts = _crossings(x, y, begin, min(begin + step, last), height)
            toggles = with_room(toggles, used, rows.size)
            used = _appended(rows, starts, begin, height, toggles, used)
    return runs_of_toggles(toggles, used, height * width)


@kernel()
def _columns(x_from: int, x_to: int, first: int, last: int) -> tuple[int, int]:
    """Return the range of the columns in [first, last) whose centre an edge steps over."""
    begin = (min(x_from, x_to) + _FINER - 1 - _BEFORE) // _FINER
    end = (max(x_from, x_to) - _AFTER) // _FINER + 1
    begin = min(max(begin, first), last)
    return begin, max(begin, min(end, last))


@kernel()
def _crossings(x: Places, y: Places, first: int, last: int, height: int) -> tuple[Places, Places]:
    """Return the rows in which the columns of [first, last) toggle, and where each column's begin."""
    starts = np.zeros(last - first + 2, np.int64)
    for j in range(x.size - 1):
        begin, end = _columns(x[j], x[j + 1], first, last)
        starts[begin - first + 1] += 1
        starts[end - first + 1] -= 1
    for _ in range(2):  # from changes to how many each column has, and from those to where they begin
        for k in range(1, starts.size):
            starts[k] += starts[k - 1]
    rows = np.empty(starts[last - first], np.int64)
    filled = starts.copy()
    for j in range(x.size - 1):
        begin, end = _columns(x[j], x[j + 1], first, last)
        if begin == end:
            continue
        across, down = abs(x[j + 1] - x[j]), abs(y[j + 1] - y[j])
        is_flat = across >= down
        # Lines are drawn to the right or downwards, so that neighbours who share one agree.
        is_reverse = x[j] > x[j + 1] if is_flat else y[j] > y[j + 1]
        a, b = (j + 1, j) if is_reverse else (j, j + 1)
        x_a, y_a = x[a], y[a]
        slope = (y[b] - y_a) / across if is_flat else (x[b] - x_a) / down
        inverse = 1 / slope
        upper = 1 if slope < 0 else 0  # which of both points beside the centre of a column is the upper one
        for column in range(begin, end):
            before = _FINER * column + _BEFORE
            if is_flat:
                fine = int(y_a + slope * (before + upper - x_a) + 0.5)
            else:
                fine = y_a + _last_before(x_a, slope, inverse, before, down)
            # The first row whose centre is not above.
            rows[filled[column - first]] = min((max(fine, _BEFORE) + _FINER - 1 - _BEFORE) // _FINER, height)
            filled[column - first] += 1
    return rows, starts


@kernel()
def _last_before(x: int, slope: float, inverse: float, before: int, steps: int) -> int:
    """Return the last step of a steep edge before it has gone over a column's centre."""
    step = int((before + 0.5 - x) * inverse) + 1
    if step > 1 and _is_over(x, slope, step - 1, before):
        step -= 1
    if step <= 0 or step > steps or not _is_over(x, slope, step, before) or _is_over(x, slope, step - 1, before):
        low, high = 0, steps  # the guess was off by roundings: search, as steps only ever go one way
        while low < high:
            step = (low + high) // 2
            if _is_over(x, slope, step, before):
                high = step
            else:
                low = step + 1
        step = low
    return max(step - 1, 0)


@kernel()
def _is_over(x: int, slope: float, step: int, before: int) -> bool:
    # Rounded down this is the fine column that the edge is in; a centre is never left of the first.
    return (x + slope * step + 0.5 >= before + 1) == (slope > 0)


@kernel()
def _appended(rows: Places, starts: Places, first: int, height: int, toggles: Places, used: int) -> int:
    """Append the toggles of columns from `first` on, ascending, but none that cancel; return how many there are."""
    for column in range(starts.size - 2):
        begin, end = starts[column], starts[column + 1]
        if end - begin > _SORTED_BY_INSERTION:
            rows[begin:end].sort()
        for i in range(begin + 1, end):
            row, k = rows[i], i
            while k > begin and rows[k - 1] > row:
                rows[k] = rows[k - 1]
                k -= 1
            rows[k] = row
        for k in range(begin, end):
            place = (first + column) * height + rows[k]
            if used and toggles[used - 1] == place:
                used -= 1
            else:
                toggles[used] = place
                used += 1
    return used


@kernel("(Array(u4, 1, 'C', readonly=True), i8, i8)")
def outlines_of_runs(runs: Runs, height: int, holes: int) -> tuple[NDArray[np.float64], Places]:
    """Return the corners of all outlines along the edges of pixels, and where each outline begins.

    Args:
        runs: of a mask.
        height: of the mask.
        holes: 0 leaves them out, 1 joins each to the outline around it, 2 gives each an outline of its own.

    Every stretch of a column has an edge at its top, walked to the right, and one at its foot, walked to the left. On
    the lines between columns it is found which edge follows which, so that the pixels lie to the right of the walker;
    pixels that only touch at a corner are not joined. Equal columns side by side count as one.
    """
    rows, ends, slabs = _edges(runs, height)
    after = _successors(rows, slabs)
    before = np.empty(rows.size, np.int64)
    for edge in range(rows.size):
        before[after[edge]] = edge
    is_seen, is_first = np.zeros(rows.size, np.bool_), np.zeros(rows.size, np.bool_)
    for first in range(rows.size):
        if is_seen[first]:
            continue
        edge = first
        while not is_seen[edge]:
            is_seen[edge] = True
            edge = after[edge]
        # The first edge of an outline is a top, but around a hole: there it is the foot of what lies above.
        is_first[first] = first % 2 == 0 or holes == 2
        if first % 2 and holes == 1:
            # Both edges start at one line between columns: what follows the foot is swapped with what led to the top of
            # the same stretch, which joins the two outlines by a line down to the hole and up again.
            led, follower = before[first - 1], after[first]
            after[led], before[follower] = follower, led
            after[first], before[first - 1] = first - 1, first
    corners = np.empty((2 * rows.size, 2))
    starts = np.zeros(is_first.sum() + 1, np.int64)
    used, outlines = 0, 0
    for first in range(rows.size):
        if is_first[first]:
            used = _walked(first, rows, ends, after, corners, used)
            outlines += 1
            starts[outlines] = used
    return corners[:used].copy(), starts


@kernel()
def _edges(runs: Runs, height: int) -> tuple[Places, Places, Places]:
    """Return the edges at the top and foot of each stretch in turn, and the slabs of equal columns they belong to.

    Returns:
        The row that each edge lies above, the column line that its walk ends at, and (n, 3) slabs: the line to its
        left, that to its right, and the first of its edges; one more slab, with none, ends them.
    """
    most = 3 * (runs.size // 2)  # a run covers a part of a column, whole ones, and a part of another
    rows, ends = np.empty(2 * most, np.int64), np.empty(2 * most, np.int64)
    slabs = np.empty((most + 1, 3), np.int64)
    used, count, place = 0, 0, 0
    for i in range(1, runs.size, 2):
        place += runs[i - 1]
        column, until = place // height, (place + runs[i] - 1) // height
        top, foot = place - column * height, place + runs[i] - until * height
        place += runs[i]
        for part in range(3):
            if part == 0:
                left, right, begin, end = column, column + 1, top, foot if column == until else height
            elif part == 1:
                left, right, begin, end = column + 1, until, 0, height
            else:
                left, right, begin, end = until, until + 1, 0, foot
            if right <= left or (part == 2 and column == until):
                continue
            if count == 0 or slabs[count - 1, 0] != left:
                slabs[count, 0], slabs[count, 1], slabs[count, 2] = left, right, used
                count += 1
            rows[used], ends[used] = begin, right
            rows[used + 1], ends[used + 1] = end, left
            used += 2
    slabs[count, 0], slabs[count, 1], slabs[count, 2] = -1, -1, used
    return rows[:used], ends[:used], slabs[: count + 1].copy().ravel()


@kernel()
def _successors(rows: Places, slabs: Places) -> Places:
    """Return which edge follows each."""
    after = np.empty(rows.size, np.int64)
    count = slabs.size // 3 - 1
    for slab in range(count):
        left, right, first, last = slabs[3 * slab], slabs[3 * slab + 1], slabs[3 * slab + 2], slabs[3 * slab + 5]
        if slab and slabs[3 * slab - 2] == left:
            _link(slabs[3 * slab - 1], first, first, last, rows, after)
        else:
            _link(first, first, first, last, rows, after)
        if slabs[3 * slab + 3] != right:
            _link(first, last, last, last, rows, after)
    return after


@kernel()
def _link(i: int, until_i: int, j: int, until_j: int, rows: Places, after: Places) -> None:
    """Say which edge follows which at the line between two slabs, whose edges are [i, until_i) and [j, until_j).

    Where only the right side is set, the line is an outline walked upwards, and where only the left side is, downwards.
    """
    upper = -1  # the edge that joins the outline being followed at its upper end
    is_left, is_right = False, False
    while i < until_i or j < until_j:
        row = min(rows[i] if i < until_i else rows[j], rows[j] if j < until_j else rows[i])
        a = i if i < until_i and rows[i] == row else -1
        b = j if j < until_j and rows[j] == row else -1
        i, j = i + (a >= 0), j + (b >= 0)
        was_left, was_right = is_left, is_right
        is_left, is_right = is_left ^ (a >= 0), is_right ^ (b >= 0)
        if was_left == was_right and is_left == is_right:  # the edge goes straight on
            if was_left:
                after[b] = a
            else:
                after[a] = b
            continue
        # Where both sides toggle, to opposite ends, each outline keeps to its own side: the pixels are not joined.
        if was_right and not was_left:
            after[b if b >= 0 else a] = upper
        elif was_left and not was_right:
            after[upper] = a if a >= 0 else b
        if is_right and not is_left:
            upper = b if b >= 0 else a
        elif is_left and not is_right:
            upper = a if a >= 0 else b


@kernel()
def _walked(first: int, rows: Places, ends: Places, after: Places, corners: NDArray[np.float64], used: int) -> int:
    """Write the corners of the outline of an edge, from its own start on; return how many are written then."""
    begin, edge = used, first
    while True:
        follower = after[edge]
        if rows[edge] != rows[follower]:
            corners[used, 0], corners[used, 1] = ends[edge], rows[edge]
            corners[used + 1, 0], corners[used + 1, 1] = ends[edge], rows[follower]
            used += 2
        edge = follower
        if edge == first:
            break
    x, y = corners[used - 1, 0], corners[used - 1, 1]  # the corner before the first edge comes first
    for k in range(used - 1, begin, -1):
        corners[k, 0], corners[k, 1] = corners[k - 1, 0], corners[k - 1, 1]
    corners[begin, 0], corners[begin, 1] = x, y
    return used
