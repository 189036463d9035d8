"""Masks against masks, run by run: never a pixel is decoded."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, float_vector, number, whole_number, whole_vector
from retinue.ops._kernel import kernel
from retinue.ops.rle import Rle, checked, trusted
from retinue.ops.stopping import NEVER, Stop

Runs = NDArray[np.uint32]
Places = NDArray[np.int64]


def rle_merge(rles: Sequence[Rle], *, is_intersection: bool = False) -> Rle:
    """Return the mask of the pixels that are set in any of the masks, or in all of them.

    Args:
        rles: one mask or more, of one size.
        is_intersection: asks for all instead of any.

    Returns:
        The union or intersection, of the same size.

    Raises:
        ValueError: there is no mask, the sizes differ, or something else is among them.

    >>> left, right = Rle(1, 3, np.array([0, 2, 1])), Rle(1, 3, np.array([1, 2]))
    >>> rle_merge([left, right]).counts.tolist(), rle_merge([left, right], is_intersection=True).counts.tolist()
    ([0, 3], [1, 1, 1])
    """
    if not rles:
        raise ValueError("rles: must be at least one mask, got none")
    height, width = _common_size({"rles": rles})
    runs, starts = _joined(rles)
    return trusted(height, width, _merged(runs, starts, bool(is_intersection), height * width))


def rle_iou(
    rles_a: Sequence[Rle], rles_b: Sequence[Rle], *, is_crowd: ArrayLike | None = None, stop: Stop = NEVER
) -> NDArray[np.float64]:
    """Return the IoU of every mask in one set with every mask in the other.

    Args:
        rles_a: A masks (in COCO the detections).
        rles_b: B masks of the same size (in COCO the ground truth).
        is_crowd: (B,) bool, or 0 and 1: with these the intersection is measured by the area of the other mask alone,
            as a detection may lie anywhere in a crowd. None means none.
        stop: ends the work, from another thread, before the next pair is compared.

    Returns:
        (A, B) float64 in [0, 1]: exactly the quotient of two whole numbers of pixels.

    Raises:
        ValueError: the sizes differ (pycocotools says -1 there), or `is_crowd` is none of the above.
        Stopped: ``stop`` is set.

    Notes:
        0 where the masks do not meet, also for two that are empty.

    Source:
        COCO's mask API.

    >>> left, right = Rle(1, 3, np.array([0, 2, 1])), Rle(1, 3, np.array([1, 2]))
    >>> rle_iou([left, right], [right])
    array([[0.33333333],
           [1.        ]])
    """
    crowds = np.zeros(len(rles_b), np.bool_) if is_crowd is None else np.asarray(is_crowd)
    if crowds.shape != (len(rles_b),):
        raise ValueError(f"is_crowd: must be ({len(rles_b)},), got {crowds.shape}")
    if crowds.dtype != np.bool_:
        if crowds.size and (crowds.dtype.kind not in "iuf" or not np.isin(crowds, (0, 1)).all()):
            raise ValueError("is_crowd: must be booleans, or numbers that are all 0 or 1")
        crowds = crowds.astype(np.bool_)
    if not rles_a or not rles_b:
        return np.zeros((len(rles_a), len(rles_b)))
    height, _ = _common_size({"rles_a": rles_a, "rles_b": rles_b})
    ious = _ious(*_joined(rles_a), *_joined(rles_b), height, np.array(crowds), stop.flag)
    stop.check()
    return ious


def rle_nms(
    rles: Sequence[Rle],
    scores: NDArray[Float],
    iou_threshold: float,
    *,
    labels: ArrayLike | None = None,
    max_output: int | None = None,
) -> NDArray[np.intp]:
    """Return the indices of the masks that no better kept mask overlaps, best first.

    Args:
        rles: n masks of one size.
        scores: (n,) float32 or float64, higher is better.
        iou_threshold: a mask goes if its IoU with a kept one is above this, in [0, 1].
        labels: (n,) integers; only masks of one label compete. None means that all do.
        max_output: at most so many are kept; None means all.

    Returns:
        (k,) indices, by descending score, equal scores by lowest index.

    Raises:
        ValueError: lengths or sizes differ, a score is not finite, or a number is out of range.

    Notes:
        The IoU is that of all pixels, not of reduced masks as in supervision; only masks whose boxes meet are compared.

    >>> left, right, both = (Rle(1, 4, np.array(runs)) for runs in ([0, 2, 2], [2, 2], [0, 4]))
    >>> rle_nms([left, right, both], np.array([0.3, 0.2, 0.9]), 0.4)
    array([2])
    >>> rle_nms([left, right, both], np.array([0.3, 0.2, 0.1]), 0.4)
    array([0, 1])
    """
    values = float_vector(scores, "scores", len(rles))
    threshold = number(iou_threshold, "iou_threshold", at_least=0, at_most=1)
    groups = np.zeros(len(rles), np.int64) if labels is None else whole_vector(labels, "labels", len(rles))
    most = len(rles) if max_output is None else min(whole_number(max_output, "max_output", at_least=0), len(rles))
    if not rles or not most:
        return np.empty(0, np.intp)
    height, _ = _common_size({"rles": rles})
    order = np.argsort(-values, kind="stable")
    return _kept(*_joined(rles), height, order, np.array(groups), threshold, most)


def _common_size(sets: dict[str, Sequence[Rle]]) -> tuple[int, int]:
    first = next(iter(sets.values()))[0]
    for name, rles in sets.items():
        for rle in rles:
            checked(rle, name)
            if rle.height != first.height or rle.width != first.width:
                raise ValueError(
                    f"{name}: must all be of one size, got {rle.height} by {rle.width}"
                    f" beside {first.height} by {first.width}"
                )
    return first.height, first.width


def _joined(rles: Sequence[Rle]) -> tuple[Runs, Places]:
    """Return the runs of all masks, one after the other, and where each mask's begin."""
    counts = [rle.counts for rle in rles]
    starts = np.array([0, *accumulate(map(len, counts))], np.int64)
    return np.concatenate(counts), starts


