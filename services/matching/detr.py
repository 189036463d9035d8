"""Queries of a detection transformer and the targets of one picture, paired as its training loss does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinue.ops import Pairing, Stop, assign, detr_cost
from retinue.ops.stopping import NEVER
from retinue.runtime.errors import InvalidInput
from services.matching.problem import Matched

Floats = NDArray[np.float64]

_BLOCK_CELLS = 2**18  # the boxes' distances take eight numbers beside each cost, so they are made part by part


@dataclass(frozen=True, slots=True, eq=False)
class DetrProblem:
    """Predictions and targets of one picture, checked.

    Args:
        probabilities: float64 [q, classes], in [0, 1].
        boxes: float64 [q, 4] centre and size, finite.
        target_class_ids: int64 [t], in [0, classes).
        target_boxes: float64 [t, 4], likewise.
        class_weight: at least 0, finite.
        box_weight: likewise.
        giou_weight: likewise.
    """

    probabilities: Floats
    boxes: Floats
    target_class_ids: NDArray[np.int64]
    target_boxes: Floats
    class_weight: float
    box_weight: float
    giou_weight: float

    @property
    def cell_count(self) -> int:
        """Queries times targets."""
        return len(self.boxes) * len(self.target_boxes)

    def solve(self, stop: Stop = NEVER) -> Matched:
        """Return the pairs and their costs.

        Raises:
            InvalidInput: costs are larger than numbers go.
        """
        costs = self._costs(stop)
        if not np.isfinite(costs).all():
            raise InvalidInput("box_weight", "makes costs that are not finite, with these boxes and the other weights")
        rows, columns = assign(costs, stop=stop)
        return Matched(Pairing.of(rows, columns, costs[rows, columns], *costs.shape))

    def _costs(self, stop: Stop) -> Floats:
        query_count, target_count = len(self.boxes), len(self.target_boxes)
        costs = np.empty((query_count, target_count))
        rows = max(1, _BLOCK_CELLS // max(1, target_count))
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, query_count, rows):
                stop.check()
                block = slice(first, first + rows)
                costs[block] = detr_cost(
                    self.probabilities[block],
                    self.boxes[block],
                    self.target_class_ids,
                    self.target_boxes,
                    class_weight=self.class_weight,
                    box_weight=self.box_weight,
                    iou_weight=self.giou_weight,
                )
        return costs
