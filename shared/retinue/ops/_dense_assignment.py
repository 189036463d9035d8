"""The kernel behind `assign`: shortest augmenting paths over a dense matrix, forbidden entries among them.

Jonker and Volgenant's algorithm (Computing 38, 1987) without its column reduction: rows take their cheapest column
while they outbid each other, and those left over are placed by Dijkstra's algorithm over reduced costs. Prices start
at 0 and only ever fall on columns that are taken, which is what optimality asks where columns are left over. A row
from which no free column can be reached stays without one, and so does the number of pairs; but another row of its
search tree might be the better one to leave out. The columns of such trees are *closed*: all are taken, and the rows
that hold them reach no others. So the rest of the matrix is right as it is, and of closed columns and the rows that
compete for them a smaller problem is made, turned by a quarter: there each closed column finds its cheapest row, and
all can be placed. No large number stands for a forbidden pair, so none costs digits. Rows are looked at in blocks of
columns, by loops that the compiler turns into vector instructions. It does not for the minimum of floats; it does for
integers, and read as integers floats are ordered alike, once negative ones are flipped.
"""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

BLOCK = 64
"""How many columns make a block."""
NOT_A_COST = -1
"""Answer where an entry is NaN, or the infinity that is not the one that forbids."""

_MOST = np.int64(2**63 - 1)  # above the key of every float
_INFINITY = np.int64(0x7FF << 52)  # the key of infinity
_HUGE = 2.0**960  # sums of costs up to this stay finite
_SHRINK = 2.0**-64
_TILE = 32  # rows of a tall matrix that are turned together


@kernel("(f8[:,::1], f8, f8, f8[:,:,::1], i8[:,::1], u1[::1])")
def solve_dense(
    cost: Floats, sign: float, limit: float, work: NDArray[np.float64], pairs: Indices, stop: NDArray[np.uint8]
) -> int:
    """Fill in the pairs, rows ascending, and return how many there are, or `NOT_A_COST`.

    Args:
        cost: [a, b].
        sign: 1.0, or -1.0 to have the entries as large as possible; what is forbidden is infinite after it is applied.
        limit: entries above it, after the sign is applied, are forbidden too.
        work: [min(a, b), blocks of max(a, b), BLOCK], overwritten. Memory from numpy comes in large pages.
        pairs: [2, min(a, b)], overwritten.
        stop: [1], the flag of a `Stop`; once it is set, pairs mean nothing.
    """
    a, b = cost.shape
    if a == 0 or b == 0:
        return 0
    is_tall = a > b
    if not _copy(cost, sign, limit, work):
        return NOT_A_COST
    column_of = np.full(len(work), -1, np.int64)
    row_of = np.full(work.shape[1] * BLOCK, -1, np.int64)
    is_closed = np.zeros(len(row_of), np.bool_)
    if not _place(work, column_of, row_of, is_closed, stop):
        _place_again(work, column_of, row_of, is_closed, stop)
    count = 0
    for i in range(a):
        j = row_of[i] if is_tall else column_of[i]
        if j >= 0:
            pairs[0, count], pairs[1, count] = i, j
            count += 1
    return count


@kernel()
def _copy(cost: Floats, sign: float, limit: float, work: NDArray[np.float64]) -> bool:
    """Fill in the work matrix, with no more rows than columns; return whether all entries are costs."""
    a, b = cost.shape
    n, m = len(work), max(a, b)
    rows = work.reshape(n, work.shape[1] * BLOCK)
    rows[:, m:] = np.inf
    if a > b:
        whole = a // _TILE * _TILE
        for begin in range(0, whole, _TILE):  # a tile at a time stays in the cache
            tile = cost[begin : begin + _TILE]
            for j in range(b):
                target = rows[j, begin : begin + _TILE]
                for k in range(_TILE):
                    target[k] = tile[k, j]
        for i in range(whole, a):
            for j in range(b):
                rows[j, i] = cost[i, j]
    bad, huge = 0, 0
    for i in range(n):
        source = rows[i] if a > b else cost[i]
        target = rows[i]
        for j in range(m):
            value = sign * source[j] + 0.0  # so that there is no -0.0, which as an integer is below 0.0
            kept = value if value <= limit else np.inf
            bad += not value > -np.inf  # NaN is not either
            huge += (abs(kept) > _HUGE) & (kept < np.inf)
            target[j] = kept
    if huge:
        for i in range(n):
            rows[i] *= _SHRINK
    return bad == 0


