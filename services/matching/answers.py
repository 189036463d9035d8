"""From outcomes to the wire."""

import math
from collections.abc import Iterable

import numpy as np
from google.protobuf.duration_pb2 import Duration
from numpy.typing import NDArray

from retinue.matching.v1 import matching_pb2 as pb
from retinue.ops import Pairing
from services.matching.instances import InstancesMatched
from services.matching.problem import Matched


def points_matching(matched: Matched) -> pb.PointsMatching:
    """Return the message of paired points."""
    pairing = matched.pairing
    return pb.PointsMatching(pairs=pairs_of(pairing), distances=pairing.values.tolist(), scores=scores_of(pairing))


def boxes_matching(matched: Matched) -> pb.BoxesMatching:
    """Return the message of paired boxes."""
    pairing = matched.pairing
    return pb.BoxesMatching(pairs=pairs_of(pairing), similarities=pairing.values.tolist(), scores=scores_of(pairing))


def assignment(matched: Matched) -> pb.Assignment:
    """Return the message of an assignment."""
    pairing = matched.pairing
    return pb.Assignment(pairs=pairs_of(pairing), costs=pairing.values.tolist(), total_cost=matched.total)


def detr_matching(matched: Matched) -> pb.DetrMatching:
    """Return the message of paired queries and targets."""
    pairing = matched.pairing
    return pb.DetrMatching(pairs=pairs_of(pairing), costs=pairing.values.tolist(), total_cost=matched.total)


def instances_matching(matched: InstancesMatched) -> pb.InstancesMatching:
    """Return the message of two segmentations compared."""
    found, pairing = matched.comparison, matched.pairing
    return pb.InstancesMatching(
        pairs=pairs_of(pairing),
        ious=pairing.values.tolist(),
        panoptic_quality=known(found.quality.panoptic_quality),
        segmentation_quality=known(found.quality.segmentation_quality),
        recognition_quality=known(found.quality.recognition_quality),
        aji=known(found.aggregated_jaccard),
        aji_plus=known(found.aggregated_jaccard_plus),
        dice=known(found.dice),
        scores=scores_of(pairing),
        a_values=_listed(matched.a_values),
        b_values=_listed(matched.b_values),
    )


def pairs_of(pairing: Pairing) -> pb.Pairs:
    """Return the message of who belongs to whom."""
    return pb.Pairs(
        a=pairing.index_a.tolist(),
        b=pairing.index_b.tolist(),
        unpaired_a=pairing.unpaired_a.tolist(),
        unpaired_b=pairing.unpaired_b.tolist(),
    )


def scores_of(pairing: Pairing) -> pb.PairScores:
    """Return the message of how well b finds a; what is 0/0 is absent."""
    return pb.PairScores(precision=known(pairing.precision), recall=known(pairing.recall), f1=known(pairing.f1))


def known(figure: float) -> float | None:
    """Return a figure; None where it is NaN, so that its field is absent."""
    return None if math.isnan(figure) else float(figure)


def duration(seconds: Iterable[float]) -> Duration:
    """Return the message of a span of time, the sum of the parts."""
    message = Duration()
    message.FromNanoseconds(round(sum(seconds) * 1e9))
    return message


def _listed(values: NDArray[np.int64] | None) -> list[int] | None:
    return None if values is None else values.tolist()
