"""Two sets of boxes, of which those that are alike are paired."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retinue.ops import Pairing, Stop, assign, match_boxes, pairwise_iou
from retinue.ops.stopping import NEVER
from retinue.runtime.errors import InvalidInput
from services.matching.problem import Matched

Metric = Literal["iou", "giou", "diou", "ios"]
Classes = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class BoxesProblem:
    """Box sets to pair, checked.

    Args:
        a_xyxy: float64 [n, 4], finite, corners in order.
        b_xyxy: float64 [m, 4], likewise.
        a_class_ids: int32 [n]; None where classes do not matter.
        b_class_ids: int32 [m]; None likewise.
        metric: how likeness is measured.
        threshold: least likeness of a pair, in the range of the metric.
        max_candidates: how many pairs may be alike enough.
    """

    a_xyxy: NDArray[np.float64]
    b_xyxy: NDArray[np.float64]
    a_class_ids: Classes | None
    b_class_ids: Classes | None
    metric: Metric
    threshold: float
    max_candidates: int

    @property
    def cell_count(self) -> int:
        """Boxes of one set times boxes of the other."""
        return len(self.a_xyxy) * len(self.b_xyxy)

    @property
    def is_dense(self) -> bool:
        """Whether boxes that have nothing in common come into question, so that all pairs have to be looked at."""
        return self.threshold <= 0

    def solve(self, stop: Stop = NEVER) -> Matched:
        """Return the pairs and their likeness.

        Raises:
            InvalidInput: more pairs are alike enough than may be.
        """
        if self.is_dense and self.metric in ("iou", "ios"):
            return Matched(self._pairs_of_all(stop))
        most = self.max_candidates
        try:
            pairing = match_boxes(
                self.a_xyxy,
                self.b_xyxy,
                threshold=self.threshold,
                metric=self.metric,
                labels_a=self.a_class_ids,
                labels_b=self.b_class_ids,
                most_candidates=most,
                stop=stop,
            )
        except ValueError as error:  # everything else that it refuses was checked before
            problem = f"leaves more possible pairs than the limit of {most}"
            raise InvalidInput("threshold", problem, limit=str(most)) from error
        return Matched(pairing)

    def _pairs_of_all(self, stop: Stop) -> Pairing:
        """Return the pairing in which also boxes of likeness 0 may be partners, as a threshold of 0 says."""
        likeness = pairwise_iou(self.a_xyxy, self.b_xyxy, kind=self.metric)
        if self.a_class_ids is not None and self.b_class_ids is not None:
            likeness[self.a_class_ids[:, None] != self.b_class_ids] = -np.inf
        rows, columns = assign(likeness, maximize=True, stop=stop)
        return Pairing.of(rows, columns, likeness[rows, columns], *likeness.shape)
