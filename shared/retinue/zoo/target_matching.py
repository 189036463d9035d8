"""Which anchor or proposal is to learn which object, and which of them a step learns from."""

import numpy as np
from numpy.typing import NDArray

from retinue.ops.overlap import pairwise_iou

BACKGROUND = -1
IGNORED = -2


def match_to_targets(
    boxes: NDArray[np.float32], targets: NDArray[np.float32], *, low: float, high: float, keeps_best: bool = False
) -> NDArray[np.int64]:
    """Return for each box the index of its target, or `BACKGROUND`, or `IGNORED`.

    Args:
        boxes: (n, 4) corners, x1, y1, x2, y2.
        targets: (m, 4) corners in the same frame.
        low: boxes that overlap every target by less than this are background.
        high: boxes that overlap a target by at least this are its own; those between are ignored.
        keeps_best: whether the boxes that overlap a target most are some target's own however little that is.

    Returns:
        (n,) int64 in [-2, m).

    Source:
        Ren et al., NeurIPS 2015, arXiv:1506.01497, section 3.1.2.

    >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]], np.float32)
    >>> match_to_targets(boxes, boxes[:1], low=0.3, high=0.7)
    array([ 0, -2, -1])
    """
    if not len(targets) or not len(boxes):
        return np.full(len(boxes), BACKGROUND, np.int64)
    overlap = pairwise_iou(targets, boxes)
    nearest, best = overlap.argmax(0), overlap.max(0)
    matched = np.where(best >= high, nearest, np.where(best >= low, IGNORED, BACKGROUND))
    if keeps_best:
        most = overlap.max(1, keepdims=True)
        is_best = ((overlap == most) & (most > 0)).any(0)
        matched[is_best] = nearest[is_best]
    return matched.astype(np.int64)


def sample_matches(
    matched: NDArray[np.int64], count: int, positive_share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the boxes to learn objects from, and of those to learn background from.

    Args:
        matched: (n,) as `match_to_targets` gives it.
        count: at most so many boxes in all.
        positive_share: at most this share of them with objects; background fills the rest.
        rng: chooses.

    Source:
        Ren et al., NeurIPS 2015, arXiv:1506.01497, section 3.1.3.
    """
    positive = np.flatnonzero(matched >= 0)
    negative = np.flatnonzero(matched == BACKGROUND)
    positive = rng.permutation(positive)[: int(count * positive_share)]
    return positive, rng.permutation(negative)[: count - len(positive)]
