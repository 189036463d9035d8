"""What the matching service answers, as values: who belongs to whom, and how well."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.client.number_lists import doubles, indices
from retinue.matching.v1 import matching_pb2 as pb

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Who belongs to whom, by position from 0; k pairs.

    Args:
        a: int64 [k], ascending; the a of each pair.
        b: int64 [k], its b.
        unpaired_a: int64, ascending; those of a without a partner.
        unpaired_b: int64, ascending; those of b without a partner.
    """

    a: Indices
    b: Indices
    unpaired_a: Indices
    unpaired_b: Indices

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True, slots=True)
class PairScores:
    """How well b finds a, in [0, 1].

    Args:
        precision: pairs over the size of b; None if that is empty.
        recall: pairs over the size of a; None if that is empty.
        f1: twice the pairs over the sizes of both; None if both are empty.
    """

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True, eq=False)
class PointsMatching:
    """Paired points.

    Args:
        pairs: who belongs to whom.
        distances: float64 [k], of each pair, in the unit of the points.
        scores: how well b finds a.
        solve_time_s: seconds that the service spent on all problems of the call.
    """

    pairs: Pairs
    distances: Doubles
    scores: PairScores
    solve_time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class BoxesMatching:
    """Paired boxes.

    Args:
        pairs: who belongs to whom.
        similarities: float64 [k], of each pair, in the range of the metric.
        scores: how well b finds a.
        solve_time_s: seconds that the service spent on all problems of the call.
    """

    pairs: Pairs
    similarities: Doubles
    scores: PairScores
    solve_time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class InstancesMatching:
    """How like two segmentations are; scores are in [0, 1] and None where both are empty.

    Args:
        pairs: who belongs to whom.
        ious: float64 [k], of each pair.
        panoptic_quality: the product of the next two.
        segmentation_quality: mean IoU of the pairs; 0 if there is none.
        recognition_quality: F1 of the pairs.
        aji: aggregated Jaccard index, one b may serve several.
        aji_plus: the same with one partner for each.
        dice: of foreground against foreground.
        scores: how well b finds a.
        a_values: int64, of each instance of a in its label map, by position; empty if a was masks.
        b_values: the same of b.
        solve_time_s: seconds that the service spent on all problems of the call.
    """

    pairs: Pairs
    ious: Doubles
    panoptic_quality: float | None
    segmentation_quality: float | None
    recognition_quality: float | None
    aji: float | None
    aji_plus: float | None
    dice: float | None
    scores: PairScores
    a_values: Indices
    b_values: Indices
    solve_time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """As many allowed pairs as there can be, and of those the ones with the best total.

    Args:
        pairs: rows are a, columns are b.
        costs: float64 [k], of each pair.
        total_cost: their sum; 0 if there is none.
        solve_time_s: seconds that the service spent on all problems of the call.
    """

    pairs: Pairs
    costs: Doubles
    total_cost: float
    solve_time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class DetrMatching:
    """Queries and targets with the least total cost.

    Args:
        pairs: queries are a, targets are b.
        costs: float64 [k], of each pair, the weighted sum of the three terms.
        total_cost: their sum; 0 if there is none.
        solve_time_s: seconds that the service spent on all problems of the call.
    """

    pairs: Pairs
    costs: Doubles
    total_cost: float
    solve_time_s: float


def read_points(matching: pb.PointsMatching, solve_time_s: float) -> PointsMatching:
    """Return the value that a message holds."""
    return PointsMatching(_pairs(matching.pairs), doubles(matching.distances), _scores(matching.scores), solve_time_s)


def read_boxes(matching: pb.BoxesMatching, solve_time_s: float) -> BoxesMatching:
    """Return the value that a message holds."""
    return BoxesMatching(_pairs(matching.pairs), doubles(matching.similarities), _scores(matching.scores), solve_time_s)


def read_instances(matching: pb.InstancesMatching, solve_time_s: float) -> InstancesMatching:
    """Return the value that a message holds."""
    return InstancesMatching(
        pairs=_pairs(matching.pairs),
        ious=doubles(matching.ious),
        panoptic_quality=optional(matching, "panoptic_quality"),
        segmentation_quality=optional(matching, "segmentation_quality"),
        recognition_quality=optional(matching, "recognition_quality"),
        aji=optional(matching, "aji"),
        aji_plus=optional(matching, "aji_plus"),
        dice=optional(matching, "dice"),
        scores=_scores(matching.scores),
        a_values=indices(matching.a_values),
        b_values=indices(matching.b_values),
        solve_time_s=solve_time_s,
    )


def read_assignment(assignment: pb.Assignment, solve_time_s: float) -> Assignment:
    """Return the value that a message holds."""
    return Assignment(_pairs(assignment.pairs), doubles(assignment.costs), assignment.total_cost, solve_time_s)


def read_detr(matching: pb.DetrMatching, solve_time_s: float) -> DetrMatching:
    """Return the value that a message holds."""
    return DetrMatching(_pairs(matching.pairs), doubles(matching.costs), matching.total_cost, solve_time_s)


def optional(message: Any, name: str) -> float | None:
    """Return a number of a message; None where it is absent."""
    return getattr(message, name) if message.HasField(name) else None


def _pairs(pairs: pb.Pairs) -> Pairs:
    return Pairs(indices(pairs.a), indices(pairs.b), indices(pairs.unpaired_a), indices(pairs.unpaired_b))


def _scores(scores: pb.PairScores) -> PairScores:
    return PairScores(optional(scores, "precision"), optional(scores, "recall"), optional(scores, "f1"))
