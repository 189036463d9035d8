"""The loops of suppression, merging and fusion: the best box is taken, and what it overlaps is looked up."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel
from retinue.ops._overlap_kernels import IOU
from retinue.ops._suppression_order import descending_order
from retinue.ops._suppression_tiles import file_boxes, find_matches, has_match, limit_below, similarity, take_out


@kernel(
    "(f4[:,::1], i8[::1], i8[::1], i8, f8, i8, i8)",
    "(f8[:,::1], i8[::1], i8[::1], i8, f8, i8, i8)",
)
def kept_boxes(
    boxes: NDArray[Any],
    order: NDArray[np.int64],
    groups: NDArray[np.int64],
    group_count: int,
    threshold: float,
    metric: int,
    max_count: int,
) -> NDArray[np.int64]:
    """Return what is kept: no box that overlaps a better one by more than the threshold."""
    slots, items, where, tile_of, spans, extents, grids = file_boxes(boxes, groups, group_count)
    limit = limit_below(slots, threshold, False)
    kept, found = np.empty(max_count, np.int64), np.empty(len(boxes), np.int64)
    count = 0
    for item in order:
        if count == max_count:
            break
        if where[item] == -1:
            continue
        kept[count] = item
        count += 1
        if where[item] >= 0:
            take_out(slots, items, where, tile_of, spans, item)
            group = groups[item] if group_count > 1 else 0
            for k in range(find_matches(boxes, item, slots, spans, extents, grids, group, limit, metric, found)):
                take_out(slots, items, where, tile_of, spans, items[found[k]])
    return kept[:count]


@kernel(
    "(f4[:,::1], i8[::1], i8[::1], i8, f8, i8, b1)",
    "(f8[:,::1], i8[::1], i8[::1], i8, f8, i8, b1)",
)
def keepers_of(
    boxes: NDArray[Any],
    order: NDArray[np.int64],
    groups: NDArray[np.int64],
    group_count: int,
    threshold: float,
    metric: int,
    is_transitive: bool,
) -> NDArray[np.int64]:
    """Return for each box the one that takes it, by overlap of at least the threshold; itself if none does."""
    slots, items, where, tile_of, spans, extents, grids = file_boxes(boxes, groups, group_count)
    limit = limit_below(slots, threshold, True)
    keepers, found = np.arange(len(boxes)), np.empty(len(boxes), np.int64)
    for item in order:
        if where[item] >= 0:
            take_out(slots, items, where, tile_of, spans, item)
        elif keepers[item] == item or not is_transitive:
            continue
        group = groups[item] if group_count > 1 else 0
        for k in range(find_matches(boxes, item, slots, spans, extents, grids, group, limit, metric, found)):
            other = items[found[k]]
            keepers[other] = keepers[item]
            take_out(slots, items, where, tile_of, spans, other)
    return keepers


@kernel(
    "(f4[:,::1], f8[::1], i8[::1], i8, f8, f8, f8, i8)",
    "(f8[:,::1], f8[::1], i8[::1], i8, f8, f8, f8, i8)",
)
def softened(
    boxes: NDArray[Any],
    scores: NDArray[np.float64],
    groups: NDArray[np.int64],
    group_count: int,
    threshold: float,
    sigma: float,
    least: float,
    max_count: int,
) -> NDArray[np.int64]:
    """Return the indices in order and lower the scores in place; a sigma of 0 stands for the linear method.

    The boxes left are in a heap by the score they had when they were put there: no score rises, so the top is the best
    as soon as its score is up to date.
    """
    slots, items, where, tile_of, spans, extents, grids = file_boxes(boxes, groups, group_count)
    limit = limit_below(slots, threshold, False)
    picked, found = np.empty(max_count, np.int64), np.empty(len(boxes), np.int64)
    heap = descending_order(scores)
    keys = scores[heap]
    left, count = len(boxes), 0
    for item in range(left):
        if scores[item] < least and where[item] >= 0:
            take_out(slots, items, where, tile_of, spans, item)
    while left > 0 and count < max_count:
        item = heap[0]
        if scores[item] < least:
            left -= 1
            _sift_down(heap, keys, left, heap[left], keys[left])
            continue
        if scores[item] < keys[0]:
            _sift_down(heap, keys, left, item, scores[item])
            continue
        left -= 1
        _sift_down(heap, keys, left, heap[left], keys[left])
        picked[count] = item
        count += 1
        if where[item] < 0:
            continue
        take_out(slots, items, where, tile_of, spans, item)
        x1, y1, x2, y2 = boxes[item, 0], boxes[item, 1], boxes[item, 2], boxes[item, 3]
        area = (x2 - x1) * (y2 - y1)
        group = groups[item] if group_count > 1 else 0
        for k in range(find_matches(boxes, item, slots, spans, extents, grids, group, limit, IOU, found)):
            other = items[found[k]]
            iou = np.float64(similarity(slots, found[k], x1, y1, x2, y2, area, IOU))
            scores[other] *= math.exp(-(iou * iou) / sigma) if sigma > 0 else 1 - iou
            if scores[other] < least:
                take_out(slots, items, where, tile_of, spans, other)
    return picked[:count]


@kernel()
def _sift_down(heap: NDArray[np.int64], keys: NDArray[np.float64], size: int, item: int, key: float) -> None:
    """Put an item in the place of the top, and the best of the heap on top; of equal keys the lowest index."""
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        other = child + 1
        if other < size and (keys[other] > keys[child] or (keys[other] == keys[child] and heap[other] < heap[child])):
            child = other
        if key > keys[child] or (key == keys[child] and item < heap[child]):
            break
        heap[place], keys[place] = heap[child], keys[child]
        place = child
    heap[place], keys[place] = item, key


@kernel("(f4[:,::1], i8[::1], i8[::1], i8, f8)", "(f8[:,::1], i8[::1], i8[::1], i8, f8)")
def decays_among(
    boxes: NDArray[Any], order: NDArray[np.int64], groups: NDArray[np.int64], group_count: int, strength: float
) -> NDArray[np.float64]:
    """Return what each score is multiplied by; a strength of 0 stands for the linear kernel.

    From the worst to the best each box is taken out, so that only better ones are left to be found: once for the
    largest overlap of each, and once more, with these at hand, for the decay.
    """
    count = len(boxes)
    largest, decays = np.zeros(count), np.ones(count)
    found = np.empty(count, np.int64)
    for is_decay in (False, True):
        slots, items, where, tile_of, spans, extents, grids = file_boxes(boxes, groups, group_count)
        limit = limit_below(slots, 0.0, False)
        for item in order[::-1]:
            if where[item] < 0:
                continue
            take_out(slots, items, where, tile_of, spans, item)
            x1, y1, x2, y2 = boxes[item, 0], boxes[item, 1], boxes[item, 2], boxes[item, 3]
            area = (x2 - x1) * (y2 - y1)
            group = groups[item] if group_count > 1 else 0
            for k in range(find_matches(boxes, item, slots, spans, extents, grids, group, limit, IOU, found)):
                iou = np.float64(similarity(slots, found[k], x1, y1, x2, y2, area, IOU))
                if is_decay:
                    decays[item] = min(decays[item], _quotient(iou, largest[items[found[k]]], strength))
                else:
                    largest[item] = max(largest[item], iou)
    return decays


@kernel()
def _quotient(iou: float, largest: float, strength: float) -> float:
    if strength > 0:
        return math.exp(strength * (largest * largest - iou * iou))
    return (1 - iou) / (1 - largest) if largest < 1 else 1.0


@kernel("(f8[:,::1], f8[::1], i8[::1], i8[::1], i8, f8)")
def fused_clusters(
    boxes: NDArray[Any],
    scores: NDArray[Any],
    order: NDArray[np.int64],
    groups: NDArray[np.int64],
    group_count: int,
    threshold: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the cluster of each box, the mean of each cluster, and the box that began it."""
    count = len(boxes)
    starts = np.zeros(group_count + 1, np.int64)
    for item in range(count):
        starts[(groups[item] if group_count > 1 else 0) + 1] += 1
    for group in range(group_count):
        starts[group + 1] = starts[group] + ((starts[group + 1] + 15) >> 4 << 4)
    ends = starts[:-1].copy()
    # The mean of a cluster is in a slot, laid out as in tiles: sixteen are compared in one go.
    slots, numbers = np.zeros((starts[-1] >> 4, 5, 16)), np.empty(starts[-1], np.int64)
    clusters, firsts = np.empty(count, np.int64), np.empty(count, np.int64)
    sums, totals, fused = np.zeros((count, 4)), np.zeros(count), np.empty((count, 4))
    begun = 0
    for item in order:
        group = groups[item] if group_count > 1 else 0
        x1, y1, x2, y2 = boxes[item, 0], boxes[item, 1], boxes[item, 2], boxes[item, 3]
        area = (x2 - x1) * (y2 - y1)
        best, slot = threshold, -1
        for block in range(starts[group] >> 4, (ends[group] + 15) >> 4):
            if has_match(slots, block, x1, y1, x2, y2, area, best, IOU):
                for other in range(block << 4, min(ends[group], (block + 1) << 4)):
                    iou = similarity(slots, other, x1, y1, x2, y2, area, IOU)
                    if iou > best:
                        best, slot = iou, other
        if slot < 0:
            slot = ends[group]
            ends[group] += 1
            numbers[slot], firsts[begun] = begun, item
            begun += 1
        cluster = numbers[slot]
        clusters[item] = cluster
        totals[cluster] += scores[item]
        for k in range(4):
            sums[cluster, k] += scores[item] * boxes[item, k]
            if firsts[cluster] == item:
                fused[cluster, k] = boxes[item, k]  # as it is, not divided by what it was multiplied by
            elif totals[cluster] > 0:
                fused[cluster, k] = sums[cluster, k] / totals[cluster]
            slots[slot >> 4, k, slot & 15] = fused[cluster, k]
        slots[slot >> 4, 4, slot & 15] = (fused[cluster, 2] - fused[cluster, 0]) * (
            fused[cluster, 3] - fused[cluster, 1]
        )
    return clusters, fused[:begun], firsts[:begun]
