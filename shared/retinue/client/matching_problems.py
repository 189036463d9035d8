"""What the matching service is asked to solve: problems as values of arrays, and the messages they become."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from retinue.client.number_lists import integers_of, numbers_of, rows_of
from retinue.client.segmented import InstanceSource, instance_message
from retinue.matching.v1 import matching_pb2 as pb

Choice = TypeVar("Choice")

MatchMode = Literal["max", "hovernet_compat"]
BoxMetric = Literal["iou", "giou", "diou", "ios"]

_MODES = {
    None: pb.MATCH_MODE_UNSPECIFIED,
    "max": pb.MATCH_MODE_MAX,
    "hovernet_compat": pb.MATCH_MODE_HOVERNET_COMPAT,
}
_METRICS = {
    None: pb.BOX_METRIC_UNSPECIFIED,
    "iou": pb.BOX_METRIC_IOU,
    "giou": pb.BOX_METRIC_GIOU,
    "diou": pb.BOX_METRIC_DIOU,
    "ios": pb.BOX_METRIC_IOS,
}


@dataclass(frozen=True, slots=True, eq=False)
class PointsProblem:
    """Two sets of points, of which those near each other are to be paired.

    Args:
        a: [n, 2] x and y of the reference, in any unit.
        b: [m, 2] of what is compared with it, in the same unit and frame.
        radius: points at this distance or nearer can be paired, at least 0.
        mode: ``"max"``, the most pairs and of those the least total distance; or ``"hovernet_compat"``, the least total
            distance of all points first, which finds fewer, as figures of HoVer-Net were made. None: ``"max"``.
    """

    a: ArrayLike
    b: ArrayLike
    radius: float
    mode: MatchMode | None = None

    def message(self) -> pb.PointsProblem:
        """Return the message of it.

        Raises:
            ValueError: a part of it cannot be sent; the message names it.
        """
        if not 0 <= self.radius < math.inf:
            raise ValueError(f"radius is {self.radius}, must be a number from 0 up")
        return pb.PointsProblem(
            a_xy=rows_of(self.a, "a", 2),
            b_xy=rows_of(self.b, "b", 2),
            radius=self.radius,
            mode=_checked_choice("mode", self.mode, _MODES),
        )


@dataclass(frozen=True, slots=True, eq=False)
class BoxesProblem:
    """Two sets of boxes, of which those that overlap are to be paired.

    Args:
        a: [n, 4] corners ``x_min, y_min, x_max, y_max`` of the reference, in any unit.
        b: [m, 4] of what is compared with it, in the same unit and frame.
        threshold: boxes can be paired from this likeness on, in the range of the metric. None: 0.5.
        metric: ``"iou"``, ``"giou"``, ``"diou"`` or ``"ios"`` (over the smaller area). None: ``"iou"``.
        a_class_ids: [n]; with ``b_class_ids``, only boxes of the same class can be paired.
        b_class_ids: [m].
    """

    a: ArrayLike
    b: ArrayLike
    threshold: float | None = None
    metric: BoxMetric | None = None
    a_class_ids: ArrayLike | None = None
    b_class_ids: ArrayLike | None = None

    def message(self) -> pb.BoxesProblem:
        """Return the message of it.

        Raises:
            ValueError: a part of it cannot be sent; the message names it.
        """
        if (self.a_class_ids is None) != (self.b_class_ids is None):
            raise ValueError("a_class_ids and b_class_ids must be given together")
        metric = _checked_choice("metric", self.metric, _METRICS)
        least = -1 if self.metric in ("giou", "diou") else 0
        if self.threshold is not None and not least <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}, must be in [{least}, 1]")
        return pb.BoxesProblem(
            a_xyxy=rows_of(self.a, "a", 4),
            b_xyxy=rows_of(self.b, "b", 4),
            a_class_ids=integers_of(self.a_class_ids, "a_class_ids"),
            b_class_ids=integers_of(self.b_class_ids, "b_class_ids"),
            metric=metric,
            threshold=self.threshold,
            is_class_aware=self.a_class_ids is not None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class InstancesProblem:
    """Two segmentations of one picture.

    Args:
        a: the truth, see `InstanceSource`.
        b: the prediction, of the same size.
        iou_threshold: instances are paired if their IoU is above this, in [0, 1). None: 0.5.
    """

    a: InstanceSource
    b: InstanceSource
    iou_threshold: float | None = None

    def message(self) -> pb.InstancesProblem:
        """Return the message of it.

        Raises:
            TypeError: a segmentation is of another kind.
            ValueError: a part of it cannot be sent; the message names it.
        """
        if self.iou_threshold is not None and not 0 <= self.iou_threshold < 1:
            raise ValueError(f"iou_threshold is {self.iou_threshold}, must be in [0, 1)")
        return pb.InstancesProblem(
            a=instance_message(self.a, "a"), b=instance_message(self.b, "b"), iou_threshold=self.iou_threshold
        )


@dataclass(frozen=True, slots=True, eq=False)
class AssignmentProblem:
    """One assignment problem.

    Args:
        cost: [n, m] costs, sent as float32; +inf (with ``maximize``: -inf) forbids a pair.
        max_cost: pairs that cost more (with ``maximize``: that bring less) are forbidden too. None: no limit.
        maximize: whether entries are gains and the greatest total is wanted.
    """

    cost: ArrayLike
    max_cost: float | None = None
    maximize: bool = False

    def message(self) -> pb.AssignmentProblem:
        """Return the message of it.

        Raises:
            ValueError: a part of it cannot be sent; the message names it.
        """
        cost = np.asarray(self.cost)
        if cost.ndim != 2 or (cost.size and cost.dtype.kind not in "biuf"):
            raise ValueError(f"cost is {cost.dtype} {list(cost.shape)}, must be real numbers [n, m]")
        if self.max_cost is not None and not math.isfinite(self.max_cost):
            raise ValueError(f"max_cost is {self.max_cost}, must be finite")
        if cost.dtype != np.float32 and np.abs(cost[np.isfinite(cost)], dtype=np.float64).max(initial=0) > _MOST:
            raise ValueError("cost has numbers beyond float32, which would forbid their pairs")
        matrix = pb.CostMatrix(
            row_count=cost.shape[0],
            column_count=cost.shape[1],
            raw_costs=np.ascontiguousarray(cost, "<f4").tobytes(),
        )
        return pb.AssignmentProblem(cost_matrix=matrix, max_cost=self.max_cost, is_maximized=self.maximize)


_MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, eq=False)
class DetrProblem:
    """Predictions of a detection transformer for one picture, and the targets.

    Args:
        class_probabilities: [queries, classes] in [0, 1].
        boxes: [queries, 4] ``x_centre, y_centre, width, height``, shares of the picture's sides.
        target_class_ids: [targets] below the number of classes.
        target_boxes: [targets, 4] as ``boxes``.
        class_weight: of minus the probability of the target's class, at least 0. None: 1.
        box_weight: of the L1 distance of the boxes, at least 0. None: 5.
        giou_weight: of minus the GIoU of the boxes, at least 0. None: 2.
    """

    class_probabilities: ArrayLike
    boxes: ArrayLike
    target_class_ids: ArrayLike
    target_boxes: ArrayLike
    class_weight: float | None = None
    box_weight: float | None = None
    giou_weight: float | None = None

    def message(self) -> pb.DetrProblem:
        """Return the message of it.

        Raises:
            ValueError: a part of it cannot be sent; the message names it.
        """
        probabilities = np.asarray(self.class_probabilities)
        if probabilities.ndim != 2 or probabilities.shape[1] < 1:
            raise ValueError(
                f"class_probabilities has shape {list(probabilities.shape)}, must be [queries, classes] with a class"
            )
        for name in ("class_weight", "box_weight", "giou_weight"):
            weight = getattr(self, name)
            if weight is not None and not 0 <= weight < math.inf:
                raise ValueError(f"{name} is {weight}, must be a number from 0 up")
        return pb.DetrProblem(
            class_count=probabilities.shape[1],
            class_probabilities=numbers_of(probabilities.ravel(), "class_probabilities"),
            boxes_cxcywh_norm=rows_of(self.boxes, "boxes", 4),
            target_class_ids=integers_of(self.target_class_ids, "target_class_ids"),
            target_boxes_cxcywh_norm=rows_of(self.target_boxes, "target_boxes", 4),
            class_weight=self.class_weight,
            box_weight=self.box_weight,
            giou_weight=self.giou_weight,
        )


def _checked_choice(name: str, value: str | None, choices: Mapping[str | None, Choice]) -> Choice:
    if value not in choices:
        allowed = ", ".join(repr(choice) for choice in choices if choice is not None)
        raise ValueError(f"{name} is {value!r}, must be one of {allowed}")
    return choices[value]