@kernel()
def _place_again(
    work: NDArray[np.float64],
    column_of: Indices,
    row_of: Indices,
    is_closed: NDArray[np.bool_],
    stop: NDArray[np.uint8],
) -> None:
    """Give closed columns the rows that cost least in all."""
    columns = np.flatnonzero(is_closed)
    rows = np.empty(len(work), np.int64)
    count = 0
    for i in range(len(work)):
        if column_of[i] < 0 or is_closed[column_of[i]]:
            column_of[i] = -1
            rows[count] = i
            count += 1
    turned = np.full((len(columns), (count + BLOCK - 1) // BLOCK, BLOCK), np.inf)
    for s in range(count):
        for t in range(len(columns)):
            turned[t, s // BLOCK, s % BLOCK] = work[rows[s], columns[t] // BLOCK, columns[t] % BLOCK]
    row_at = np.full(len(columns), -1, np.int64)
    column_at = np.full(turned.shape[1] * BLOCK, -1, np.int64)
    _place(turned, row_at, column_at, np.zeros(len(column_at), np.bool_), stop)
    if stop[0]:
        return  # columns are left without a row
    for t in range(len(columns)):
        i = rows[row_at[t]]
        column_of[i], row_of[columns[t]] = columns[t], i


@kernel()
def _place(
    cost: NDArray[np.float64],
    column_of: Indices,
    row_of: Indices,
    is_closed: NDArray[np.bool_],
    stop: NDArray[np.uint8],
) -> bool:
    """Fill in the column of each row and the row of each column; return False where columns were closed, or rows left.

    Of the rows, as many have a column then as can have one; those that were -1 and cannot be placed stay -1.
    """
    n, blocks = cost.shape[:2]
    price, distance = np.zeros((blocks, BLOCK)), np.empty((blocks, BLOCK))
    keys = distance.view(np.int64)
    taken = np.zeros((blocks, BLOCK), np.int64)  # or-ed to a key it leaves that of a free column, and hides others
    free = np.empty(n, np.int64)
    count = _bid(cost, price, column_of, row_of, taken, free, distance, keys, stop)
    if count == 0 or stop[0]:
        return True
    open_price = price.copy()
    before = np.empty((blocks, BLOCK), np.int64)
    reached, lengths = np.empty(n, np.int64), np.empty(n)
    is_complete = True
    for k in range(count):
        size = _augment(
            cost, price, open_price, column_of, row_of, taken, free[k], distance, keys, before, reached, lengths
        )
        if stop[0]:
            return True
        if size >= 0:
            is_complete = False
            for s in range(size):
                is_closed[reached[s]] = True
    return is_complete


@kernel()
def _bid(
    cost: NDArray[np.float64],
    price: Floats,
    column_of: Indices,
    row_of: Indices,
    taken: Indices,
    free: Indices,
    value: Floats,
    keys: Indices,
    stop: NDArray[np.uint8],
) -> int:
    """Let each row take its cheapest column, at a price that makes it indifferent to the next; count those left over.

    Args that are not as in `_place`:
        free: overwritten with the rows left over.
        value: one for each column, overwritten.
        keys: the same memory, seen as integers.
    """
    n, blocks = cost.shape[:2]
    left, loser = 0, -1
    bids, most_bids = 0, 3 * n  # bids of a rounding error could go on for ever
    row = 0
    while (row < n or loser >= 0) and not stop[0]:
        i = loser
        if loser < 0:
            i = row
            row += 1
        loser = -1
        bids += 1
        first, second, first_free = _MOST, _MOST, _MOST
        at, free_at = 0, 0
        for b in range(blocks):
            for k in range(BLOCK):
                value[b, k] = cost[i, b, k] - price[b, k]
            low, low_free = _MOST, _MOST
            for k in range(BLOCK):
                key = keys[b, k] ^ ((keys[b, k] >> 63) & _MOST)
                low = min(low, key)
                low_free = min(low_free, key | taken[b, k])
            if low < first:
                first, second, at = low, first, b
            elif low < second:
                second = low
            if low_free < first_free:
                first_free, free_at = low_free, b
        is_free = first == first_free  # of equal columns one that is free, and the first
        if is_free:
            at = free_at
        place = _place_of(first, keys[at], taken[at], is_free)
        least = value[at, place]
        value[at, place] = np.inf
        for k in range(BLOCK):
            second = min(second, keys[at, k] ^ ((keys[at, k] >> 63) & _MOST))
        if first >= _INFINITY or (second >= _INFINITY and not is_free):
            free[left] = i
            left += 1
            continue
        is_raised = False
        if second < _INFINITY:
            keys[0, 0] = second ^ ((second >> 63) & _MOST)
            lower = price[at, place] - (value[0, 0] - least)
            is_raised = lower < price[at, place]
            price[at, place] = lower
        j = at * BLOCK + place
        out = row_of[j]
        column_of[i], row_of[j], taken[at, place] = j, i, _MOST
        if out >= 0:
            column_of[out] = -1
            if is_raised and bids < most_bids:
                loser = out
            else:
                free[left] = out
                left += 1
    return left


@kernel()
def _augment(
    cost: NDArray[np.float64],
    price: Floats,
    open_price: Floats,
    column_of: Indices,
    row_of: Indices,
    taken: Indices,
    start: int,
    distance: Floats,
    keys: Indices,
    before: Indices,
    reached: Indices,
    lengths: Floats,
) -> int:
    """Place a row along the cheapest way to a free column; return -1, or how many columns it reaches if none is free.

    Args that are not as in `_place`:
        open_price: `price`, but -inf for columns that need no more looking at: their reduced cost is infinite.
        start: the row.
        distance: overwritten; `keys` is the same memory.
        before: overwritten.
        reached: overwritten with columns that were reached, nearest first.
        lengths: overwritten with how far these are.
    """
    blocks = cost.shape[1]
    distance[:] = np.inf
    i, offset, size = start, 0.0, 0
    while True:
        first, first_free = _MOST, _MOST
        at, free_at = 0, 0
        for b in range(blocks):
            for k in range(BLOCK):
                length = cost[i, b, k] - open_price[b, k] - offset
                is_nearer = length < distance[b, k]
                distance[b, k] = length if is_nearer else distance[b, k]
                before[b, k] = i if is_nearer else before[b, k]
            low, low_free = _MOST, _MOST
            for k in range(BLOCK):
                key = keys[b, k] ^ ((keys[b, k] >> 63) & _MOST)
                low = min(low, key)
                low_free = min(low_free, key | taken[b, k])
            if low < first:
                first, at = low, b
            if low_free < first_free:
                first_free, free_at = low_free, b
        if first >= _INFINITY:
            return size
        is_free = first == first_free
        if is_free:
            at = free_at
        place = _place_of(first, keys[at], taken[at], is_free)
        length = distance[at, place]
        j = at * BLOCK + place
        if is_free:
            break
        reached[size], lengths[size] = j, length
        size += 1
        i = row_of[j]
        offset = (cost[i, at, place] - price[at, place]) - length
        distance[at, place] = np.inf
        open_price[at, place] = -np.inf
    for s in range(size):
        b, k = reached[s] // BLOCK, reached[s] % BLOCK
        price[b, k] += lengths[s] - length
        open_price[b, k] = price[b, k]
    taken[at, place] = _MOST
    while True:
        i = before[j // BLOCK, j % BLOCK]
        row_of[j] = i
        j, column_of[i] = column_of[i], j
        if i == start:
            return -1


@kernel()
def _place_of(sought: int | np.int64, keys: Indices, taken: Indices, is_free: bool) -> int:
    """Return the first place of a key in a block, or of one of a free column."""
    hidden = _MOST if is_free else np.int64(0)
    place = BLOCK
    for k in range(BLOCK):
        key = (keys[k] ^ ((keys[k] >> 63) & _MOST)) | (taken[k] & hidden)
        place = min(place, k if key == sought else BLOCK)
    return place
