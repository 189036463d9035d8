"""What a detection service answers, as values: boxes with labels and scores, and where the time went."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retinue.client.image_info import ImageInfo, read_image_info
from retinue.client.timings import Timings, read_timings
from retinue.detection.v1 import detection_pb2


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing found.

    Args:
        box: ``x_min, y_min, x_max, y_max``, pixels of the upright picture, from its outer corner; half-open, so
            that the width is ``x_max - x_min``.
        label_id: index of the class in the model's label list, from 0.
        label: name of the class.
        score: how sure the model is, in [0, 1].
    """

    box: tuple[float, float, float, float]
    label_id: int
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class DetectionAnswer:
    """What is on one picture.

    Args:
        image_id: the picture's name, as it was sent.
        detections: best first; empty where nothing was found.
        image_info: the picture as the service saw it, the frame of all boxes.
        model_name: the model that answered.
        model_version: its version.
        timings: where the time went; with tiling, summed over the tiles.

    The same as arrays, row by row, left out of ``==``: ``boxes`` float32 [n, 4], ``scores`` float32 [n] and
    ``label_ids`` int64 [n].
    """

    image_id: str
    detections: tuple[Detection, ...]
    image_info: ImageInfo
    model_name: str
    model_version: str
    timings: Timings
    boxes: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    scores: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    label_ids: NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = self.detections
        object.__setattr__(self, "boxes", np.array([one.box for one in found], np.float32).reshape(-1, 4))
        object.__setattr__(self, "scores", np.array([one.score for one in found], np.float32))
        object.__setattr__(self, "label_ids", np.array([one.label_id for one in found], np.int64))

    @property
    def best(self) -> Detection | None:
        """The detection with the highest score; None where nothing was found."""
        return self.detections[0] if self.detections else None


def read_detection_answer(response: detection_pb2.DetectResponse) -> DetectionAnswer:
    """Return the value that a message holds."""
    return DetectionAnswer(
        image_id=response.image_id,
        detections=tuple(
            Detection(
                (one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max), one.label.id, one.label.name, one.score
            )
            for one in response.detections
        ),
        image_info=read_image_info(response.image_info),
        model_name=response.model.name,
        model_version=response.model.version,
        timings=read_timings(response.timings),
    )
