"""The assignment of `assign` where the allowed pairs are a list: memory follows its length, not rows times columns.

The algorithm is that of `_dense_assignment`, which explains it, with a heap in place of the scan. Rows and columns that
have nothing to do with each other never meet, so groups of neighbours need not be told apart first.
"""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel
from retinue.ops.stopping import NEVER, Stop

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


def heaviest_pairs(
    rows: Indices, columns: Indices, weights: Floats, row_count: int, column_count: int, stop: Stop = NEVER
) -> Indices:
    """Return which of the possible pairs make the pairing of the greatest total weight, ascending.

    Args:
        rows: [pairs], ascending, below ``row_count``.
        columns: [pairs], below ``column_count``; no pair comes twice.
        weights: [pairs], above 0 each.
        row_count: how many rows there are.
        column_count: how many columns there are.
        stop: ends the work early.

    Raises:
        Stopped: it is set.

    Notes:
        Each row has one more column, of its own, that costs nothing: to take it is to stay alone. All rows can be
        placed then, and what costs least weighs most.
    """
    if rows.size == 0 or (_is_single(rows, row_count) and _is_single(columns, column_count)):
        return np.arange(rows.size)
    everyone = np.arange(row_count)
    own = np.searchsorted(rows, everyone, side="right")  # the place behind each row's pairs
    chosen = solve_listed(
        np.append(0, own + everyone + 1),
        np.insert(columns, own, column_count + everyone),
        np.insert(-weights, own, 0.0),
        column_count + row_count,
        stop.flag,
    )
    stop.check()
    taken = chosen[chosen < own + everyone]
    return taken - np.searchsorted(own + everyone, taken)


def _is_single(places: Indices, count: int) -> bool:
    return int(np.bincount(places, minlength=count).max(initial=0)) <= 1


@kernel("(i8[::1], i8[::1], f8[::1], i8, u1[::1])")
def solve_listed(
    starts: Indices, columns: Indices, costs: Floats, column_count: int, stop: NDArray[np.uint8]
) -> Indices:
    """Return which pair each row is in, as an index into the list, -1 where in none: most pairs first, then least cost.

    Args:
        starts: [n + 1]; the pairs of row i are ``starts[i]`` to ``starts[i + 1]``.
        columns: [pairs], no column twice in a row.
        costs: [pairs], finite, and so are sums of them.
        column_count: m, more than every column.
        stop: [1], the flag of a `Stop`; once it is set, what is returned means nothing.
    """
    pair_of = np.full(len(starts) - 1, -1, np.int64)
    row_of = np.full(column_count, -1, np.int64)
    is_closed = np.zeros(column_count, np.bool_)
    if not _place(starts, columns, costs, pair_of, row_of, is_closed, stop):
        _place_again(starts, columns, costs, pair_of, is_closed, stop)
    return pair_of


@kernel()
def _place_again(
    starts: Indices,
    columns: Indices,
    costs: Floats,
    pair_of: Indices,
    is_closed: NDArray[np.bool_],
    stop: NDArray[np.uint8],
) -> None:
    """Give closed columns the rows that cost least in all."""
    n, m = len(pair_of), len(is_closed)
    is_rival = np.zeros(n, np.bool_)
    ends = np.zeros(m + 1, np.int64)
    for i in range(n):
        if pair_of[i] < 0 or is_closed[columns[pair_of[i]]]:
            is_rival[i] = True
            pair_of[i] = -1
            for pair in range(starts[i], starts[i + 1]):
                ends[columns[pair]] += 1
    # Their pairs, column by column.
    total = 0
    for j in range(m + 1):
        ends[j], total = total, total + ends[j]
    fill = ends.copy()
    rows, pairs, turned_costs = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total)
    for i in range(n):
        if is_rival[i]:
            for pair in range(starts[i], starts[i + 1]):
                k = fill[columns[pair]]
                fill[columns[pair]] += 1
                rows[k], pairs[k], turned_costs[k] = i, pair, costs[pair]
    place_of = np.full(m, -1, np.int64)
    _place(ends, rows, turned_costs, place_of, np.full(n, -1, np.int64), np.zeros(n, np.bool_), stop)
    for j in range(m):
        if place_of[j] >= 0:
            pair_of[rows[place_of[j]]] = pairs[place_of[j]]


