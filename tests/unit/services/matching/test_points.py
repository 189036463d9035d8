"""Point sets paired."""

import numpy as np
import pytest

from retinue.runtime.errors import InvalidInput
from services.matching.points import PointsProblem

A, B = np.array([[12.0, 10.0], [1.0, 0.0]]), np.array([[17.0, 15.0], [16.0, 10.0]])


def test_the_two_modes_differ_as_they_say() -> None:
    most = PointsProblem(A, B, 6.0, "max", 10).solve()
    hovernet = PointsProblem(A, B, 6.0, "hovernet", 10).solve()
    assert (most.pairing.index_a.tolist(), most.pairing.index_b.tolist(), most.total) == ([0], [1], 4.0)
    assert (len(hovernet.pairing), hovernet.total) == (0, 0.0)


def test_more_candidates_than_may_be_are_told_as_the_radius() -> None:
    problem = PointsProblem(A, B, 100.0, "max", 3)
    assert problem.cell_count == 4
    with pytest.raises(InvalidInput, match="radius: leaves more pairs within reach than the limit of 3") as caught:
        problem.solve()
    assert caught.value.metadata["limit"] == "3"
