"""How well one picture's instances agree with another's: pairs, panoptic quality, aggregated Jaccard index."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import number
from retinue.ops._label_overlap import LabelOverlap, label_overlap
from retinue.ops._listed_assignment import heaviest_pairs
from retinue.ops.stopping import NEVER, Stop

Criterion = Literal["iou", "iot", "iop"]
MatchMode = Literal["panoptic", "stardist", "hovernet"]

_CRITERIA = ("iou", "iot", "iop")
_MODES = ("panoptic", "stardist", "hovernet")


@dataclass(frozen=True, slots=True, eq=False)
class InstanceMatch:
    """Which instances of two label maps are taken for the same.

    Args:
        true_ids: (n,) int64 ids of the paired instances of the true map, ascending.
        predicted_ids: (n,) int64 their partners in the predicted map.
        overlaps: (n,) float64 overlap of each pair by the criterion, in (0, 1].
        unpaired_true_ids: int64 ascending: missed.
        unpaired_predicted_ids: int64 ascending: made up.
    """

    true_ids: NDArray[np.int64]
    predicted_ids: NDArray[np.int64]
    overlaps: NDArray[np.float64]
    unpaired_true_ids: NDArray[np.int64]
    unpaired_predicted_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.true_ids)


@dataclass(frozen=True, slots=True)
class PanopticQuality:
    """Counts that panoptic quality is made of; those of several pictures add up to those of all.

    Args:
        overlap_sum: sum of the IoU of all pairs.
        true_positive_count: pairs.
        false_positive_count: predicted instances without a partner.
        false_negative_count: true instances without a partner.
        empty: what the qualities are where there is no instance at all.

    >>> PanopticQuality(0.8, 1, 0, 0) + PanopticQuality(0.0, 0, 1, 1)
    PanopticQuality(overlap_sum=0.8, true_positive_count=1, false_positive_count=1, false_negative_count=1, empty=1.0)
    """

    overlap_sum: float
    true_positive_count: int
    false_positive_count: int
    false_negative_count: int
    empty: float = 1.0

    @property
    def panoptic_quality(self) -> float:
        """Return PQ = SQ * RQ, in [0, 1]: the sum of IoUs over pairs and half of what has no partner."""
        return self._over(self.overlap_sum, self._half_of_all)

    @property
    def segmentation_quality(self) -> float:
        """Return SQ, in [0, 1]: the mean IoU of pairs; 0 where there are instances and no pair."""
        return self._over(self.overlap_sum, self.true_positive_count)

    @property
    def recognition_quality(self) -> float:
        """Return RQ (detection quality, F1), in [0, 1]: pairs over pairs and half of what has no partner."""
        return self._over(self.true_positive_count, self._half_of_all)

    def __add__(self, other: "PanopticQuality") -> "PanopticQuality":
        if not isinstance(other, PanopticQuality):
            return NotImplemented
        return PanopticQuality(
            self.overlap_sum + other.overlap_sum,
            self.true_positive_count + other.true_positive_count,
            self.false_positive_count + other.false_positive_count,
            self.false_negative_count + other.false_negative_count,
            self.empty,
        )

    @property
    def _half_of_all(self) -> float:
        return self.true_positive_count + 0.5 * self.false_positive_count + 0.5 * self.false_negative_count

    def _over(self, part: float, whole: float) -> float:
        if self._half_of_all == 0:
            return self.empty
        return part / whole if whole else 0.0


def match_instances(
    true_map: ArrayLike,
    predicted_map: ArrayLike,
    *,
    threshold: float = 0.5,
    criterion: Criterion = "iou",
    mode: MatchMode = "panoptic",
) -> InstanceMatch:
    """Return which instances of two label maps are taken for the same, each at most once.

    Args:
        true_map: integers of at least 0, (H, W) or any other shape; 0 is background. Ids may be any, in any order.
        predicted_map: the same, of the same shape.
        threshold: in [0, 1], what the overlap is to exceed, or to reach with ``"stardist"``.
        criterion: ``"iou"``, the pixels shared over the pixels of both; ``"iot"``, over those of the true instance;
            ``"iop"``, over those of the predicted instance.
        mode: ``"panoptic"``, the default: of the pairs above the threshold, as many as can be, and of all such choices
            the one with the greatest sum of overlaps. With an IoU above 0.5 there is but one. ``"stardist"``: pairs at
            the threshold count too, and among equally many pairs overlaps below the threshold weigh with the others.
            ``"hovernet"``: with a threshold below 0.5, the greatest sum of overlaps whatever the threshold, of which
            pairs that do not exceed it are dropped; that may leave fewer pairs than there could be.

    Returns:
        The pairs by ascending true id, and the instances without a partner.

    Raises:
        ValueError: a map is no integers of at least 0, the shapes differ, threshold is not in [0, 1], or criterion or
            mode is unknown.

    Notes:
        Instances that share no pixel are never paired, also with a threshold of 0. Where several choices are equally
        good one of them is taken, always the same for the same maps. Time and memory follow the pixels and the number
        of ids, not the highest id.

    Source:
        Kirillov et al., CVPR 2019, for IoU above 0.5; the modes after stardist's `matching` and HoVer-Net's
        `get_fast_pq`.

    >>> match = match_instances([[5, 5, 0], [0, 9, 9]], [[2, 2, 0], [0, 0, 7]])
    >>> match.true_ids, match.predicted_ids, match.overlaps, match.unpaired_predicted_ids
    (array([5]), array([2]), array([1.]), array([7]))
    """
    least = number(threshold, "threshold", at_least=0, at_most=1)
    if criterion not in _CRITERIA:
        raise ValueError(f"criterion: must be one of {', '.join(_CRITERIA)}, got {criterion!r}")
    if mode not in _MODES:
        raise ValueError(f"mode: must be one of {', '.join(_MODES)}, got {mode!r}")
    overlap = label_overlap(true_map, predicted_map)
    values = _overlaps(overlap, criterion)
    pairs = _matched(overlap, values, least, mode)
    trues, predictions = overlap.true_places[pairs], overlap.predicted_places[pairs]
    return InstanceMatch(
        overlap.true_ids[trues],
        overlap.predicted_ids[predictions],
        values[pairs],
        np.delete(overlap.true_ids, trues),
        np.delete(overlap.predicted_ids, predictions),
    )


def panoptic_quality(
    true_map: ArrayLike,
    predicted_map: ArrayLike,
    *,
    threshold: float = 0.5,
    mode: MatchMode = "panoptic",
    empty: float = 1.0,
) -> PanopticQuality:
    """Return the panoptic quality of a label map, and the counts that it is made of.

    Args:
        true_map: integers of at least 0, (H, W) or any other shape; 0 is background.
        predicted_map: the same, of the same shape.
        threshold: in [0, 1], what the IoU of a pair is to exceed.
        mode: how pairs are made, see `match_instances`.
        empty: what the qualities are where neither map has an instance.

    Returns:
        Add those of several pictures to get the quality over all of them. For the quality of one class, give maps that
        hold its instances alone.

    Raises:
        ValueError: as `match_instances`, or empty is no finite number.

    Source:
        Kirillov et al., CVPR 2019. HoVer-Net's code divides SQ by pairs + 1e-6, and by zero where both are empty.

    >>> quality = panoptic_quality([[5, 5, 0, 3]], [[2, 2, 2, 0]])
    >>> round(quality.segmentation_quality, 3), round(quality.recognition_quality, 3)
    (0.667, 0.667)
    """
    nothing = number(empty, "empty")
    match = match_instances(true_map, predicted_map, threshold=threshold, mode=mode)
    return PanopticQuality(
        float(match.overlaps.sum()),
        len(match),
        len(match.unpaired_predicted_ids),
        len(match.unpaired_true_ids),
        nothing,
    )


def aggregated_jaccard(true_map: ArrayLike, predicted_map: ArrayLike, *, empty: float = 1.0) -> float:
    """Return the aggregated Jaccard index: pixels shared with the best partner over pixels covered, of all instances.

    Args:
        true_map: integers of at least 0, (H, W) or any other shape; 0 is background.
        predicted_map: the same, of the same shape.
        empty: what is returned where neither map has an instance.

    Returns:
        The index, in [0, 1].

    Raises:
        ValueError: a map is no integers of at least 0, the shapes differ, or empty is no finite number.

    Notes:
        The partner of a true instance is the predicted one of the greatest IoU, of equal ones that of the lowest id.
        One prediction may be the partner of several, and its pixels count each time; see `aggregated_jaccard_plus`.

    Source:
        Kumar et al., IEEE TMI 2017. HoVer-Net's `get_fast_aji` adds 1e-6 to unions where it compares.

    >>> aggregated_jaccard([[1, 1, 2, 2]], [[1, 1, 1, 0]])
    0.42857142857142855
    """
    nothing = number(empty, "empty")
    overlap = label_overlap(true_map, predicted_map)
    return jaccard_of_best(overlap, overlap.ious(), nothing)


def aggregated_jaccard_plus(true_map: ArrayLike, predicted_map: ArrayLike, *, empty: float = 1.0) -> float:
    """Return the aggregated Jaccard index with partners that are shared with nobody: AJI+.

    Args:
        true_map: integers of at least 0, (H, W) or any other shape; 0 is background.
        predicted_map: the same, of the same shape.
        empty: what is returned where neither map has an instance.

    Returns:
        The index, in [0, 1].

    Raises:
        ValueError: a map is no integers of at least 0, the shapes differ, or empty is no finite number.

    Notes:
        Partners make the greatest sum of IoUs. Where several choices make the same sum they may make different indices;
        one of them is taken, always the same for the same maps.

    Source:
        Graham et al., HoVer-Net, Medical Image Analysis 2019.

    >>> aggregated_jaccard_plus([[1, 1, 2, 2]], [[1, 1, 1, 0]])
    0.4
    """
    nothing = number(empty, "empty")
    overlap = label_overlap(true_map, predicted_map)
    return jaccard_of_pairs(overlap, overlap.ious(), nothing)


def jaccard_of_best(overlap: LabelOverlap, ious: NDArray[np.float64], empty: float) -> float:
    """Return the aggregated Jaccard index of instances with the IoU of each pair; `empty` where no pixel is covered."""
    # By true instance and descending IoU; the sort is stable, so that equal ones stay in the order of their ids.
    order = np.lexsort((-ious, overlap.true_places))
    is_first = np.diff(overlap.true_places[order], prepend=-1) != 0
    return _aggregated(overlap, order[is_first], empty)


def jaccard_of_pairs(overlap: LabelOverlap, ious: NDArray[np.float64], empty: float, stop: Stop = NEVER) -> float:
    """Return the same with partners that are shared with nobody."""
    return _aggregated(overlap, _heaviest(overlap, ious, stop), empty)


def _aggregated(overlap: LabelOverlap, pairs: NDArray[np.int64], empty: float) -> float:
    """Return the pixels that pairs share over the pixels that pairs, and instances in no pair, cover."""
    unions = (
        overlap.unions()[pairs].sum()
        + np.delete(overlap.true_areas, overlap.true_places[pairs]).sum()
        + np.delete(overlap.predicted_areas, overlap.predicted_places[pairs]).sum()
    )
    return float(overlap.shared[pairs].sum() / unions) if unions else empty


def _overlaps(overlap: LabelOverlap, criterion: Criterion) -> NDArray[np.float64]:
    if criterion == "iou":
        return overlap.ious()
    if criterion == "iot":
        return overlap.shared / overlap.true_areas[overlap.true_places]
    return overlap.shared / overlap.predicted_areas[overlap.predicted_places]


def _matched(
    overlap: LabelOverlap, values: NDArray[np.float64], threshold: float, mode: MatchMode
) -> NDArray[np.int64]:
    """Return the pairs that are made, ascending."""
    if mode == "stardist":
        is_enough = values >= threshold
        pairs = _heaviest(overlap, is_enough + _bonus(overlap, values))
        return pairs[is_enough[pairs]]
    if mode == "hovernet" and threshold < 0.5:
        pairs = _heaviest(overlap, values)
        return pairs[values[pairs] > threshold]
    return panoptic_pairs(overlap, values, threshold)


def panoptic_pairs(
    overlap: LabelOverlap, values: NDArray[np.float64], threshold: float, stop: Stop = NEVER
) -> NDArray[np.int64]:
    """Return the pairs above the threshold, ascending: as many as can be, and of those the greatest sum of values."""
    bonus = _bonus(overlap, values)
    possible = np.flatnonzero(values > threshold)
    chosen = heaviest_pairs(
        overlap.true_places[possible],
        overlap.predicted_places[possible],
        1 + bonus[possible],
        len(overlap.true_ids),
        len(overlap.predicted_ids),
        stop,
    )
    return possible[chosen]


def _bonus(overlap: LabelOverlap, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return so small a part of each value that all of them together never outweigh one pair."""
    return values / (2 * max(1, min(len(overlap.true_ids), len(overlap.predicted_ids))))


def _heaviest(overlap: LabelOverlap, weights: NDArray[np.float64], stop: Stop = NEVER) -> NDArray[np.int64]:
    counts = len(overlap.true_ids), len(overlap.predicted_ids)
    return heaviest_pairs(overlap.true_places, overlap.predicted_places, weights, *counts, stop)