@kernel()
def _place(
    starts: Indices,
    columns: Indices,
    costs: Floats,
    pair_of: Indices,
    row_of: Indices,
    is_closed: NDArray[np.bool_],
    stop: NDArray[np.uint8],
) -> bool:
    """Fill in the pair of each row and the row of each column; return False where rows are left, or columns closed."""
    n, m = len(pair_of), len(row_of)
    price = np.zeros(m)
    left = np.empty(n, np.int64)
    count = _bid(starts, columns, costs, price, pair_of, row_of, left, stop)
    open_price = price.copy()  # -inf for columns that need no more looking at: their reduced cost is infinite
    distance = np.full(m, np.inf)
    before, via = np.empty(m, np.int64), np.empty(m, np.int64)  # the row that a column is reached from, and the pair
    seen, reached = np.empty(m, np.int64), np.empty(m, np.int64)
    heap, place_in = np.empty(m, np.int64), np.full(m, -1, np.int64)
    is_complete = True
    for start in left[:count]:
        i, offset = start, 0.0
        seen_count, reached_count, heap_size = 0, 0, 0
        nearest, sink = np.inf, -1
        while not stop[0]:
            for pair in range(starts[i], starts[i + 1]):
                j = columns[pair]
                length = costs[pair] - open_price[j] - offset
                if length > nearest or (length == nearest and (row_of[j] >= 0 or j > sink)):
                    continue  # no better way ends or leads on here
                if length < distance[j]:
                    if distance[j] == np.inf:
                        seen[seen_count] = j
                        seen_count += 1
                    distance[j], before[j], via[j] = length, i, pair
                    if row_of[j] < 0:
                        nearest, sink = length, j
                    else:
                        heap_size = _lift(heap, place_in, distance, heap_size, j)
            if heap_size == 0 or distance[heap[0]] >= nearest:
                break
            j = heap[0]
            heap_size = _drop(heap, place_in, distance, heap_size)
            reached[reached_count] = j
            reached_count += 1
            i = row_of[j]
            offset = (costs[pair_of[i]] - price[j]) - distance[j]
            open_price[j] = -np.inf
        for k in range(heap_size):
            place_in[heap[k]] = -1
        for j in reached[:reached_count]:
            if sink < 0:
                is_closed[j] = True
            else:
                price[j] += distance[j] - nearest
                open_price[j] = price[j]
        for j in seen[:seen_count]:
            distance[j] = np.inf
        is_complete &= sink >= 0
        j = sink
        while j >= 0:
            i, pair = before[j], via[j]
            row_of[j] = i
            pair, pair_of[i] = pair_of[i], pair
            j = -1 if i == start else columns[pair]
    return is_complete


@kernel()
def _bid(
    starts: Indices,
    columns: Indices,
    costs: Floats,
    price: Floats,
    pair_of: Indices,
    row_of: Indices,
    left: Indices,
    stop: NDArray[np.uint8],
) -> int:
    """Let each row take its cheapest column, at a price that makes it indifferent to the next; count the rest."""
    n = len(pair_of)
    count, loser, row = 0, -1, 0
    bids, most_bids = 0, 3 * n  # bids of a rounding error could go on for ever
    while (row < n or loser >= 0) and not stop[0]:
        i = loser
        if loser < 0:
            i = row
            row += 1
        loser = -1
        bids += 1
        first, second = np.inf, np.inf
        chosen = -1
        for pair in range(starts[i], starts[i + 1]):
            j = columns[pair]
            value = costs[pair] - price[j]
            if value < first or (value == first and _is_better(j, columns[chosen], row_of)):
                first, second, chosen = value, first, pair
            elif value < second:
                second = value
        if chosen < 0 or (second == np.inf and row_of[columns[chosen]] >= 0):
            left[count] = i
            count += 1
            continue
        j = columns[chosen]
        is_raised = False
        if second < np.inf:
            lower = price[j] - (second - first)
            is_raised = lower < price[j]
            price[j] = lower
        out = row_of[j]
        pair_of[i], row_of[j] = chosen, i
        if out >= 0:
            pair_of[out] = -1
            if is_raised and bids < most_bids:
                loser = out
            else:
                left[count] = out
                count += 1
    return count


@kernel()
def _is_better(column: int, other: int, row_of: Indices) -> bool:
    """Return whether of two columns at one price the first is to be taken: one that is free, or else the lower."""
    is_free, is_other_free = bool(row_of[column] < 0), bool(row_of[other] < 0)
    return column < other if is_free == is_other_free else is_free


@kernel()
def _lift(heap: Indices, place_in: Indices, key: Floats, size: int, item: int) -> int:
    """Put an item in the heap, or let it rise if it is there and its key has fallen; return the heap's size."""
    child = place_in[item]
    if child < 0:
        child = size
        size += 1
    while child > 0:
        parent = (child - 1) >> 1
        above = heap[parent]
        if key[above] <= key[item]:
            break
        heap[child], place_in[above] = above, child
        child = parent
    heap[child], place_in[item] = item, child
    return size


@kernel()
def _drop(heap: Indices, place_in: Indices, key: Floats, size: int) -> int:
    """Take the first item out of the heap and return the heap's size."""
    place_in[heap[0]] = -1
    size -= 1
    if size == 0:
        return 0
    item = heap[size]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size and key[heap[child + 1]] < key[heap[child]]:
            child += 1
        if key[item] <= key[heap[child]]:
            break
        heap[parent] = heap[child]
        place_in[heap[child]] = parent
        parent = child
    heap[parent], place_in[item] = item, parent
    return size
