"""Of boxes that show the same thing, the best keeps its score and the others lose some of theirs."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, finite_floats, number, whole_number
from retinue.ops._overlap_kernels import measurable_boxes
from retinue.ops._suppression_loops import decays_among, softened
from retinue.ops._suppression_order import ranked
from retinue.ops._suppression_tiles import dense_groups

_KINDS = ("linear", "gaussian")


def soft_nms(  # noqa: PLR0913, all but the first two by name
    boxes: NDArray[Float],
    scores: NDArray[Float],
    *,
    method: Literal["linear", "gaussian"] = "linear",
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 0.001,
    labels: ArrayLike | None = None,
    max_output: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[Float]]:
    """Return the boxes in the order in which they are picked, and the scores that they have left by then.

    The best box is picked and lowers the score of all that overlap it, then the best of the rest, and so on.

    Args:
        boxes: (n, 4) corners ``x1, y1, x2, y2``, float32 or float64; other real dtypes count as float64.
        scores: (n,) float32 or float64, at least 0.
        method: ``"linear"`` multiplies a score by ``1 - iou`` where the IoU with the box that was picked is above the
            threshold; ``"gaussian"`` multiplies by ``exp(-iou**2 / sigma)`` wherever they overlap.
        iou_threshold: in [0, 1], of ``"linear"``.
        sigma: above 0, of ``"gaussian"``: how gently scores are lowered.
        min_score: boxes whose score is below, at first or later, are dropped.
        labels: (n,) integers: boxes of different labels do not lower each other. None: all are of one label.
        max_output: how many boxes to return at most, at least 0; None for all.

    Returns:
        Indices (m,) and scores (m,) in the dtype of the scores, both by descending score.

    Raises:
        ValueError: an input is of another shape or not finite, a score is negative, a number is outside its range, or
            the method is another.

    Notes:
        Of equal scores the lowest index is picked first. A box without area, or with a reversed side, overlaps
        nothing. Scores are lowered in float64 and rounded at the end.

    Source:
        Bodla et al., ICCV 2017, arXiv:1704.04503; mmcv's defaults. Both only drop boxes that another has lowered, we
        also drop those that were below `min_score` from the start.

    >>> boxes = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 8.0], [20.0, 0.0, 30.0, 10.0]])
    >>> indices, scores = soft_nms(boxes, np.array([0.9, 0.8, 0.5]))
    >>> indices, scores.round(3)
    (array([0, 2, 1]), array([0.9 , 0.5 , 0.16]))
    """
    if method not in _KINDS:
        raise ValueError(f"method: must be one of {', '.join(_KINDS)}, got {method!r}")
    array = measurable_boxes(boxes)
    given, order = _positive_scores(scores, len(array))
    threshold = number(iou_threshold, "iou_threshold", at_least=0, at_most=1)
    width = number(sigma, "sigma", above=0)
    least = number(min_score, "min_score")
    max_count = len(array)
    if max_output is not None:
        max_count = min(max_count, whole_number(max_output, "max_output", at_least=0))
    groups, group_count = dense_groups(labels, len(array))
    if method == "linear":
        width = 0.0
    else:
        threshold = 0.0
    current = given.astype(np.float64)
    indices = softened(array, current, order, groups, group_count, threshold, width, least, max_count)
    return indices, current[indices].astype(given.dtype)


def matrix_nms(
    boxes: NDArray[Float] | None,
    scores: NDArray[Float],
    *,
    overlap: NDArray[Float] | None = None,
    labels: ArrayLike | None = None,
    kernel: Literal["gaussian", "linear"] = "gaussian",
    sigma: float = 2.0,
) -> NDArray[Float]:
    """Return scores that each better box has lowered by how far it overlaps, all at once instead of pick by pick.

    A score is multiplied by the least of ``f(iou with a better box) / f(largest iou of that box with one better
    still)``: what is itself a duplicate lowers others less.

    Args:
        boxes: (n, 4) corners ``x1, y1, x2, y2``, float32 or float64; None where `overlap` is given.
        scores: (n,) float32 or float64, at least 0.
        overlap: (n, n) how far each overlaps each, in [0, 1], instead of boxes: of masks for instance. What counts is
            the row of the better one.
        labels: (n,) integers: boxes of different labels do not lower each other. None: all are of one label.
        kernel: f: ``"gaussian"`` for ``exp(-sigma * iou**2)``, ``"linear"`` for ``1 - iou``.
        sigma: above 0, of ``"gaussian"``: how hard scores are lowered.

    Returns:
        (n,) lowered scores in the order of the input and the dtype of the scores.

    Raises:
        ValueError: an input is of another shape or not finite, a score is negative, an overlap is outside [0, 1], both
            or none of boxes and `overlap` are given, `sigma` is not above 0, or the kernel is another.

    Notes:
        Of equal scores the lowest index is the better. With ``"linear"``, a box that a better one covers exactly
        lowers no other: its quotient has no value. A box without area overlaps nothing.

    Source:
        Wang et al., SOLOv2, NeurIPS 2020, arXiv:2003.10152; the rule for exact duplicates is ours.

    >>> boxes = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 8.0], [20.0, 0.0, 30.0, 10.0]])
    >>> matrix_nms(boxes, np.array([0.9, 0.8, 0.5]), kernel="linear").round(3)
    array([0.9 , 0.16, 0.5 ])
    """
    if kernel not in _KINDS:
        raise ValueError(f"kernel: must be one of {', '.join(_KINDS)}, got {kernel!r}")
    if (boxes is None) == (overlap is None):
        raise ValueError("overlap: must be given if boxes are None, and only then")
    strength = number(sigma, "sigma", above=0) if kernel == "gaussian" else 0.0
    if boxes is not None:
        array = measurable_boxes(boxes)
        given, order = _positive_scores(scores, len(array))
        groups, group_count = dense_groups(labels, len(array))
        factors = decays_among(array, order, groups, group_count, strength)
    else:
        matrix = finite_floats(np.asarray(overlap), "overlap")
        given, order = _positive_scores(scores, None)
        if matrix.shape != (len(given), len(given)):
            raise ValueError(f"overlap: must be {(len(given),) * 2} for {len(given)} scores, got {matrix.shape}")
        if not ((matrix >= 0) & (matrix <= 1)).all():
            raise ValueError("overlap: must be in [0, 1]")
        groups, _ = dense_groups(labels, len(given))
        factors = _decays_of(matrix, order, groups, strength)
    return (given * factors).astype(given.dtype)


def _positive_scores(scores: NDArray[Float], length: int | None) -> tuple[NDArray[Float], NDArray[np.int64]]:
    """Return scores and their descending order, if none is negative."""
    given, order = ranked(scores, length)
    if len(given) and given[order[-1]] < 0:
        raise ValueError("scores: must be at least 0")
    return given, order


def _decays_of(
    overlap: NDArray[Any], order: NDArray[np.int64], groups: NDArray[np.int64], strength: float
) -> NDArray[np.float64]:
    """Return what `decays_among` returns, of overlaps that are known."""
    matrix = np.triu(overlap[np.ix_(order, order)].astype(np.float64), 1)
    if len(groups):
        matrix *= groups[order, None] == groups[order]
    largest = matrix.max(axis=0, initial=0)[:, None]
    if strength > 0:
        sorted_decays = np.exp(-strength * (matrix**2 - largest**2).max(axis=0, initial=0))
    else:
        spared = np.where(largest < 1, 1 - matrix, 1)
        sorted_decays = (spared / np.where(largest < 1, 1 - largest, 1)).min(axis=0, initial=1)
    decays = np.empty(len(order))
    decays[order] = sorted_decays
    return decays
