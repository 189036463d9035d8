"""Two sets of points, of which those near each other are paired."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retinue.ops import Stop, pair_points
from retinue.ops.stopping import NEVER
from retinue.runtime.errors import InvalidInput
from services.matching.problem import Matched


@dataclass(frozen=True, slots=True, eq=False)
class PointsProblem:
    """Point sets to pair, checked.

    Args:
        a_xy: float64 [n, 2], finite.
        b_xy: float64 [m, 2], finite.
        radius: at least 0, finite.
        mode: as in `retinue.ops.pair_points`.
        max_candidates: how many pairs may be within reach.
    """

    a_xy: NDArray[np.float64]
    b_xy: NDArray[np.float64]
    radius: float
    mode: Literal["max", "hovernet"]
    max_candidates: int

    @property
    def cell_count(self) -> int:
        """Points of one set times points of the other."""
        return len(self.a_xy) * len(self.b_xy)

    def solve(self, stop: Stop = NEVER) -> Matched:
        """Return the pairs and their distances.

        Raises:
            InvalidInput: more pairs are within reach than may be.
        """
        most = self.max_candidates
        try:
            pairing = pair_points(self.a_xy, self.b_xy, self.radius, mode=self.mode, most_candidates=most, stop=stop)
        except ValueError as error:  # everything else that it refuses was checked before
            problem = f"leaves more pairs within reach than the limit of {most}"
            raise InvalidInput("radius", problem, limit=str(most)) from error
        return Matched(pairing)
