"""From outcomes to the wire."""

import numpy as np
import pytest

from retinue.matching.v1 import matching_pb2 as pb
from retinue.ops import Pairing
from services.matching.answers import known, write_assignment, write_points
from services.matching.problem import Matched


def matched(a: list[int], b: list[int], values: list[float], counts: tuple[int, int]) -> Matched:
    return Matched(Pairing.of(np.array(a, np.int64), np.array(b, np.int64), np.array(values), *counts))


def test_pairs_and_the_rest_are_written_by_place() -> None:
    message = pb.PointsMatching()
    write_points(message, matched([0, 3], [2, 0], [1.5, 0.5], (4, 3)))
    assert (list(message.pairs.a), list(message.pairs.b)) == ([0, 3], [2, 0])
    assert (list(message.pairs.unpaired_a), list(message.pairs.unpaired_b)) == ([1, 2], [1])
    assert list(message.distances) == [1.5, 0.5]
    assert (message.scores.precision, message.scores.recall, message.scores.f1) == (2 / 3, 0.5, 4 / 7)


def test_scores_are_a_message_even_where_all_are_absent() -> None:
    message = pb.PointsMatching()
    write_points(message, matched([], [], [], (0, 0)))
    assert message.HasField("scores")
    assert not message.scores.ListFields()


def test_a_total_is_the_sum_of_costs() -> None:
    message = pb.Assignment()
    write_assignment(message, matched([0, 1], [1, 0], [1.5, -4.0], (2, 2)))
    assert (list(message.costs), message.total_cost) == ([1.5, -4.0], -2.5)


@pytest.mark.parametrize(("figure", "expected"), [(0.0, 0.0), (0.5, 0.5), (float("nan"), None)])
def test_a_figure_that_is_none_is_absent(figure: float, expected: float | None) -> None:
    assert known(figure) == expected
