"""What every problem has in common."""

import numpy as np
import pytest

from retinue.ops import Pairing
from services.matching.problem import Matched


@pytest.mark.parametrize(("values", "total"), [([], 0.0), ([1.5, -2.0], -0.5)])
def test_the_total_is_that_of_all_pairs(values: list[float], total: float) -> None:
    places = np.arange(len(values))
    assert Matched(Pairing.of(places, places, np.array(values, np.float64), 3, 3)).total == total
