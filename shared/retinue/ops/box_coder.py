"""Boxes told as deltas to anchors, which is how detectors predict them."""

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import Float, finite_floats, float_boxes, native, number
from retinue.ops._kernel import kernel

_MAX_LOG_RATIO = math.log(1000 / 16)


def encode_boxes(
    targets: NDArray[Float], anchors: NDArray[Float], *, weights: Sequence[float] = (1, 1, 1, 1)
) -> NDArray[Float]:
    """Return the deltas that lead from anchors to targets: the shift of the centre, and the log of the ratio of sizes.

    Args:
        targets: (n, 4) corners ``x1, y1, x2, y2``, ``x1 < x2`` and ``y1 < y2``, float32 or float64; other real dtypes
            count as float64.
        anchors: (n, 4) the same format and frame, one for each target.
        weights: what ``dx, dy, dw, dh`` are multiplied by, each above 0: (1, 1, 1, 1) in torchvision's region proposal
            network, (10, 10, 5, 5) in its box head.

    Returns:
        (n, 4) ``dx, dy, dw, dh``: in float32 where both are float32, otherwise in float64.

    Raises:
        ValueError: boxes are not (n, 4) or not finite, their counts differ, a side is not positive, or weights are not
            four numbers above 0.

    Notes:
        `decode_boxes` undoes it, but for rounding.

    Source:
        torchvision's `BoxCoder` and its arithmetic, after Girshick, ICCV 2015, arXiv:1504.08083.

    >>> encode_boxes(np.array([[5.0, 0.0, 15.0, 10.0]]), np.array([[0.0, 0.0, 10.0, 10.0]]), weights=(10, 10, 5, 5))
    array([[5., 0., 0., 0.]])
    """
    target, anchor = float_boxes(targets, "targets"), float_boxes(anchors, "anchors")
    if target.shape != anchor.shape:
        raise ValueError(f"anchors: must be as many as targets, {len(target)}, got {len(anchor)}")
    if target.dtype != anchor.dtype:
        target, anchor = cast("Any", target.astype(np.float64)), cast("Any", anchor.astype(np.float64))
    factors = _weights(weights, target)
    (target_centre, target_size), (anchor_centre, anchor_size) = _measured(target), _measured(anchor)
    for name, size in (("targets", target_size), ("anchors", anchor_size)):
        if not (size > 0).all():
            raise ValueError(f"{name}: must have x1 < x2 and y1 < y2, got a box that is empty or reversed")
    deltas: NDArray[Float] = np.empty_like(target)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        deltas[:, :2] = factors[:2] * (target_centre - anchor_centre) / anchor_size
        deltas[:, 2:] = factors[2:] * np.log(target_size / anchor_size)
    return deltas


