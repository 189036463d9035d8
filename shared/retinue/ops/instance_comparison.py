"""All that is said of one picture's instances beside another's, from one look at what they share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import number, whole_number
from retinue.ops._label_overlap import LabelOverlap, label_overlap
from retinue.ops.instance_metrics import PanopticQuality, jaccard_of_best, jaccard_of_pairs, panoptic_pairs
from retinue.ops.pairing import Pairing
from retinue.ops.rle import Rle, rle_area
from retinue.ops.rle_algebra import rle_iou, rle_merge
from retinue.ops.stopping import NEVER, Stop

_NOTHING = float("nan")
_ANY_NUMBER = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class InstanceComparison:
    """How like two segmentations of one picture are.

    Args:
        true_ids: (t,) int64 ids of the true instances, ascending.
        predicted_ids: (p,) int64 ids of the predicted ones, ascending.
        pairing: who belongs to whom, by place among the ids; values are IoUs, in (0, 1].
        quality: panoptic quality; all of it is NaN where there is no instance at all.
        aggregated_jaccard: as `aggregated_jaccard`; NaN where no pixel is covered.
        aggregated_jaccard_plus: as `aggregated_jaccard_plus`; NaN where no pixel is covered.
        dice: of everything true with everything predicted, whatever the instances; NaN where no pixel is covered.
    """

    true_ids: NDArray[np.int64]
    predicted_ids: NDArray[np.int64]
    pairing: Pairing
    quality: PanopticQuality
    aggregated_jaccard: float
    aggregated_jaccard_plus: float
    dice: float


def compare_label_maps(
    true_map: ArrayLike,
    predicted_map: ArrayLike,
    *,
    threshold: float = 0.5,
    most_pairs: int = _ANY_NUMBER,
    stop: Stop = NEVER,
) -> InstanceComparison:
    """Return how like two label maps are.

    Args:
        true_map: integers of at least 0, (H, W) or any other shape; 0 is background. Ids may be any, in any order.
        predicted_map: the same, of the same shape.
        threshold: in [0, 1], what the IoU of a pair is to exceed.
        most_pairs: how many pairs of labels, background among them, may share pixels; some 100 bytes each.
        stop: ends the work, from another thread, between its parts.

    Returns:
        The figures of `match_instances`, `panoptic_quality`, `aggregated_jaccard` and `aggregated_jaccard_plus`, at the
        cost of one of them.

    Raises:
        ValueError: a map is no integers of at least 0, the shapes differ, threshold is not in [0, 1], or more pairs
            share pixels than may.
        Stopped: ``stop`` is set.

    >>> found = compare_label_maps([[5, 5, 0, 3]], [[2, 2, 2, 0]])
    >>> found.true_ids.tolist(), found.pairing.index_a.tolist(), found.pairing.unpaired_a.tolist()
    ([3, 5], [1], [0])
    >>> round(found.dice, 3)
    0.667
    """
    overlap = label_overlap(true_map, predicted_map, whole_number(most_pairs, "most_pairs", at_least=0))
    stop.check()
    shared, covered = int(overlap.shared.sum()), int(overlap.true_areas.sum() + overlap.predicted_areas.sum())
    return _compared(overlap, threshold, 2 * shared / covered if covered else _NOTHING, stop)


def compare_masks(
    true_masks: Sequence[Rle], predicted_masks: Sequence[Rle], *, threshold: float = 0.5, stop: Stop = NEVER
) -> InstanceComparison:
    """Return how like two lists of masks are; masks of one list may overlap.

    Args:
        true_masks: t masks.
        predicted_masks: p masks, all of one size.
        threshold: in [0, 1], what the IoU of a pair is to exceed.
        stop: ends the work, from another thread, between pairs of masks.

    Returns:
        As `compare_label_maps`; ids are places in the lists. A mask of no pixel is an instance that pairs with none.

    Raises:
        ValueError: the sizes differ, something is no mask, or threshold is not in [0, 1].
        Stopped: ``stop`` is set.

    Notes:
        Memory takes 8 t p bytes, time follows the runs of masks whose boxes meet.

    >>> left, right = Rle(1, 4, np.array([0, 2, 2])), Rle(1, 4, np.array([1, 2, 1]))
    >>> found = compare_masks([left, right], [right], threshold=0.3)
    >>> found.pairing.index_a.tolist(), found.pairing.values.tolist(), found.dice
    ([1], [1.0], 0.8)
    """
    true_areas = np.array([rle_area(mask) for mask in true_masks], np.int64)
    predicted_areas = np.array([rle_area(mask) for mask in predicted_masks], np.int64)
    ious = rle_iou(true_masks, predicted_masks, stop=stop)
    true_places, predicted_places = np.nonzero(ious)
    ratios = ious[true_places, predicted_places]
    both = true_areas[true_places] + predicted_areas[predicted_places]
    # An IoU is the quotient of two whole numbers below 2**33, so that what is shared comes out of it to the pixel.
    shared = np.rint(ratios * both / (1 + ratios)).astype(np.int64)
    overlap = LabelOverlap(
        np.arange(len(true_areas)),
        true_areas,
        np.arange(len(predicted_areas)),
        predicted_areas,
        true_places,
        predicted_places,
        shared,
    )
    return _compared(overlap, threshold, _dice(true_masks, predicted_masks), stop)


def _dice(true_masks: Sequence[Rle], predicted_masks: Sequence[Rle]) -> float:
    sides = [rle_merge(masks) for masks in (true_masks, predicted_masks) if masks]
    covered = sum(map(rle_area, sides))
    if not covered:
        return _NOTHING
    return 2 * rle_area(rle_merge(sides, is_intersection=True)) / covered if len(sides) == 2 else 0.0


def _compared(overlap: LabelOverlap, threshold: float, dice: float, stop: Stop) -> InstanceComparison:
    least = number(threshold, "threshold", at_least=0, at_most=1)
    ious = overlap.ious()
    pairs = panoptic_pairs(overlap, ious, least, stop)
    true_count, predicted_count = len(overlap.true_ids), len(overlap.predicted_ids)
    pairing = Pairing.of(
        overlap.true_places[pairs], overlap.predicted_places[pairs], ious[pairs], true_count, predicted_count
    )
    quality = PanopticQuality(
        float(ious[pairs].sum()), len(pairs), predicted_count - len(pairs), true_count - len(pairs), _NOTHING
    )
    return InstanceComparison(
        overlap.true_ids,
        overlap.predicted_ids,
        pairing,
        quality,
        jaccard_of_best(overlap, ious, _NOTHING),
        jaccard_of_pairs(overlap, ious, _NOTHING, stop),
        dice,
    )
