"""The assignment of `assign` where the allowed pairs are a list: time and memory follow its length, not rows x columns.

The algorithm is that of `_dense_assignment`, which explains it, with a heap in place of the scan. Rows and columns that
have nothing to do with each other never meet, so groups of neighbours need not be told apart first.
"""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import native
from retinue.ops._kernel import kernel

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


def assign_listed(rows: Indices, columns: Indices, costs: Floats, row_count: int, column_count: int) -> Indices:
    """Return which of the allowed pairs are made, ascending: most pairs first, then least total cost.

    Args:
        rows: [pairs], ascending, below ``row_count``.
        columns: [pairs], below ``column_count``; no pair comes twice.
        costs: [pairs], finite.
        row_count: how many rows there are.
        column_count: how many columns there are.
    """
    starts = np.searchsorted(rows, np.arange(row_count + 1)).astype(np.int64, copy=False)
    chosen = _solve(starts, native(columns), native(costs), column_count)
    return chosen[chosen >= 0]


def heaviest_pairs(rows: Indices, columns: Indices, weights: Floats, row_count: int, column_count: int) -> Indices:
    """Return which of the possible pairs make the pairing of the greatest total weight, ascending.

    Args:
        rows: [pairs], ascending, below ``row_count``.
        columns: [pairs], below ``column_count``; no pair comes twice.
        weights: [pairs], above 0 each.
        row_count: how many rows there are.
        column_count: how many columns there are.

    Notes:
        Each row has one more column, of its own, that costs nothing: to take it is to stay alone. All rows can be
        placed then, and what costs least weighs most.
    """
    if rows.size == 0 or (_is_single(rows, row_count) and _is_single(columns, column_count)):
        return np.arange(rows.size)
    everyone = np.arange(row_count)
    own = np.searchsorted(rows, everyone, side="right")  # the place behind each row's pairs
    chosen = assign_listed(
        np.insert(rows, own, everyone),
        np.insert(columns, own, column_count + everyone),
        np.insert(-weights, own, 0.0),
        row_count,
        column_count + row_count,
    )
    is_alone = np.isin(chosen, own + everyone, assume_unique=True)
    taken = chosen[~is_alone]
    return taken - np.searchsorted(own + everyone, taken)


def _is_single(places: Indices, count: int) -> bool:
    return int(np.bincount(places, minlength=count).max(initial=0)) <= 1


