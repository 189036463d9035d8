"""From outcomes to the wire: messages are written where they stand in their answer, which saves a copy of each."""

import math

from retinue.matching.v1 import matching_pb2 as pb
from retinue.ops import Pairing
from services.matching.instances import InstancesMatched
from services.matching.problem import Matched


def write_points(message: pb.PointsMatching, matched: Matched) -> None:
    """Write paired points into their message."""
    _write_pairs(message.pairs, matched.pairing)
    message.distances.extend(matched.pairing.values.tolist())
    _write_scores(message.scores, matched.pairing)


def write_boxes(message: pb.BoxesMatching, matched: Matched) -> None:
    """Write paired boxes into their message."""
    _write_pairs(message.pairs, matched.pairing)
    message.similarities.extend(matched.pairing.values.tolist())
    _write_scores(message.scores, matched.pairing)


def write_assignment(message: pb.Assignment, matched: Matched) -> None:
    """Write an assignment into its message."""
    _write_pairs(message.pairs, matched.pairing)
    message.costs.extend(matched.pairing.values.tolist())
    message.total_cost = matched.total


def write_detr(message: pb.DetrMatching, matched: Matched) -> None:
    """Write paired queries and targets into their message."""
    _write_pairs(message.pairs, matched.pairing)
    message.costs.extend(matched.pairing.values.tolist())
    message.total_cost = matched.total


def write_instances(message: pb.InstancesMatching, matched: InstancesMatched) -> None:
    """Write two segmentations compared into their message."""
    found, quality = matched.comparison, matched.comparison.quality
    _write_pairs(message.pairs, matched.pairing)
    message.ious.extend(matched.pairing.values.tolist())
    figures = {
        "panoptic_quality": quality.panoptic_quality,
        "segmentation_quality": quality.segmentation_quality,
        "recognition_quality": quality.recognition_quality,
        "aji": found.aggregated_jaccard,
        "aji_plus": found.aggregated_jaccard_plus,
        "dice": found.dice,
    }
    for field, figure in figures.items():
        if not math.isnan(figure):
            setattr(message, field, figure)
    _write_scores(message.scores, matched.pairing)
    for values, field_values in ((matched.a_values, message.a_values), (matched.b_values, message.b_values)):
        if values is not None:
            field_values.extend(values.tolist())


def _write_pairs(message: pb.Pairs, pairing: Pairing) -> None:
    message.a.extend(pairing.index_a.tolist())
    message.b.extend(pairing.index_b.tolist())
    message.unpaired_a.extend(pairing.unpaired_a.tolist())
    message.unpaired_b.extend(pairing.unpaired_b.tolist())


def _write_scores(message: pb.PairScores, pairing: Pairing) -> None:
    """Write how well b finds a; what is 0/0 stays absent, and the message is there in any case."""
    message.SetInParent()
    pair_count, a_count, b_count = len(pairing), len(pairing.unpaired_a), len(pairing.unpaired_b)
    if pair_count + b_count:
        message.precision = pairing.precision
    if pair_count + a_count:
        message.recall = pairing.recall
    if pair_count + a_count + b_count:
        message.f1 = pairing.f1


def known(figure: float) -> float | None:
    """Return a figure; None where it is NaN, so that its field is absent."""
    return None if math.isnan(figure) else float(figure)
