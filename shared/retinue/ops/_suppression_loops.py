"""The loops of suppression, merging and fusion: the best box is taken, and what it overlaps is looked up."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel
from retinue.ops._overlap_kernels import IOU
from retinue.ops._suppression_tiles import file_boxes, find_matches, limit_below, overlap_block, take_out

_FEW = 192  # so many, and they would be filed in more than one tile


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
    if group_count == 1 and len(boxes) <= _FEW:
        return _kept_of_few(boxes, order, threshold, metric, max_count)
    slots, items, where, tile_of, spans, extents, grids = file_boxes(boxes, groups, group_count)
    limit = limit_below(slots, threshold, False)
    kept, found = np.empty(max_count, np.int64), np.empty(len(boxes), np.int64)
    overlaps, scratch = np.empty(len(boxes), boxes.dtype), np.empty(16, boxes.dtype)
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
            match_count = find_matches(
                boxes, item, slots, spans, extents, grids, group, limit, metric, found, overlaps, scratch
            )
            for k in range(match_count):
                take_out(slots, items, where, tile_of, spans, items[found[k]])
    return kept[:count]


@kernel()
def _kept_of_few(
    boxes: NDArray[Any], order: NDArray[np.int64], threshold: float, metric: int, max_count: int
) -> NDArray[np.int64]:
    """Return what is kept, from slots by descending score: so few are compared before they are filed in tiles."""
    count = len(boxes)
    block_count = (count + 15) >> 4
    slots, is_dropped = np.zeros((block_count, 5, 16), boxes.dtype), np.zeros((block_count, 16), np.bool_)
    limit, overlaps = limit_below(slots, threshold, False), np.empty(16, boxes.dtype)
    for place in range(count):
        item, block, k = order[place], place >> 4, place & 15
        x1, y1, x2, y2 = boxes[item, 0], boxes[item, 1], boxes[item, 2], boxes[item, 3]
        slots[block, 0, k], slots[block, 1, k], slots[block, 2, k], slots[block, 3, k] = x1, y1, x2, y2
        slots[block, 4, k] = (x2 - x1) * (y2 - y1)
    kept = np.empty(max_count, np.int64)
    kept_count = 0
    for place in range(count):
        first, place_k = place >> 4, place & 15
        if kept_count == max_count:
            break
        if is_dropped[first, place_k]:
            continue
        kept[kept_count] = order[place]
        kept_count += 1
        x1, y1, x2, y2 = (
            slots[first, 0, place_k],
            slots[first, 1, place_k],
            slots[first, 2, place_k],
            slots[first, 3, place_k],
        )
        area = slots[first, 4, place_k]
        for block in range(first, block_count):
            if overlap_block(slots, block, x1, y1, x2, y2, area, limit, metric, overlaps):
                for k in range(16):
                    is_dropped[block, k] |= overlaps[k] > limit
    return kept[:kept_count]


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
    overlaps, scratch = np.empty(len(boxes), boxes.dtype), np.empty(16, boxes.dtype)
    for item in order:
        if where[item] >= 0:
            take_out(slots, items, where, tile_of, spans, item)
        elif keepers[item] == item or not is_transitive:
            continue
        group = groups[item] if group_count > 1 else 0
        match_count = find_matches(
            boxes, item, slots, spans, extents, grids, group, limit, metric, found, overlaps, scratch
        )
        for k in range(match_count):
            other = items[found[k]]
            keepers[other] = keepers[item]
            take_out(slots, items, where, tile_of, spans, other)
    return keepers


@kernel(
    "(f4[:,::1], f8[::1], i8[::1], i8[::1], i8, f8, f8, f8, i8)",
    "(f8[:,::1], f8[::1], i8[::1], i8[::1], i8, f8, f8, f8, i8)",
)
def softened(
    boxes: NDArray[Any],
    scores: NDArray[np.float64],
    order: NDArray[np.int64],
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
    overlaps, scratch = np.empty(len(boxes), boxes.dtype), np.empty(16, boxes.dtype)
    heap = order.copy()  # what is sorted is a heap
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
        group = groups[item] if group_count > 1 else 0
        match_count = find_matches(
            boxes, item, slots, spans, extents, grids, group, limit, IOU, found, overlaps, scratch
        )
        for k in range(match_count):
            other = items[found[k]]
            iou = np.float64(overlaps[k])
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
    overlaps, scratch = np.empty(count, boxes.dtype), np.empty(16, boxes.dtype)
    for is_decay in (False, True):
        slots, items, where, tile_of, spans, extents, grids = file_boxes(boxes, groups, group_count)
        limit = limit_below(slots, 0.0, False)
        for item in order[::-1]:
            if where[item] < 0:
                continue
            take_out(slots, items, where, tile_of, spans, item)
            group = groups[item] if group_count > 1 else 0
            match_count = find_matches(
                boxes, item, slots, spans, extents, grids, group, limit, IOU, found, overlaps, scratch
            )
            for k in range(match_count):
                iou = np.float64(overlaps[k])
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
    overlaps = np.empty(16)
    begun = 0
    for item in order:
        group = groups[item] if group_count > 1 else 0
        x1, y1, x2, y2 = boxes[item, 0], boxes[item, 1], boxes[item, 2], boxes[item, 3]
        area = (x2 - x1) * (y2 - y1)
        best, slot = threshold, -1
        for block in range(starts[group] >> 4, (ends[group] + 15) >> 4):
            if overlap_block(slots, block, x1, y1, x2, y2, area, best, IOU, overlaps):
                for k in range(16):
                    if overlaps[k] > best:
                        best, slot = overlaps[k], (block << 4) + k
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
