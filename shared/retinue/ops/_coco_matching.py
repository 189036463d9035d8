"""How COCO matches detections with objects: greedily, by score, within each image and class."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import native
from retinue.ops._coco_overlaps import box_overlaps, mask_overlaps
from retinue.ops._kernel import kernel
from retinue.ops.detection_records import Detections, GroundTruth, areas_of, boxes_xywh

Places = NDArray[np.int64]
Doubles = NDArray[np.float64]
Codes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

UNMATCHED, MATCHED, MATCHED_IGNORED = 0, 1, 2  # what is known of a detection at one threshold and range of areas
_FEW = 1 << 12  # so few are sorted stably as fast


class Rules(NamedTuple):
    """What matching depends on.

    Args:
        iou_thresholds: (T,) ascending or not.
        area_ranges: (A, 2) least and most, both inclusive.
        most: how many detections of an image and class are looked at.
        is_class_agnostic: labels are not looked at.
        by_mask: masks are judged, not boxes.
    """

    iou_thresholds: Doubles
    area_ranges: Doubles
    most: int
    is_class_agnostic: bool
    by_mask: bool


class Judged(NamedTuple):
    """Detections that were matched, by image, class and descending score; and the objects that were there.

    Args:
        image_ids: (n,) of the detections.
        labels: (n,) of the detections.
        scores: (n,).
        areas: (n,).
        ranks: (n,) place among the detections of the image and class, from 0.
        rows: (n,) row of `codes`, or -1: unmatched everywhere.
        codes: (m, A, T) what each threshold and range found.
        truth_labels: (g,) of the objects.
        is_counted: (g, A) the objects that are to be found.
    """

    image_ids: Places
    labels: Places
    scores: Doubles
    areas: Doubles
    ranks: Places
    rows: Places
    codes: Codes
    truth_labels: Places
    is_counted: Flags


def judge(truth: GroundTruth, detections: Detections, rules: Rules) -> Judged:
    """Return what matching says of each detection.

    Raises:
        ValueError: what is to be judged, boxes or masks, is missing, or masks of an image differ in size.
    """
    for records, name in ((truth, "truth"), (detections, "detections")):
        if (records.masks if rules.by_mask else records.boxes) is None:
            there, missing = ("boxes", "masks") if rules.by_mask else ("masks", "boxes")
            raise ValueError(f"{name}: must have {missing} where {missing} are judged, got {there} only")
    image_count, truth_images, images = dense_ranks(truth.image_ids, detections.image_ids)
    label_count, truth_labels, labels = dense_ranks(truth.labels, detections.labels)
    truth_order = grouped(grouped(None, truth_labels, label_count), truth_images, image_count)
    if rules.is_class_agnostic:  # equal scores still come by label, as in pycocotools, which walks the classes
        order = grouped(None, labels, label_count)
        order = order[descending(detections.scores[order])]
        label_count, truth_labels, labels = 1, np.zeros_like(truth_labels), np.zeros_like(labels)
    else:
        order = grouped(descending(detections.scores), labels, label_count)
    order = grouped(order, images, image_count)
    truth_keys = truth_images[truth_order] * label_count + truth_labels[truth_order]
    keys = images[order] * label_count + labels[order]
    ranks, groups = _groups(keys, truth_keys, rules.most)
    if len(order) and ranks.max() >= rules.most:  # what comes after the best so many of a group is not looked at
        kept = ranks < rules.most
        order, keys = order[kept], keys[kept]
        ranks, groups = _groups(keys, truth_keys, rules.most)
    truth_areas = areas_of(truth, by_mask=rules.by_mask)[truth_order]
    is_crowd = native(_given(truth.is_crowd)[truth_order])
    is_outside = (truth_areas[:, None] < rules.area_ranges[:, 0]) | (truth_areas[:, None] > rules.area_ranges[:, 1])
    is_ignored = is_outside | (is_crowd | _given(truth.is_ignored)[truth_order])[:, None]
    if rules.by_mask:
        overlaps = mask_overlaps(truth, detections, groups, truth_order, order, is_crowd)
    else:
        overlaps = box_overlaps(
            groups,
            boxes_xywh(detections)[order],
            boxes_xywh(truth)[truth_order],
            is_crowd,
        )
    thresholds = np.minimum(rules.iou_thresholds, 1 - 1e-10)
    rows, codes = _matches(groups, overlaps, thresholds, is_ignored, is_crowd, len(order))
    return Judged(
        detections.image_ids[order],
        detections.labels[order],
        detections.scores[order],
        areas_of(detections, by_mask=rules.by_mask)[order],
        ranks,
        rows,
        codes,
        truth.labels[truth_order],
        ~is_ignored,
    )


def dense_ranks(some: Places, others: Places) -> tuple[int, Places, Places]:
    """Return how many different numbers there are in both, and the rank of each among them in ascending order."""
    numbers = np.concatenate([some, others])
    if numbers.size == 0:
        return 0, native(some), native(others)
    least, most = int(numbers.min()), int(numbers.max())
    if most - least < 4 * numbers.size + 1024:  # a table of all numbers there could be is small
        table = np.zeros(most - least + 1, np.int64)
        table[numbers - least] = 1
        table = table.cumsum() - 1
        return int(table[-1]) + 1, table[some - least], table[others - least]
    different, places = np.unique(numbers, return_inverse=True)
    return len(different), native(places[: len(some)]), native(places[len(some) :])


def grouped(order: Places | None, ranks: Places, count: int) -> Places:
    """Return the order (None means as they are) sorted stably by rank."""
    return _grouped(np.arange(len(ranks)) if order is None else order, ranks, count)


def descending(scores: Doubles) -> Places:
    """Return the stable descending order of scores."""
    if len(scores) <= _FEW:
        return np.argsort(-scores, kind="stable")
    # Two sorts that need not be stable, and so run by vector instructions: by score, then by place within equal scores.
    order = np.argsort(-scores)
    ranked = scores[order]
    ties = np.empty(len(scores), np.int64)
    ties[0] = 0
    np.cumsum(ranked[1:] != ranked[:-1], out=ties[1:])
    if ties[-1] == len(scores) - 1:
        return order
    keys = ties * len(scores) + order
    keys.sort()
    return keys - ties * len(scores)


def _given(flags: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Return flags that a record has made of None already."""
    return np.empty(0, np.bool_) if flags is None else flags


