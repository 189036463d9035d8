"""What is asked of a segmentation model and what it answers, free of the wire."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retinue.ops import MaskCrop
from retinue.runtime.segmentation_manifest import SegmentationManifest
from retinue.runtime.view import View

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]
Codes = NDArray[np.unsignedinteger]
Labels = NDArray[np.int32]
Blend = Literal["crop", "mean", "gaussian"]
Core = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class SegmentationOptions:
    """What one caller wants to have back.

    Args:
        thresholds: for each class the probability from which on a pixel belongs to it, in [0, 1]; None where a pixel
            belongs to it if it is the most probable one.
        score_threshold: in [0, 1]; instances that score less are left out.
        min_area_px: instances of fewer pixels are left out.
        max_instances: at least 1.
    """

    thresholds: tuple[float | None, ...]
    score_threshold: float
    min_area_px: int
    max_instances: int

    @property
    def is_exclusive(self) -> bool:
        """Whether every pixel is of exactly one class."""
        return all(threshold is None for threshold in self.thresholds)


@dataclass(frozen=True, slots=True)
class SegmentationItem:
    """Pixels and what is wanted of them.

    Args:
        view: the pixels.
        options: what is wanted.
        core: of a part of a larger picture, looked at at its own resolution: the rows and columns in which things are
            told of. None for a whole picture.
        is_blended: of a window, whether probabilities are wanted in place of codes.
    """

    view: View
    options: SegmentationOptions
    core: Core | None = None
    is_blended: bool = False

    @property
    def is_window(self) -> bool:
        """Whether it is part of a larger picture."""
        return self.core is not None


@dataclass(frozen=True, slots=True)
class Found:
    """Single things of some pixels: their label map, ids 1 to n, and what is said of each.

    ``label_map`` is of the size of the item's core, if it has one, otherwise of its view. ``sums`` is float64
    [n, classes + 1]: how much probability of each class lies on each, and how many pixels it has.
    """

    label_map: Labels
    sums: Sums


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The answer to one item, and the model that gave it.

    ``codes`` are what `services.segmentation.codes` speaks of, of the view's size. Of a blended window there are none,
    but ``probabilities``, float32 [height, width, classes].
    """

    manifest: SegmentationManifest
    codes: Codes
    found: Found | None
    probabilities: Floats | None = None


class Thing(NamedTuple):
    """One single thing: its mask cut to its box, its class, and the mean probability of that over its pixels."""

    crop: MaskCrop
    area: int
    centroid_xy: tuple[float, float]
    label_id: int
    score: float
