"""A cost matrix, whose rows and columns are assigned to each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops import Pairing, Stop, assign
from retinue.ops.stopping import NEVER
from services.matching.problem import Matched


@dataclass(frozen=True, slots=True, eq=False)
class AssignmentProblem:
    """A cost matrix, checked.

    Args:
        costs: float32 [rows, columns]; only the infinity that forbids a pair is among them.
        max_cost: pairs that cost more, or bring less, are forbidden; None for no limit. It counts in the precision of
            the costs, so that a cost of 0.1 is not more than a limit of 0.1.
        is_maximized: whether entries are gains.
    """

    costs: NDArray[np.float32]
    max_cost: float | None
    is_maximized: bool

    @property
    def cell_count(self) -> int:
        """Rows times columns."""
        return self.costs.size

    def solve(self, stop: Stop = NEVER) -> Matched:
        """Return the pairs and their costs."""
        rows, columns = assign(self.costs, max_cost=self._limit, maximize=self.is_maximized, stop=stop)
        values = self.costs[rows, columns].astype(np.float64)
        return Matched(Pairing.of(rows, columns, values, *self.costs.shape))

    @property
    def _limit(self) -> float | None:
        if self.max_cost is None:
            return None
        with np.errstate(over="ignore", under="ignore"):
            return float(np.float32(self.max_cost))


def worst_fault(costs: NDArray[Any], *, is_maximized: bool) -> str | None:
    """Return what makes costs none, or None where they all are: NaN, or the infinity that forbids nothing."""
    if not costs.size:
        return None
    best = float(costs.max() if is_maximized else costs.min())  # NaN comes through both
    if np.isnan(best):
        return "holds NaN"
    if np.isinf(best) and (best > 0) == is_maximized:
        sign, allowed = ("+", "-") if is_maximized else ("-", "+")
        return f"holds {sign}infinity; {allowed}infinity forbids a pair"
    return None
