"""What comes out when two sets are paired."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """Pairs between a set ``a`` of true things and a set ``b`` of found ones, and who was left over.

    Attributes:
        index_a: int64 [k], ascending; the k-th pair's place in ``a``.
        index_b: int64 [k], its place in ``b``.
        values: float64 [k]; how far apart the pair is, or how much it overlaps, as the maker of the pairing says.
        unpaired_a: int64, ascending; places in ``a`` without a partner.
        unpaired_b: int64, ascending; places in ``b`` without a partner.
    """

    index_a: NDArray[np.int64]
    index_b: NDArray[np.int64]
    values: NDArray[np.float64]
    unpaired_a: NDArray[np.int64]
    unpaired_b: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        index_a: NDArray[np.int64],
        index_b: NDArray[np.int64],
        values: NDArray[np.float64],
        count_a: int,
        count_b: int,
    ) -> "Pairing":
        """Return the pairing of these pairs between sets of ``count_a`` and ``count_b``."""
        return cls(index_a, index_b, values, _others(index_a, count_a), _others(index_b, count_b))

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self.index_a)

    @property
    def precision(self) -> float:
        """Which share of ``b`` has a partner, in [0, 1]; NaN where ``b`` is empty."""
        return _share(len(self), len(self) + len(self.unpaired_b))

    @property
    def recall(self) -> float:
        """Which share of ``a`` has a partner, in [0, 1]; NaN where ``a`` is empty."""
        return _share(len(self), len(self) + len(self.unpaired_a))

    @property
    def f1(self) -> float:
        """Twice the pairs over the size of both sets, in [0, 1]; NaN where both are empty."""
        return _share(2 * len(self), 2 * len(self) + len(self.unpaired_a) + len(self.unpaired_b))


def _others(taken: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    is_free = np.ones(count, np.bool_)
    is_free[taken] = False
    return np.flatnonzero(is_free)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
