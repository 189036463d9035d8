"""The best one-to-one pairing where few of all pairs are possible, as between instances of two pictures."""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import native
from retinue.ops._kernel import kernel

Places = NDArray[np.int64]
Doubles = NDArray[np.float64]


def heaviest_pairs(rows: Places, columns: Places, weights: Doubles, row_count: int, column_count: int) -> Places:
    """Return which of the possible pairs make the one-to-one pairing of the greatest total weight, ascending.

    Args:
        rows: (n,) ascending, below row_count.
        columns: (n,) below column_count; no pair comes twice.
        weights: (n,) above 0 each.
        row_count: how many rows there are.
        column_count: how many columns there are.

    Notes:
        Memory follows the number of pairs. Instances that overlap a few others each fall into small groups, and the
        time follows the size of the groups.

    Source:
        Shortest augmenting paths: Jonker and Volgenant, 1987; here on lists of pairs, with the choice to leave a row
        alone at no cost.
    """
    if rows.size == 0 or (_is_single(rows, row_count) and _is_single(columns, column_count)):
        return np.arange(rows.size)
    starts = np.searchsorted(rows, np.arange(row_count + 1))
    return np.flatnonzero(_chosen(starts, native(columns), native(weights), column_count))


def _is_single(places: Places, count: int) -> bool:
    return int(np.bincount(places, minlength=count).max(initial=0)) <= 1


@kernel("(i8[::1], i8[::1], f8[::1], i8)")
def _chosen(starts: Places, columns: Places, weights: Doubles, column_count: int) -> NDArray[np.bool_]:
    """Return a claim for each pair, rows one after the other: each takes its place by the cheapest chain of moves.

    A pair costs its weight less than nothing. `row_prices` and `column_prices` keep every cost above their sum, and
    equal to it for pairs that are taken; column prices start at 0 and fall, free columns stay at 0. A row may end a
    chain by staying alone, which costs nothing: then it stays so for good.
    """
    row_count = starts.size - 1
    is_chosen = np.zeros(columns.size, np.bool_)
    pair_of_column = np.full(column_count, -1, np.int64)
    row_of_pair = np.empty(columns.size, np.int64)
    for row in range(row_count):
        row_of_pair[starts[row] : starts[row + 1]] = row
    pair_of_row = np.full(row_count, -1, np.int64)
    row_prices = np.zeros(row_count)
    column_prices = np.zeros(column_count)
    distances = np.full(column_count, np.inf)
    is_done = np.zeros(column_count, np.bool_)
    came_by = np.empty(column_count, np.int64)  # the pair by which a column is reached
    reached = np.empty(column_count, np.int64)
    for first in range(row_count):
        # The least price that is allowed: the row's cheapest way out then costs 0 more than it.
        price = 0.0
        for pair in range(starts[first], starts[first + 1]):
            price = min(price, -weights[pair] - column_prices[columns[pair]])
        row_prices[first] = price
        reached_count = 0
        row, so_far = first, 0.0
        alone_row, alone_at = first, -price
        last = -1  # the free column that the chain ends in
        end_at = 0.0
        while True:
            for pair in range(starts[row], starts[row + 1]):
                column = columns[pair]
                if is_done[column]:
                    continue
                distance = so_far - weights[pair] - row_prices[row] - column_prices[column]
                if distance < distances[column]:
                    if distances[column] == np.inf:
                        reached[reached_count] = column
                        reached_count += 1
                    distances[column] = distance
                    came_by[column] = pair
            nearest, least = -1, alone_at
            for i in range(reached_count):
                column = reached[i]
                if not is_done[column] and (
                    distances[column] < least
                    or (distances[column] == least and (nearest < 0 or pair_of_column[column] < 0))
                ):
                    nearest, least = column, distances[column]
            end_at = least
            if nearest < 0:
                break  # nothing is nearer than leaving a row alone
            if pair_of_column[nearest] < 0:
                last = nearest
                break
            is_done[nearest] = True
            so_far = least
            row = row_of_pair[pair_of_column[nearest]]
            if so_far - row_prices[row] < alone_at:
                alone_row, alone_at = row, so_far - row_prices[row]
        row_prices[first] += end_at
        for i in range(reached_count):
            column = reached[i]
            if is_done[column]:
                gap = end_at - distances[column]
                column_prices[column] -= gap
                row_prices[row_of_pair[pair_of_column[column]]] += gap
        # Walk the chain back to its first row; each row leaves its column to the one before it.
        if last < 0 and alone_row != first:
            last = columns[pair_of_row[alone_row]]
            pair_of_row[alone_row] = -1
        while last >= 0:
            pair = came_by[last]
            row = row_of_pair[pair]
            left = -1 if pair_of_row[row] < 0 else columns[pair_of_row[row]]
            pair_of_row[row] = pair
            pair_of_column[last] = pair
            last = left if row != first else -1
        for i in range(reached_count):
            distances[reached[i]] = np.inf
            is_done[reached[i]] = False
    for row in range(row_count):
        if pair_of_row[row] >= 0:
            is_chosen[pair_of_row[row]] = True
    return is_chosen
