"""How COCO makes curves of matches: detections of a class over all images, by score."""

from typing import NamedTuple

import numpy as np

from retinue.ops._coco_matching import (
    MATCHED,
    UNMATCHED,
    Codes,
    Doubles,
    Judged,
    Places,
    dense_ranks,
    descending,
    grouped,
)
from retinue.ops._kernel import kernel

_SPACING = float(np.spacing(1))


class Curves(NamedTuple):
    """Precision, and the score it takes, at each recall asked for, [T, R, K, A, M]; the recall reached, [T, K, A, M].

    -1 where a class has no object that counts.
    """

    precision: Doubles
    scores: Doubles
    recall: Doubles


def curves(
    judged: Judged,
    labels: Places | None,
    recall_points: Doubles,
    area_ranges: Doubles,
    max_detections: Places,
) -> Curves:
    """Return the curves of the classes asked for, or of all as one where `labels` is None."""
    count = 1 if labels is None else len(labels)
    truth_classes, classes = _places(judged.truth_labels, labels), _places(judged.labels, labels)
    object_counts = np.empty((count + 1, len(area_ranges)), np.int64)
    for a in range(len(area_ranges)):
        object_counts[:, a] = np.bincount(truth_classes[judged.is_counted[:, a]], minlength=count + 1)
    order = np.arange(len(classes))
    if (judged.image_ids[1:] < judged.image_ids[:-1]).any():  # images came in any order: equal scores go by image id
        image_count, images, _ = dense_ranks(judged.image_ids, judged.image_ids[:0])
        order = grouped(order, images, image_count)
    order = order[descending(judged.scores[order])]
    order = grouped(order, classes, count + 1)
    starts = np.searchsorted(classes[order], np.arange(count + 1))
    shape = (judged.codes.shape[2], len(recall_points), count, len(area_ranges), len(max_detections))
    precision, scores, recall = np.full(shape, -1.0), np.full(shape, -1.0), np.full((shape[0], *shape[2:]), -1.0)
    _fill(
        starts, judged.scores[order], judged.areas[order], judged.ranks[order], judged.rows[order], judged.codes,
        object_counts, recall_points, area_ranges, max_detections, precision, scores, recall,
    )  # fmt: skip
    return Curves(precision, scores, recall)


def _places(values: Places, labels: Places | None) -> Places:
    """Return the place of each value in ascending labels, or their number where it is not among them."""
    if labels is None:
        return np.zeros(len(values), np.int64)
    if len(labels) == 0:
        return np.zeros(len(values), np.int64)
    places = np.searchsorted(labels, values)
    places[places == len(labels)] = 0
    places[labels[places] != values] = len(labels)
    return places


@kernel(
    "(i8[::1], f8[::1], f8[::1], i8[::1], i8[::1], u1[:,:,::1], i8[:,::1], f8[::1], f8[:,::1], i8[::1],"
    " f8[:,:,:,:,::1], f8[:,:,:,:,::1], f8[:,:,:,::1])"
)
def _fill(
    starts: Places,
    scores: Doubles,
    areas: Doubles,
    ranks: Places,
    rows: Places,
    codes: Codes,
    object_counts: Places,
    recall_points: Doubles,
    area_ranges: Doubles,
    max_detections: Places,
    precision_out: Doubles,
    score_out: Doubles,
    recall_out: Doubles,
) -> None:
    """Fill in the curves of every class that has objects; `starts` says where the detections of each class begin.

    Precision falls from one match to the next, so that its envelope is known from the matches alone; recall rises at
    them only.
    """
    widest = 0
    for k in range(starts.size - 1):
        widest = max(widest, int(np.count_nonzero(rows[starts[k] : starts[k + 1]] >= 0)))
    precisions = np.empty((codes.shape[2], widest))
    at_scores = np.empty((codes.shape[2], widest))
    found = np.empty(codes.shape[2], np.int64)
    for k in range(starts.size - 1):
        part = slice(starts[k], starts[k + 1])
        for a in range(len(area_ranges)):
            object_count = object_counts[k, a]
            if object_count == 0:
                continue
            for m in range(max_detections.size):
                best = _walk(
                    scores[part], areas[part], ranks[part], rows[part], codes[:, a], area_ranges[a], max_detections[m],
                    precisions, at_scores, found,
                )  # fmt: skip
                for t in range(found.size):
                    recall_out[t, k, a, m] = found[t] / object_count
                    _read_off(
                        precisions[t, : found[t]], at_scores[t, : found[t]], best, object_count, recall_points,
                        precision_out[t, :, k, a, m], score_out[t, :, k, a, m],
                    )  # fmt: skip


@kernel()
def _walk(
    scores: Doubles,
    areas: Doubles,
    ranks: Places,
    rows: Places,
    codes: Codes,
    area_range: Doubles,
    limit: int,
    precisions: Doubles,
    at_scores: Doubles,
    found: Places,
) -> float:
    """Write precision and score at each match, and how many there are; return the best score, NaN without detections.

    Detections that match nothing at any threshold, which are most, are counted for all thresholds at once.
    """
    false = np.zeros(found.size, np.int64)
    false_everywhere = 0
    best = np.nan
    found[:] = 0
    for d in range(scores.size):
        if ranks[d] >= limit:
            continue
        if np.isnan(best):
            best = scores[d]
        is_outside = areas[d] < area_range[0] or areas[d] > area_range[1]
        if rows[d] < 0:
            false_everywhere += not is_outside
            continue
        for t in range(found.size):
            code = codes[rows[d], t]
            if code == MATCHED:
                hits, misses = float(found[t] + 1), float(false[t] + false_everywhere)
                precisions[t, found[t]] = hits / (misses + hits + _SPACING)
                at_scores[t, found[t]] = scores[d]
                found[t] += 1
            elif code == UNMATCHED and not is_outside:
                false[t] += 1
    return best


@kernel()
def _read_off(
    precisions: Doubles,
    at_scores: Doubles,
    best: float,
    object_count: int,
    recall_points: Doubles,
    precision_out: Doubles,
    score_out: Doubles,
) -> None:
    """Write the best precision from each recall on; 0 from where none is reached."""
    for n in range(precisions.size - 1, 0, -1):
        precisions[n - 1] = max(precisions[n - 1], precisions[n])
    needed = 0
    for r in range(recall_points.size):
        while needed <= precisions.size and needed / object_count < recall_points[r]:
            needed += 1
        if needed > precisions.size or np.isnan(best):
            precision_out[r] = 0.0
            score_out[r] = 0.0
        elif needed == 0:  # every detection will do, also one that is false
            precision_out[r] = precisions[0] if precisions.size else 0.0
            score_out[r] = best
        else:
            precision_out[r] = precisions[needed - 1]
            score_out[r] = at_scores[needed - 1]