def decode_boxes(
    deltas: NDArray[Float],
    anchors: NDArray[Float],
    *,
    weights: Sequence[float] = (1, 1, 1, 1),
    max_log_ratio: float = _MAX_LOG_RATIO,
) -> NDArray[Float]:
    """Return the boxes that deltas lead to from anchors.

    Args:
        deltas: (n, 4) ``dx, dy, dw, dh``, or (n, k, 4), or (n, 4 k) with those of k classes one after the other;
            float32 or float64, other real dtypes count as float64.
        anchors: (n, 4) corners ``x1, y1, x2, y2``, one for each row of deltas.
        weights: what ``dx, dy, dw, dh`` are divided by, each above 0, as in `encode_boxes`.
        max_log_ratio: what ``dw`` and ``dh`` are cut to, at least 0: no box grows beyond 62.5 times its anchor with the
            default of log(1000 / 16). They are not cut below: a box may shrink to nothing.

    Returns:
        (n, 4) corners for deltas (n, 4), otherwise (n, k, 4), in the frame of the anchors: in float32 where both are
        float32, otherwise in float64.

    Raises:
        ValueError: an input is of another shape or not finite, the counts differ, weights are not four numbers above
            0, or `max_log_ratio` is negative or not finite.

    Notes:
        Boxes are not clipped to an image. A box beyond the range of the dtype has no finite corners.

    Source:
        torchvision's `BoxCoder` and its arithmetic, in its order, after Girshick, ICCV 2015, arXiv:1504.08083.

    >>> decode_boxes(np.array([[0.5, 0.0, np.log(2), 0.0]]), np.array([[0.0, 0.0, 10.0, 10.0]])).round(6)
    array([[ 0.,  0., 20., 10.]])
    """
    delta, anchor = finite_floats(deltas, "deltas"), float_boxes(anchors, "anchors")
    shape = _decoded_shape(delta.shape, len(anchor))
    if delta.dtype != anchor.dtype:
        delta, anchor = cast("Any", delta.astype(np.float64)), cast("Any", anchor.astype(np.float64))
    factors = _weights(weights, delta)
    limit = delta.dtype.type(number(max_log_ratio, "max_log_ratio", at_least=0))
    moves = native(delta).reshape(len(anchor), math.prod(shape[1:]))
    # numpy takes exponents of many numbers at a time, compiled loops one by one.
    growth: NDArray[Any] = np.empty((2, moves.size // 4), delta.dtype)
    _log_sizes(moves, factors, limit, growth)
    with np.errstate(under="ignore", over="ignore"):
        np.exp(growth, out=growth)
    boxes = np.empty_like(moves)
    _corners(moves, native(anchor), factors, growth, boxes)
    return boxes.reshape(shape)


def _decoded_shape(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    if shape == (0,) and count == 0:  # an empty list
        return (0, 4)
    if len(shape) not in {2, 3} or shape[-1] == 0 or shape[-1] % 4 or (len(shape) == 3 and shape[2] != 4):
        raise ValueError(f"deltas: must be (n, 4), (n, k, 4) or (n, 4 k), got {shape}")
    if shape[0] != count:
        raise ValueError(f"anchors: must be as many as rows of deltas, {shape[0]}, got {count}")
    return shape if shape[-1] == 4 else (count, shape[1] // 4, 4)


def _weights(weights: Sequence[float], like: NDArray[Float]) -> NDArray[Float]:
    if np.shape(weights) != (4,):
        raise ValueError(f"weights: must be four numbers, got {weights!r}")
    return np.array([number(weight, "weights", above=0) for weight in weights], dtype=like.dtype)


def _measured(boxes: NDArray[Float]) -> tuple[NDArray[Float], NDArray[Float]]:
    """Return centres and sizes [n, 2]."""
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = boxes[:, 2:] - boxes[:, :2]
        return boxes[:, :2] + boxes.dtype.type(0.5) * sizes, sizes


@kernel("(f4[:,::1], f4[::1], f4, f4[:,::1])", "(f8[:,::1], f8[::1], f8, f8[:,::1])")
def _log_sizes(deltas: NDArray[Any], weights: NDArray[Any], limit: Any, growth: NDArray[Any]) -> None:
    flat = deltas.reshape(-1, 4)
    width, height = weights[2], weights[3]
    for k in range(len(flat)):
        growth[0, k] = min(flat[k, 2] / width, limit)
        growth[1, k] = min(flat[k, 3] / height, limit)


@kernel(
    "(f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[:,::1])",
    "(f8[:,::1], f8[:,::1], f8[::1], f8[:,::1], f8[:,::1])",
)
def _corners(
    deltas: NDArray[Any], anchors: NDArray[Any], weights: NDArray[Any], growth: NDArray[Any], boxes: NDArray[Any]
) -> None:
    half = deltas.dtype.type(0.5)
    classes = deltas.shape[1] // 4
    x_weight, y_weight = weights[0], weights[1]
    for row in range(len(anchors)):
        width, height = anchors[row, 2] - anchors[row, 0], anchors[row, 3] - anchors[row, 1]
        x, y = anchors[row, 0] + half * width, anchors[row, 1] + half * height
        for label in range(classes):
            k = 4 * label
            middle_x, middle_y = deltas[row, k] / x_weight * width + x, deltas[row, k + 1] / y_weight * height + y
            half_width = half * (growth[0, row * classes + label] * width)
            half_height = half * (growth[1, row * classes + label] * height)
            boxes[row, k], boxes[row, k + 1] = middle_x - half_width, middle_y - half_height
            boxes[row, k + 2], boxes[row, k + 3] = middle_x + half_width, middle_y + half_height