@kernel("(u4[::1], i8[::1], b1, i8)")
def _merged(runs: Runs, starts: Places, is_intersection: bool, total: int) -> Runs:  # noqa: FBT001, kernels take no names
    """Return the runs of the union or intersection: pairs of masks are merged, then pairs of pairs, and so on.

    An intersection is what the union of all zeros leaves, so that only unions have to be found.
    """
    count = starts.size - 1
    begins, ends = np.empty(runs.size // 2 + count, np.int64), np.empty(runs.size // 2 + count, np.int64)
    bounds = np.zeros(count + 1, np.int64)
    used = 0
    for m in range(count):
        place = 0
        first = starts[m]
        for _ in range(1 if not is_intersection else 2 if runs[first] == 0 and total else 0):  # runs before the first
            place += runs[first]
            first += 1
        for i in range(first, starts[m + 1], 2):
            begins[used] = place
            place += runs[i]
            ends[used] = place
            used += 1
            place += runs[i + 1] if i + 1 < starts[m + 1] else 0
        bounds[m + 1] = used
    begins_then, ends_then = np.empty(used, np.int64), np.empty(used, np.int64)
    while count > 1:
        used = 0
        for pair in range(0, count, 2):
            first, middle, last = bounds[pair], bounds[pair + 1], bounds[min(pair + 2, count)]
            bounds[pair // 2] = used
            used = _united(begins, ends, first, middle, last, begins_then, ends_then, used)
        count = (count + 1) // 2
        bounds[count] = used
        begins, begins_then = begins_then, begins
        ends, ends_then = ends_then, ends
    used = bounds[1]
    merged = np.empty(2 * used + 2, np.uint32)
    length, place = 0, 0
    if is_intersection and (used == 0 or begins[0] > 0):  # the mask starts with ones, after no zeros
        merged[0] = 0
        length = 1
    for k in range(used):
        if begins[k] > place or not is_intersection:
            merged[length] = begins[k] - place
            length += 1
        merged[length] = ends[k] - begins[k]
        length += 1
        place = ends[k]
    if place < total or length == 0:
        merged[length] = total - place
        length += 1
    return merged[:length].copy()


@kernel()
def _united(  # noqa: PLR0913, PLR0917
    begins: Places, ends: Places, first: int, middle: int, last: int, united: Places, united_ends: Places, used: int
) -> int:
    """Write the union of the stretches [first, middle) and [middle, last), and return where it ends."""
    i, j = first, middle
    reach = -1
    while i < middle and j < last:
        begin, end = begins[i], ends[i]
        if begin <= begins[j]:
            i += 1
        else:
            begin, end = begins[j], ends[j]
            j += 1
        if begin > reach:
            united[used], united_ends[used] = begin, end
            used += 1
            reach = end
        elif end > reach:
            united_ends[used - 1] = end
            reach = end
    k, until = (i, middle) if i < middle else (j, last)
    while k < until and begins[k] <= reach:
        reach = max(reach, ends[k])
        united_ends[used - 1] = reach
        k += 1
    for m in range(k, until):
        united[used], united_ends[used] = begins[m], ends[m]
        used += 1
    return used


@kernel()
def _stretches(runs: Runs, starts: Places, height: int) -> tuple[Places, Places, Places, Places, Places]:
    """Return where the stretches of pixels set begin and end, and each mask's first of them, area and box."""
    count = starts.size - 1
    firsts = np.zeros(count + 1, np.int64)
    for m in range(count):
        firsts[m + 1] = firsts[m] + (starts[m + 1] - starts[m]) // 2
    begins, ends = np.empty(firsts[count], np.int64), np.empty(firsts[count], np.int64)
    areas = np.zeros(count, np.int64)
    boxes = np.zeros((count, 4), np.int64)  # first and last column, first and last row, inclusive
    for m in range(count):
        place, k = 0, firsts[m]
        top, foot = height, -1
        for i in range(starts[m] + 1, starts[m + 1], 2):
            place += runs[i - 1]
            begins[k] = place
            place += runs[i]
            ends[k] = place
            areas[m] += runs[i]
            column, last = begins[k] // height, (place - 1) // height
            if column < last:
                top, foot = 0, height - 1
            else:
                top = min(top, begins[k] - column * height)
                foot = max(foot, place - 1 - column * height)
            k += 1
        if k > firsts[m]:
            boxes[m] = (begins[firsts[m]] // height, (place - 1) // height, top, foot)
    return begins, ends, firsts, areas, boxes.ravel()


@kernel()
def _shared(
    a: tuple[Places, Places, Places, Places, Places],
    i: int,
    b: tuple[Places, Places, Places, Places, Places],
    j: int,
    height: int,
) -> int:
    """Return how many pixels mask i of one set and mask j of another have in common."""
    begins_a, ends_a, firsts_a, areas_a, boxes_a = a
    begins_b, ends_b, firsts_b, areas_b, boxes_b = b
    if areas_a[i] == 0 or areas_b[j] == 0:
        return 0
    column, last = max(boxes_a[4 * i], boxes_b[4 * j]), min(boxes_a[4 * i + 1], boxes_b[4 * j + 1])
    if column > last:
        return 0
    if max(boxes_a[4 * i + 2], boxes_b[4 * j + 2]) > min(boxes_a[4 * i + 3], boxes_b[4 * j + 3]):
        return 0
    # Only stretches in the columns that both reach.
    begin, end = column * height, (last + 1) * height
    k, until_k = _those_between(begins_a, ends_a, firsts_a[i], firsts_a[i + 1], begin, end)
    m, until_m = _those_between(begins_b, ends_b, firsts_b[j], firsts_b[j + 1], begin, end)
    if k == until_k:
        return 0
    # Each step waits for the one before, so two halves are walked side by side.
    middle = (k + until_k) // 2
    n, q = middle, _those_between(begins_b, ends_b, m, until_m, begins_a[middle], end)[0]
    common = 0
    while k < middle and m < until_m and n < until_k and q < until_m:
        common += _overlap(begins_a[k], ends_a[k], begins_b[m], ends_b[m])
        common += _overlap(begins_a[n], ends_a[n], begins_b[q], ends_b[q])
        # No branches: which of both ends first cannot be foretold.
        k, m = k + (ends_a[k] <= ends_b[m]), m + (ends_b[m] <= ends_a[k])
        n, q = n + (ends_a[n] <= ends_b[q]), q + (ends_b[q] <= ends_a[n])
    while k < middle and m < until_m:
        common += _overlap(begins_a[k], ends_a[k], begins_b[m], ends_b[m])
        k, m = k + (ends_a[k] <= ends_b[m]), m + (ends_b[m] <= ends_a[k])
    while n < until_k and q < until_m:
        common += _overlap(begins_a[n], ends_a[n], begins_b[q], ends_b[q])
        n, q = n + (ends_a[n] <= ends_b[q]), q + (ends_b[q] <= ends_a[n])
    return common


@kernel()
def _overlap(begin_a: int, end_a: int, begin_b: int, end_b: int) -> int:
    return max(0, min(end_a, end_b) - max(begin_a, begin_b))


@kernel()
def _those_between(begins: Places, ends: Places, first: int, last: int, begin: int, end: int) -> tuple[int, int]:
    """Return the range of the stretches that reach into [begin, end)."""
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        if ends[middle] <= begin:
            low = middle + 1
        else:
            high = middle
    found, high = low, last
    while low < high:
        middle = (low + high) // 2
        if begins[middle] < end:
            low = middle + 1
        else:
            high = middle
    return found, low


@kernel("(u4[::1], i8[::1], u4[::1], i8[::1], i8, b1[::1], u1[::1])")
def _ious(
    runs_a: Runs,
    starts_a: Places,
    runs_b: Runs,
    starts_b: Places,
    height: int,
    crowds: NDArray[np.bool_],
    stop: NDArray[np.uint8],
) -> NDArray[np.float64]:
    a, b = _stretches(runs_a, starts_a, height), _stretches(runs_b, starts_b, height)
    ious = np.zeros((starts_a.size - 1, starts_b.size - 1))
    for i in range(ious.shape[0]):
        for j in range(ious.shape[1]):
            if stop[0]:
                return ious
            common = _shared(a, i, b, j, height)
            if common:
                ious[i, j] = common / (a[3][i] if crowds[j] else a[3][i] + b[3][j] - common)
    return ious


@kernel("(u4[::1], i8[::1], i8, i8[::1], i8[::1], f8, i8)")
def _kept(
    runs: Runs, starts: Places, height: int, order: Places, labels: Places, threshold: float, most: int
) -> Places:
    masks = _stretches(runs, starts, height)
    areas = masks[3]
    kept = np.empty(most, np.int64)
    used = 0
    for i in order:
        is_free = True
        for k in range(used):
            j = kept[k]
            if labels[i] == labels[j]:
                common = _shared(masks, j, masks, i, height)
                if common and common / (areas[i] + areas[j] - common) > threshold:
                    is_free = False
                    break
        if is_free:
            kept[used] = i
            used += 1
            if used == most:
                break
    return kept[:used].copy()
