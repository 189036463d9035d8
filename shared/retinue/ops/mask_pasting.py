"""Small masks of boxes into masks of the image, without the image: only runs are ever made."""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import Float, finite_floats, float_boxes, native, number
from retinue.ops._kernel import kernel
from retinue.ops._rle_scan import Places, Runs, runs_of_toggles, with_room
from retinue.ops.rle import Rle, canvas_sizes, trusted

Convention = Literal["torchvision", "detectron2"]

_FARTHEST = 2.0**31


def paste_masks(
    masks: NDArray[Float],
    boxes: NDArray[Float],
    height: int,
    width: int,
    *,
    threshold: float = 0.5,
    convention: Convention = "torchvision",
) -> list[Rle]:
    """Return the mask of each detection in the image, from what a mask head says about its box.

    Args:
        masks: (N, M, M) float32 or float64 scores of the pixels of each box, M at least 1; probabilities as a rule.
        boxes: (N, 4) float ``x1, y1, x2, y2`` in pixels of the image, which may reach beyond it, up to 2**31.
        height: of the image in pixels.
        width: of the image in pixels.
        threshold: which interpolated score makes a pixel part of the mask.
        convention: ``"torchvision"`` pads the mask by a pixel of zeros, enlarges the box about its centre in
            proportion, cuts its corners to whole pixels, resizes the mask to all pixels that the box touches
            (``x2 - x1 + 1``, at least 1), and takes scores above the threshold, as torchvision's examples do.
            ``"detectron2"`` samples the mask at the centres of pixels without rounding the box, which is more accurate,
            and takes scores of the threshold too.

    Returns:
        N masks of the image's size.

    Raises:
        ValueError: a shape or size is another, a number is not finite or out of range, or there is no such convention.

    Notes:
        Arithmetic is that of the dtype of `masks`, one rounding at a time. torch fuses some of them, which ones depends
        on the processor: where a score is within 2e-6 of the threshold, it may decide otherwise. An inverted box gives
        an empty mask; so does one without area under ``"detectron2"``, where the peer divides by zero.

        The cost goes with the columns of the boxes and the outline within, not with the pixels of the image: cells of
        the mask whose corners are all well above or below the threshold are not looked into.

    Source:
        torchvision ``paste_masks_in_image``, and detectron2 ``paste_masks_in_image`` as it runs on a CPU.

    >>> [mask] = paste_masks(np.ones((1, 2, 2)), np.array([[1.0, 0.0, 3.0, 2.0]]), 3, 4, convention="detectron2")
    >>> mask.counts
    array([3, 2, 1, 2, 4], dtype=uint32)
    """
    modes = get_args(Convention)
    if convention not in modes:
        raise ValueError(f"convention: must be one of {', '.join(modes)}, got {convention!r}")
    scores = finite_floats(masks, "masks")
    corners = float_boxes(boxes)
    if scores.ndim != 3 or scores.shape[1] != scores.shape[2] or scores.shape[1] == 0:
        raise ValueError(f"masks: must be (N, M, M) with M at least 1, got {scores.shape}")
    if len(corners) != len(scores):
        raise ValueError(f"boxes: must be ({len(scores)}, 4) like masks, got {corners.shape}")
    if corners.size and np.abs(corners).max() > _FARTHEST:
        raise ValueError("boxes: must be within 2**31 of the corner of the image")
    height, width = canvas_sizes(height, width)
    level = number(threshold, "threshold")
    is_sampled = convention == "detectron2"
    placed = corners.astype(scores.dtype) if is_sampled else _enlarged(corners, scores.shape[1])
    scores, exact = native(scores), placed.astype(np.float64)
    return [
        trusted(height, width, _pasted(scores, exact, i, height, width, level, is_sampled)) for i in range(len(scores))
    ]


def _enlarged(boxes: NDArray[Float], side: int) -> NDArray[np.int64]:
    """Return the boxes as the padded masks fill them, with their corners cut to whole pixels."""
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * ((side + 2) / side)
    centre = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.int64)