@kernel("(i8[::1], i8[::1], i8)")
def _grouped(order: Places, ranks: Places, count: int) -> Places:
    """Return the order sorted stably by rank: a counting sort."""
    starts = np.zeros(count + 1, np.int64)
    for i in range(order.size):
        starts[ranks[order[i]] + 1] += 1
    for rank in range(count):
        starts[rank + 1] += starts[rank]
    result = np.empty_like(order)
    for i in range(order.size):
        rank = ranks[order[i]]
        result[starts[rank]] = order[i]
        starts[rank] += 1
    return result


@kernel("(i8[::1], i8[::1], i8)")
def _groups(keys: Places, truth_keys: Places, most: int) -> tuple[Places, Places]:
    """Return each detection's rank in its group, and where the groups lie that hold detections and objects.

    Keys ascend. A group is (first, last, truth's first, truth's last), lasts exclusive; ranks stay below `most` in it.
    """
    ranks = np.empty(keys.size, np.int64)
    groups = np.empty((min(keys.size, truth_keys.size), 4), np.int64)
    count = 0
    first, truth_first = 0, 0
    while first < keys.size:
        key = keys[first]
        last = first
        while last < keys.size and keys[last] == key:
            ranks[last] = last - first
            last += 1
        while truth_first < truth_keys.size and truth_keys[truth_first] < key:
            truth_first += 1
        truth_last = truth_first
        while truth_last < truth_keys.size and truth_keys[truth_last] == key:
            truth_last += 1
        if truth_last > truth_first:
            groups[count, 0] = first
            groups[count, 1] = min(last, first + most)
            groups[count, 2] = truth_first
            groups[count, 3] = truth_last
            count += 1
        first, truth_first = last, truth_last
    return ranks, groups[:count].copy()


@kernel("(i8[:,::1], f8[::1], f8[::1], b1[:,::1], b1[::1], i8)")
def _matches(
    groups: Places,
    overlaps: Doubles,
    thresholds: Doubles,
    is_ignored: Flags,
    is_crowd: Flags,
    detection_count: int,
) -> tuple[Places, Codes]:
    """Return each detection's row of codes, or -1, and the rows: what every range and threshold found."""
    rows, row_count = _rows_of_near(groups, overlaps, thresholds.min(), detection_count)
    codes = np.zeros((row_count, is_ignored.shape[1], thresholds.size), np.uint8)
    widest = (groups[:, 3] - groups[:, 2]).max() if len(groups) else 0
    order, is_taken = np.empty(widest, np.int64), np.empty(widest, np.bool_)
    at = 0
    for k in range(len(groups)):
        first, last, truth_first, truth_last = groups[k]
        width = truth_last - truth_first
        block = overlaps[at : at + (last - first) * width].reshape(last - first, width)
        at += block.size
        for a in range(is_ignored.shape[1]):
            ignored = is_ignored[truth_first:truth_last, a]
            _order_counted_first(ignored, order)
            _match(
                block, thresholds, ignored, is_crowd[truth_first:truth_last], order[:width], is_taken[:width],
                rows[first:last], codes[:, a],
            )  # fmt: skip
    return rows, codes


@kernel()
def _order_counted_first(is_ignored: Flags, order: Places) -> None:
    """Write the places of the objects that count, then of the others."""
    count = 0
    for wanted in (False, True):
        for g in range(is_ignored.size):
            if is_ignored[g] == wanted:
                order[count] = g
                count += 1


@kernel()
def _rows_of_near(groups: Places, overlaps: Doubles, least: float, detection_count: int) -> tuple[Places, int]:
    """Return a row for each detection that overlaps any object enough, -1 for others; and how many rows."""
    rows = np.full(detection_count, -1, np.int64)
    row_count, at = 0, 0
    for k in range(len(groups)):
        width = groups[k, 3] - groups[k, 2]
        for d in range(groups[k, 0], groups[k, 1]):
            if overlaps[at : at + width].max() >= least:
                rows[d] = row_count
                row_count += 1
            at += width
    return rows, row_count


@kernel()
def _match(
    overlaps: Doubles,
    thresholds: Doubles,
    is_ignored: Flags,
    is_crowd: Flags,
    order: Places,
    is_taken: Flags,
    rows: Places,
    codes: Codes,
) -> None:
    """Match the detections of a group, best score first, at each threshold."""
    for t in range(thresholds.size):
        is_taken[:] = False
        for d in range(rows.size):
            if rows[d] < 0:
                continue
            best, found = thresholds[t], -1
            for j in range(order.size):
                g = order[j]
                if is_taken[g] and not is_crowd[g]:
                    continue
                if found >= 0 and is_ignored[g] and not is_ignored[found]:
                    break  # one that counts goes before any other, however good
                if overlaps[d, g] >= best:
                    best, found = overlaps[d, g], g
            if found >= 0:
                is_taken[found] = True
                codes[rows[d], t] = MATCHED_IGNORED if is_ignored[found] else MATCHED