@kernel("(i8[::1], i8[::1], f8[::1], i8)")
def _solve(starts: Indices, columns: Indices, costs: Floats, column_count: int) -> Indices:
    """Return which pair each row is in, as an index into the list, -1 where in none: most pairs first, then least cost.

    Args:
        starts: [n + 1]; the pairs of row i are ``starts[i]`` to ``starts[i + 1]``.
        columns: [pairs], no column twice in a row.
        costs: [pairs], finite.
        column_count: m, more than every column.
    """
    n = len(starts) - 1
    pair_of = np.full(n, -1, np.int64)
    row_of = np.full(column_count, -1, np.int64)
    price = np.zeros(column_count)
    free = np.arange(n)
    count = n
    for _ in range(2):
        count = _bid(starts, columns, costs, price, pair_of, row_of, free, count)
    distance = np.full(column_count, np.inf)
    before = np.empty(column_count, np.int64)  # the row that a column is reached from
    via = np.empty(column_count, np.int64)  # and the pair
    seen = np.empty(column_count, np.int64)
    is_closed = np.zeros(column_count, np.bool_)
    is_done = np.zeros(column_count, np.bool_)  # or a rounding error could lead the way round in a circle
    keys = np.empty(len(columns))
    heap = np.empty(len(columns), np.int64)
    for k in range(count):
        start = free[k]
        end, length, seen_count = start, 0.0, 0
        # First through open columns to a free one; if there is none, on through closed ones to the row to leave out.
        for is_second in (False, True):
            size, opened = 0, seen_count
            i, offset, own = start, 0.0, 0
            while True:
                for pair in range(starts[i], starts[i + 1]):
                    j = columns[pair]
                    value = offset + (costs[pair] - price[j])
                    if is_closed[j] == is_second and not is_done[j] and value < distance[j]:
                        if distance[j] == np.inf:
                            seen[seen_count] = j
                            seen_count += 1
                        distance[j], before[j], via[j] = value, i, pair
                        size = _push(keys, heap, size, value, j)
                if is_second and own < opened:  # the rows of the open tree come first, each with its own distance
                    j = seen[own]
                    own += 1
                    i = row_of[j]
                    offset = distance[j] - (costs[pair_of[i]] - price[j])
                    if offset < length:
                        end, length = i, offset
                    continue
                j, value = -1, np.inf
                while size > 0:
                    value, j = keys[0], heap[0]
                    size = _pop(keys, heap, size)
                    if value == distance[j]:
                        break
                    j = -1
                if j < 0 or (is_second and value >= length):
                    break
                is_done[j] = True
                i = row_of[j]
                if i < 0:
                    break
                offset = value - (costs[pair_of[i]] - price[j])
                if is_second and offset < length:
                    end, length = i, offset
            if not is_second and j >= 0:
                break
        is_placed = not is_second
        if is_placed:
            length = value
        for s in range(seen_count):
            column = seen[s]
            if distance[column] < length or (is_second and s < opened):
                price[column] += distance[column] - length
            if is_second and s < opened:
                is_closed[column] = True
            distance[column] = np.inf
            is_done[column] = False
        if not is_placed and end != start:
            j = columns[pair_of[end]]
            pair_of[end] = -1
        while is_placed or end != start:
            i = before[j]
            row_of[j] = i
            old = pair_of[i]
            pair_of[i] = via[j]
            if i == start:
                break
            j = columns[old]
    return pair_of


@kernel()
def _bid(
    starts: Indices,
    columns: Indices,
    costs: Floats,
    price: Floats,
    pair_of: Indices,
    row_of: Indices,
    free: Indices,
    count: int,
) -> int:
    """Let free rows take their cheapest column, at a price that makes the next as good; return how many are left."""
    k, left, bids = 0, 0, 0
    most_bids = 8 * count + 8  # bids of a rounding error could go on for ever
    while k < count:
        i = free[k]
        k += 1
        bids += 1
        first, second = np.inf, np.inf
        p1, p2 = -1, -1
        for pair in range(starts[i], starts[i + 1]):
            value = costs[pair] - price[columns[pair]]
            if value < first:
                second, p2 = first, p1
                first, p1 = value, pair
            elif value < second:
                second, p2 = value, pair
        if p1 < 0 or (p2 < 0 and row_of[columns[p1]] >= 0):
            free[left] = i
            left += 1
            continue
        is_raised = p2 >= 0 and price[columns[p1]] - (second - first) < price[columns[p1]]
        if is_raised:
            price[columns[p1]] -= second - first
        elif p2 >= 0 and row_of[columns[p1]] >= 0:
            p1 = p2
        loser = row_of[columns[p1]]
        pair_of[i] = p1
        row_of[columns[p1]] = i
        if loser >= 0:
            pair_of[loser] = -1
            if is_raised and bids < most_bids:
                k -= 1
                free[k] = loser
            else:
                free[left] = loser
                left += 1
    return left


@kernel()
def _push(keys: Floats, heap: Indices, size: int, key: float, item: int) -> int:
    """Add an item to the heap and return its new size."""
    child = size
    while child > 0:
        parent = (child - 1) >> 1
        if keys[parent] <= key:
            break
        keys[child], heap[child] = keys[parent], heap[parent]
        child = parent
    keys[child], heap[child] = key, item
    return size + 1


@kernel()
def _pop(keys: Floats, heap: Indices, size: int) -> int:
    """Take the first item off the heap and return its new size."""
    size -= 1
    key, item = keys[size], heap[size]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if key <= keys[child]:
            break
        keys[parent], heap[parent] = keys[child], heap[child]
        parent = child
    keys[parent], heap[parent] = key, item
    return size
