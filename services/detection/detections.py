"""What is asked of a detector and what it answers, free of the wire."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.detection_manifest import DetectionManifest, NmsKind
from retinue.runtime.placement import Placement
from retinue.runtime.view import View

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Raw = TypeVar("Raw")


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """Which boxes one caller wants to have back.

    Args:
        score_threshold: in [0, 1]; boxes that score less are left out.
        class_ids: only these, ascending; None for all.
        nms: how several boxes on one thing become one.
        iou_threshold: in [0, 1], for the kinds that have one.
        sigma: above 0, width of the decay, for the kinds that have one.
        is_class_agnostic: whether boxes of different classes suppress each other.
        max_detections: at least 1.
    """

    score_threshold: float
    class_ids: tuple[int, ...] | None
    nms: NmsKind
    iou_threshold: float
    sigma: float
    is_class_agnostic: bool
    max_detections: int


@dataclass(frozen=True, slots=True)
class DetectionItem:
    """Pixels and what is wanted of them."""

    view: View
    options: DetectionOptions


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found, best first, equal scores in the order of the model's output, and the model that found it.

    ``boxes`` is float32 [n, 4] ``x1, y1, x2, y2``, pixels of the view, ``label_ids`` int64 [n], ``scores`` float32 [n].
    """

    manifest: DetectionManifest
    boxes: Floats
    label_ids: Ids
    scores: Floats


class Candidates(NamedTuple):
    """Boxes that score enough before any suppression, in the order of the model's output.

    ``boxes`` is float32 [n, 4] ``x1, y1, x2, y2``, pixels of the model's input, ``label_ids`` int64 [n], ``scores``
    float32 [n].
    """

    boxes: Floats
    label_ids: Ids
    scores: Floats


class Rows(NamedTuple):
    """A buffer of a model's input: pictures, and height and width of each on it, int64 [rows, 2]."""

    images: NDArray[np.generic]
    sizes: Ids


class Family(Protocol[Raw]):
    """How one kind of detector is run and read."""

    @property
    def provider(self) -> str:
        """What runs it: ``cpu``, ``openvino``, ``cuda`` or ``tensorrt``."""

    def run(self, rows: Rows) -> Raw:
        """Return the raw outputs for all rows."""

    def candidates(self, raw: Raw, index: int, place: Placement, options: DetectionOptions) -> Candidates:
        """Return the boxes of one row that the options let through, before suppression."""


def wanted_classes(count: int, class_ids: Sequence[int] | None) -> NDArray[np.bool_] | None:
    """Return for each of so many classes whether it is wanted; None where all are."""
    if class_ids is None:
        return None
    is_wanted = np.zeros(count, np.bool_)
    is_wanted[list(class_ids)] = True
    return is_wanted
