"""What every kind of problem has in common, whoever solves it."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from retinue.ops import Pairing, Stop
from retinue.ops.stopping import NEVER

Outcome_co = TypeVar("Outcome_co", covariant=True)


class Problem(Protocol[Outcome_co]):
    """A problem whose input is checked."""

    @property
    def cell_count(self) -> int:
        """How large it is: rows times columns, or as much work as so many cells."""
        ...

    def solve(self, stop: Stop = NEVER) -> Outcome_co:
        """Return the outcome.

        Args:
            stop: set, by another thread, when nobody waits for it any more.

        Raises:
            Stopped: it was set.
            InvalidInput: what only solving can tell, such as a damaged picture; fields are those of the problem.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """The outcome of a problem of pairs; the pairing's values are what the problem says."""

    pairing: Pairing

    @property
    def total(self) -> float:
        """Sum of the values of all pairs; 0 without any."""
        return float(self.pairing.values.sum())