@kernel("(f4[:,:,::1], f8[:,::1], i8, i8, i8, f8, b1)", "(f8[:,:,::1], f8[:,::1], i8, i8, i8, f8, b1)")
def _pasted(
    masks: NDArray[Float],
    boxes: NDArray[np.float64],
    i: int,
    height: int,
    width: int,
    threshold: float,
    is_sampled: bool,  # noqa: FBT001, kernels take no names
) -> Runs:
    real = masks.dtype.type
    side = masks.shape[1]
    padded = np.zeros((side + 3, side + 3), masks.dtype)  # by columns; one row of zeros more than needed saves a check
    for y in range(side):
        for x in range(side):
            padded[x + 1, y + 1] = masks[i, y, x]
    first, cells, before, after = _axis(boxes[i, 0], boxes[i, 2], width, side, is_sampled, real)
    top, rows, above, below = _axis(boxes[i, 1], boxes[i, 3], height, side, is_sampled, real)
    groups = _groups(rows)
    level = real(threshold)
    margin = real(2e-6) * max(np.abs(masks[i]).max(), real(1))  # far more than interpolation can round
    column = np.empty(side + 3, masks.dtype)
    toggles = np.empty(2 * cells.size + rows.size + 2, np.int64)
    used = 0
    for x in range(cells.size if rows.size else 0):
        toggles = with_room(toggles, used, rows.size + 1)
        base = (first + x) * height + top
        left, right = padded[cells[x]], padded[cells[x] + 1]
        e, w = before[x], after[x]
        for k in range(side + 3):
            column[k] = e * left[k] + w * right[k]
        is_set = False
        for g in range(groups.size - 1):
            k = rows[groups[g]]
            is_even = min(column[k], column[k + 1]) > level + margin or max(column[k], column[k + 1]) < level - margin
            for y in range(groups[g], groups[g] + 1 if is_even else groups[g + 1]):
                if is_even:
                    is_in = column[k] > level
                else:
                    corners = left[k], right[k], left[k + 1], right[k + 1]
                    score = _score(corners, e, w, above[y], below[y], is_sampled)
                    is_in = score > level or (is_sampled and score == level)
                if is_in != is_set:
                    used = _toggle(toggles, used, base + y)
                    is_set = is_in
        if is_set:
            used = _toggle(toggles, used, base + rows.size)
    return runs_of_toggles(toggles, used, height * width)


@kernel()
def _score(
    corners: tuple[Any, Any, Any, Any],
    e: Any,
    w: Any,
    s: Any,
    n: Any,
    is_sampled: bool,  # noqa: FBT001
) -> Any:
    """Return the score between four corners, whose weights are ``e, w`` to the left and right, ``s, n`` up and down.

    Both peers round in an order of their own.
    """
    upper_left, upper_right, lower_left, lower_right = corners
    if is_sampled:
        return upper_left * (s * e) + upper_right * (s * w) + lower_left * (n * e) + lower_right * (n * w)
    return s * (e * upper_left + w * upper_right) + n * (e * lower_left + w * lower_right)


@kernel()
def _toggle(toggles: Places, used: int, place: int) -> int:
    """Append a toggle, or take back the last one where the run goes on from column to column."""
    if used and toggles[used - 1] == place:
        return used - 1
    toggles[used] = place
    return used + 1


@kernel()
def _groups(cells: Places) -> Places:
    """Return where the pixels of each cell begin, and the end of all."""
    starts = np.empty(cells.size + 1, np.int64)
    used = 0
    for p in range(cells.size):
        if p == 0 or cells[p] != cells[p - 1]:
            starts[used] = p
            used += 1
    starts[used] = cells.size
    return starts[: used + 1]


@kernel()
def _axis(
    low: float,
    high: float,
    size: int,
    side: int,
    is_sampled: bool,  # noqa: FBT001
    real: Any,
) -> tuple[int, Places, NDArray[Any], NDArray[Any]]:
    """Return the first of the pixels that a box reaches, and for each its cell in the padded mask, and both weights."""
    if is_sampled:
        first, last = max(int(np.floor(low)) - 1, 0), min(int(np.ceil(high)) + 1, size)
        if high <= low:
            last = first
    else:
        first, last = max(int(low), 0), min(int(high) + 1, size)
    count = max(last - first, 0)
    cells = np.empty(count, np.int64)
    before, after = np.empty(count, real), np.empty(count, real)
    half, one, two = real(0.5), real(1), real(2)
    begin, extent = real(low), real(high) - real(low)
    step = real(side + 2) / real(max(int(high) - int(low) + 1, 1))
    for p in range(count):
        if is_sampled:
            # As grid_sample has it: to [-1, 1] and back.
            place = ((real(first + p) + half - begin) / extent * two - one + one) * (real(side) / two) - half
            floor = np.floor(place)
            after[p] = place - floor
            cells[p] = int(floor) + 1 if -1 <= floor < side else side + 1  # zeros, from there on
        else:
            place = max(step * (real(first + p - int(low)) + half) - half, real(0))
            cells[p] = min(int(place), side + 1)
            after[p] = min(max(place - real(cells[p]), real(0)), one)
        before[p] = one - after[p]
    return first, cells, before, after
