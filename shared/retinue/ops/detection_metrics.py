"""Mean average precision as COCO has it: how well detections find objects, over images and classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import float_vector, native, number, whole_number, whole_vector
from retinue.ops._coco_curves import curves
from retinue.ops._coco_matching import Judged, Rules, judge
from retinue.ops.detection_records import Detections, GroundTruth

Doubles = NDArray[np.float64]

COCO_AREA_RANGES: Mapping[str, tuple[float, float]] = {
    "all": (0, 1e5**2),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e5**2),
}
_KINDS = ("boxes", "masks")


class PrecisionCurve(NamedTuple):
    """The best precision from a recall on, and the score from which on detections are to be kept for it."""

    recall: Doubles
    precision: Doubles
    scores: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class DetectionMetrics:
    """What COCO says of detections: T IoU thresholds, R recall points, K classes, A ranges of areas, M limits.

    Args:
        precision: (T, R, K, A, M) float64 in [0, 1]; -1 where a class has no object that counts.
        recall: (T, K, A, M) float64 in [0, 1], the highest that is reached; -1 as above.
        scores: (T, R, K, A, M) float64, the score at which the recall is reached, 0 where it is not; -1 as above.
        labels: (K,) int64 ascending; a single -1 where labels were not looked at.
        iou_thresholds: (T,) float64.
        recall_points: (R,) float64.
        area_ranges: least and most area in pixels squared by name, both inclusive; the first is all of them.
        max_detections: (M,) how many detections of each image and class were looked at.
    """

    precision: Doubles
    recall: Doubles
    scores: Doubles
    labels: NDArray[np.int64]
    iou_thresholds: Doubles
    recall_points: Doubles
    area_ranges: Mapping[str, tuple[float, float]]
    max_detections: tuple[int, ...]

    @property
    def ap(self) -> float:
        """Return mAP: the mean precision over thresholds, recall points and classes; -1 without any object."""
        return self.average_precision()

    @property
    def ap50(self) -> float:
        """Return the mean average precision at an IoU of 0.5; -1 where that was not asked for."""
        return self.average_precision(iou_threshold=0.5)

    @property
    def ap75(self) -> float:
        """Return the mean average precision at an IoU of 0.75; -1 where that was not asked for."""
        return self.average_precision(iou_threshold=0.75)

    @property
    def summary(self) -> dict[str, float]:
        """Return COCO's figures by name, in its order.

        With the defaults these are the twelve ``AP, AP50, AP75, AP_small, AP_medium, AP_large, AR@1, AR@10, AR@100,
        AR_small, AR_medium, AR_large``. All but AR@n look at as many detections as the highest limit allows.
        """
        ranges = list(self.area_ranges)[1:]
        return (
            {"AP": self.ap, "AP50": self.ap50, "AP75": self.ap75}
            | {f"AP_{area}": self.average_precision(area=area) for area in ranges}
            | {f"AR@{limit}": self.average_recall(max_detections=limit) for limit in self.max_detections}
            | {f"AR_{area}": self.average_recall(area=area) for area in ranges}
        )

    def average_precision(
        self, *, iou_threshold: float | None = None, area: str | None = None, max_detections: int | None = None
    ) -> float:
        """Return the mean precision over classes that have objects; -1 where there is nothing to average.

        Args:
            iou_threshold: only at this one; None means over all.
            area: name of a range of areas; None means the first.
            max_detections: one of the limits; None means the highest.

        Raises:
            ValueError: there is no such range or limit.
        """
        return _mean(self._precision(iou_threshold, area, max_detections))

    def average_recall(self, *, area: str | None = None, max_detections: int | None = None) -> float:
        """Return the mean of the highest recalls over thresholds and classes that have objects; -1 as above.

        Args:
            area: name of a range of areas; None means the first.
            max_detections: one of the limits; None means the highest.

        Raises:
            ValueError: there is no such range or limit.
        """
        return _mean(self.recall[:, :, self._area(area), self._limit(max_detections)])

    def class_average_precision(
        self, *, iou_threshold: float | None = None, area: str | None = None, max_detections: int | None = None
    ) -> Doubles:
        """Return the average precision of each class, (K,) in the order of `labels`; -1 for one without objects.

        Raises:
            ValueError: there is no such range or limit.
        """
        precision = self._precision(iou_threshold, area, max_detections)
        return np.array([_mean(precision[:, :, k]) for k in range(len(self.labels))], np.float64)

    def curve(self, label: int, *, iou_threshold: float = 0.5, area: str | None = None) -> PrecisionCurve:
        """Return the curve of precision over recall of one class, with the highest limit.

        Raises:
            ValueError: the label, threshold or range is none of those evaluated.
        """
        places = np.flatnonzero(self.labels == label)
        if places.size == 0:
            raise ValueError(f"label: must be one of those evaluated, got {label!r}")
        thresholds = np.flatnonzero(_is_near(self.iou_thresholds, iou_threshold))
        if thresholds.size == 0:
            raise ValueError(f"iou_threshold: must be one of {self.iou_thresholds.tolist()}, got {iou_threshold!r}")
        at = (thresholds[0], slice(None), places[0], self._area(area), -1)
        return PrecisionCurve(self.recall_points, self.precision[at], self.scores[at])

    def _precision(self, iou_threshold: float | None, area: str | None, limit: int | None) -> Doubles:
        precision = self.precision[:, :, :, self._area(area), self._limit(limit)]
        return precision if iou_threshold is None else precision[_is_near(self.iou_thresholds, iou_threshold)]

    def _area(self, area: str | None) -> int:
        names = list(self.area_ranges)
        if area is not None and area not in names:
            raise ValueError(f"area: must be one of {', '.join(names)}, got {area!r}")
        return 0 if area is None else names.index(area)

    def _limit(self, limit: int | None) -> int:
        if limit is not None and limit not in self.max_detections:
            raise ValueError(f"max_detections: must be one of {self.max_detections}, got {limit!r}")
        return -1 if limit is None else self.max_detections.index(limit)


class DetectionEvaluator:
    """Detections and objects judged as they come, an image or some at a time; boxes and masks are not kept.

    Args:
        kind: ``"boxes"`` or ``"masks"``, what is compared.
        iou_thresholds: (T,) in (0, 1]; None means COCO's 0.5, 0.55, … 0.95.
        recall_points: (R,) ascending in [0, 1]; None means COCO's 0, 0.01, … 1.
        max_detections: how many detections are looked at, of each image and class, the best by score; ascending.
        area_ranges: least and most area in pixels squared by name, both inclusive; None means COCO's. The first is the
            one that figures speak of unless another is named.
        is_class_agnostic: labels are not looked at (COCO's useCats=0).
        labels: the classes to evaluate, others are left out; None means all that occur.

    Raises:
        ValueError: an option is out of its range.

    Notes:
        Memory grows by some 50 bytes for each detection that is looked at, and as many more for each that overlaps an
        object.

    >>> evaluator = DetectionEvaluator()
    >>> for image in range(3):
    ...     objects = GroundTruth(image_ids=[image], labels=[1], boxes=[[0, 0, 10, 10]])
    ...     evaluator.add(objects, Detections(image_ids=[image], labels=[1], scores=[0.9], boxes=[[0, 0, 10, 8]]))
    >>> evaluator.metrics().ap50, round(evaluator.metrics().ap, 9)
    (1.0, 0.7)
    """

    def __init__(
        self,
        *,
        kind: Literal["boxes", "masks"] = "boxes",
        iou_thresholds: ArrayLike | None = None,
        recall_points: ArrayLike | None = None,
        max_detections: Sequence[int] = (1, 10, 100),
        area_ranges: Mapping[str, tuple[float, float]] | None = None,
        is_class_agnostic: bool = False,
        labels: ArrayLike | None = None,
    ) -> None:
        if kind not in _KINDS:
            raise ValueError(f"kind: must be one of {', '.join(_KINDS)}, got {kind!r}")
        if labels is not None and is_class_agnostic:
            raise ValueError("labels: must be None where labels are not looked at")
        self._thresholds = _ascending(np.linspace(0.5, 0.95, 10) if iou_thresholds is None else iou_thresholds)
        self._recall_points = _recalls(np.linspace(0, 1, 101) if recall_points is None else recall_points)
        self._limits = _limits(max_detections)
        self._ranges = _ranges(COCO_AREA_RANGES if area_ranges is None else area_ranges)
        self._labels = None if labels is None else np.unique(whole_vector(labels, "labels"))
        bounds = np.array(list(self._ranges.values()), np.float64)
        self._rules = Rules(self._thresholds, bounds, self._limits[-1], bool(is_class_agnostic), kind == "masks")
        self._seen: set[int] = set()
        self._judged: list[Judged] = []

    def add(self, truth: GroundTruth, detections: Detections) -> None:
        """Judge the detections of one image or more; each image comes once, with all its objects and detections.

        Raises:
            ValueError: an image was added before; boxes or masks, whichever are compared, are missing; or masks of one
                image differ in size.
        """
        images = set(truth.image_ids.tolist()) | set(detections.image_ids.tolist())
        if twice := images & self._seen:
            raise ValueError(f"image_ids: each image must be added once, got {min(twice)} again")
        self._judged.append(judge(truth, detections, self._rules))
        self._seen |= images

    def metrics(self) -> DetectionMetrics:
        """Return the figures of all that was added so far; the order in which images were added does not matter."""
        judged = _joined(self._judged, len(self._ranges), len(self._thresholds))
        self._judged = [judged]
        labels = self._labels
        if labels is None:
            labels = np.union1d(judged.truth_labels, judged.labels)
        rules = self._rules
        found = curves(
            judged,
            None if rules.is_class_agnostic else labels,
            self._recall_points,
            rules.area_ranges,
            np.array(self._limits, np.int64),
        )
        return DetectionMetrics(
            found.precision,
            found.recall,
            found.scores,
            np.array([-1]) if rules.is_class_agnostic else labels,
            self._thresholds,
            self._recall_points,
            self._ranges,
            self._limits,
        )


def evaluate_detections(  # noqa: PLR0913, each is an option of COCO's
    truth: GroundTruth,
    detections: Detections,
    *,
    kind: Literal["boxes", "masks"] = "boxes",
    iou_thresholds: ArrayLike | None = None,
    recall_points: ArrayLike | None = None,
    max_detections: Sequence[int] = (1, 10, 100),
    area_ranges: Mapping[str, tuple[float, float]] | None = None,
    is_class_agnostic: bool = False,
    labels: ArrayLike | None = None,
) -> DetectionMetrics:
    """Return COCO's average precision and recall of detections, and the curves they are read off.

    Args:
        truth: the objects of all images.
        detections: the detections of all images; those on images without objects are false.
        kind: ``"boxes"`` or ``"masks"``, what is compared.
        iou_thresholds: (T,) in (0, 1]; None means COCO's 0.5, 0.55, … 0.95.
        recall_points: (R,) ascending in [0, 1]; None means COCO's 0, 0.01, … 1.
        max_detections: how many detections are looked at, of each image and class, the best by score; ascending.
        area_ranges: least and most area in pixels squared by name, both inclusive; None means COCO's: all, small,
            medium, large.
        is_class_agnostic: labels are not looked at (COCO's useCats=0).
        labels: the classes to evaluate, others are left out; None means all that occur.

    Returns:
        The figures; see `DetectionMetrics.summary` for COCO's twelve.

    Raises:
        ValueError: an option is out of its range; boxes or masks, whichever are compared, are missing; or masks of one
            image differ in size.

    Notes:
        Bit for bit what pycocotools computes, given the same corners and sizes (``box_format="xywh"``) and areas, but
        for one thing: it takes an object whose annotation id is 0 for missed even where it was found. There are no ids
        here. Detections with equal scores count in the order of image ids, then as given. Of objects that a detection
        overlaps equally, the last is taken. Classes without objects are -1 and stay out of every mean; without any
        object all figures are -1.

    Source:
        Lin et al., COCO, and its evaluation code.

    >>> truth = GroundTruth(image_ids=[1, 1], labels=[0, 0], boxes=[[0, 0, 40, 40], [50, 50, 60, 60]])
    >>> found = Detections(image_ids=[1], labels=[0], scores=[0.8], boxes=[[0, 0, 40, 40]])
    >>> metrics = evaluate_detections(truth, found)
    >>> {name: round(figure, 3) for name, figure in metrics.summary.items() if name in ("AP", "AP_small", "AR@100")}
    {'AP': 0.505, 'AP_small': 0.0, 'AR@100': 0.5}
    """
    evaluator = DetectionEvaluator(
        kind=kind,
        iou_thresholds=iou_thresholds,
        recall_points=recall_points,
        max_detections=max_detections,
        area_ranges=area_ranges,
        is_class_agnostic=is_class_agnostic,
        labels=labels,
    )
    evaluator.add(truth, detections)
    return evaluator.metrics()


def _mean(figures: Doubles) -> float:
    """Return the mean of those that are there, added up in the order in which pycocotools does."""
    there = figures[figures > -1]
    return float(there.mean()) if there.size else -1.0


def _is_near(values: Doubles, wanted: float) -> NDArray[np.bool_]:
    return np.abs(values - number(wanted, "iou_threshold")) < 1e-9  # linspace(0.5, 0.95, 10) misses 0.55 by a bit


def _joined(parts: Sequence[Judged], range_count: int, threshold_count: int) -> Judged:
    if len(parts) == 1:
        return parts[0]
    nothing = np.empty(0, np.int64)
    if not parts:
        codes = np.empty((0, range_count, threshold_count), np.uint8)
        is_counted = np.empty((0, range_count), np.bool_)
        return Judged(nothing, nothing, np.empty(0), np.empty(0), nothing, nothing, codes, nothing, is_counted)
    firsts = np.cumsum([0, *(len(part.codes) for part in parts[:-1])])
    rows = [np.where(part.rows < 0, -1, part.rows + first) for part, first in zip(parts, firsts, strict=True)]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Judged(*columns)._replace(rows=np.concatenate(rows))


def _ascending(values: ArrayLike) -> Doubles:
    thresholds = native(float_vector(np.asarray(values), "iou_thresholds").astype(np.float64))
    if thresholds.size == 0 or thresholds.min() <= 0 or thresholds.max() > 1:
        raise ValueError(f"iou_thresholds: must be at least one, each above 0 and at most 1, got {values!r}")
    return thresholds


def _recalls(values: ArrayLike) -> Doubles:
    points = native(float_vector(np.asarray(values), "recall_points").astype(np.float64))
    if points.size == 0 or points.min() < 0 or points.max() > 1 or (np.diff(points) < 0).any():
        raise ValueError(f"recall_points: must be at least one, ascending and in [0, 1], got {values!r}")
    return points


def _limits(values: Sequence[int]) -> tuple[int, ...]:
    limits = tuple(whole_number(value, "max_detections", at_least=1) for value in values)
    if not limits or any(after <= before for before, after in pairwise(limits)):
        raise ValueError(f"max_detections: must be at least one, ascending, got {values!r}")
    if limits[-1] > np.iinfo(np.int64).max // 2:
        raise ValueError(f"max_detections: must be below 2**62, got {limits[-1]}")
    return limits


def _ranges(ranges: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    if not ranges:
        raise ValueError("area_ranges: must be at least one, got none")
    checked = {}
    for name, (least, most) in ranges.items():
        low = number(least, "area_ranges")
        checked[name] = low, number(most, "area_ranges", at_least=low)
    return checked
