"""Two segmentations of one picture, whose instances are paired and whose likeness is told."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinue.ops import InstanceComparison, Rle, Stop, compare_label_maps, compare_masks, rle_encode_labels
from retinue.ops.stopping import NEVER
from retinue.runtime.errors import InvalidInput
from services.matching.label_map import LabelMapFile
from services.matching.problem import Matched

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class MaskList:
    """Masks of one size, at least one; made of COCO's strings."""

    masks: Sequence[Rle]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.masks[0].height, self.masks[0].width


@dataclass(frozen=True, slots=True, eq=False)
class InstanceLimits:
    """How much may be compared: pairs of masks of lists, steps along their runs, and pairs of labels of two maps."""

    max_cell_count: int
    max_mask_steps: int
    max_overlap_count: int


@dataclass(frozen=True, slots=True, eq=False)
class InstancesMatched(Matched):
    """Two segmentations compared.

    Args:
        comparison: the figures.
        a_values: value of each instance of the first in its label map, ascending; None if it is a list.
        b_values: the same of the second.
    """

    comparison: InstanceComparison
    a_values: Values | None
    b_values: Values | None


@dataclass(frozen=True, slots=True, eq=False)
class InstancesProblem:
    """Two segmentations of one size, checked as far as that goes without decoding.

    Args:
        a: the truth; None is a list without masks.
        b: the prediction, likewise.
        iou_threshold: what the IoU of a pair is to exceed, in [0, 1).
        limits: of lists.
    """

    a: LabelMapFile | MaskList | None
    b: LabelMapFile | MaskList | None
    iou_threshold: float
    limits: InstanceLimits

    @property
    def cell_count(self) -> int:
        """Pixels of the picture, the cost of reading label maps; or masks times masks, where there are two lists."""
        if isinstance(self.a, LabelMapFile) or isinstance(self.b, LabelMapFile):
            height, width = next(one for one in (self.a, self.b) if isinstance(one, LabelMapFile)).size
            return height * width
        masks_a, masks_b = _listed(self.a), _listed(self.b)
        return len(masks_a) * len(masks_b) + _steps(masks_a, masks_b) // 16

    def solve(self, stop: Stop = NEVER) -> InstancesMatched:
        """Return the pairs and the figures.

        Raises:
            InvalidImage: a label map is damaged.
            InvalidInput: there are more masks to compare than may be.
        """
        if isinstance(self.a, LabelMapFile) and isinstance(self.b, LabelMapFile):
            found = self._maps_compared(self.a, self.b, stop)
            return InstancesMatched(found.pairing, found, found.true_ids, found.predicted_ids)
        a_values, masks_a = _masks_of(self.a)
        b_values, masks_b = _masks_of(self.b)
        self._check(masks_a, masks_b)
        found = compare_masks(masks_a, masks_b, threshold=self.iou_threshold, stop=stop)
        return InstancesMatched(found.pairing, found, a_values, b_values)

    def _maps_compared(self, a: LabelMapFile, b: LabelMapFile, stop: Stop) -> InstanceComparison:
        most = self.limits.max_overlap_count
        try:
            return compare_label_maps(a.pixels(), b.pixels(), threshold=self.iou_threshold, most_pairs=most, stop=stop)
        except ValueError as error:  # everything else that it refuses was checked before
            problem = f"shares pixels with a in more pairs of labels than the limit of {most}"
            raise InvalidInput("b", problem, limit=str(most)) from error

    def _check(self, masks_a: Sequence[Rle], masks_b: Sequence[Rle]) -> None:
        most = self.limits.max_cell_count
        if len(masks_a) * len(masks_b) > most:
            problem = f"{len(masks_a)} x {len(masks_b)} masks are above the limit of {most} pairs"
            raise InvalidInput("b", problem, limit=str(most))
        most = self.limits.max_mask_steps
        if (steps := _steps(masks_a, masks_b)) > most:
            raise InvalidInput("b", f"{steps} steps of comparing masks are above the limit of {most}", limit=str(most))


def _masks_of(side: LabelMapFile | MaskList | None) -> tuple[Values | None, Sequence[Rle]]:
    if isinstance(side, LabelMapFile):
        return rle_encode_labels(side.pixels())
    return None, _listed(side)


def _listed(side: LabelMapFile | MaskList | None) -> Sequence[Rle]:
    return side.masks if isinstance(side, MaskList) else ()


def _steps(masks_a: Sequence[Rle], masks_b: Sequence[Rle]) -> int:
    """Return the most steps that comparing each with each can take."""
    runs_a, runs_b = (sum(len(mask.counts) for mask in masks) for masks in (masks_a, masks_b))
    return runs_a * len(masks_b) + runs_b * len(masks_a)
