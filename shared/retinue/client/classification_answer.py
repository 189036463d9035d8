"""What a classification service answers, as values: labels and scores, and where the time went."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retinue.classification.v1 import classification_pb2
from retinue.client.image_info import ImageInfo, read_image_info
from retinue.client.timings import Timings, read_timings


@dataclass(frozen=True, slots=True)
class Label:
    """A class of a model: its index in the model's label list, from 0, and its name."""

    class_id: int
    name: str


@dataclass(frozen=True, slots=True)
class ScoredLabel:
    """A label and how sure the model is of it, in [0, 1]."""

    label: Label
    score: float


@dataclass(frozen=True, slots=True)
class Classification:
    """What is on one picture.

    Args:
        image_id: the picture's name, as it was sent.
        labels: best first; may be empty where a threshold left none.
        unknown_score: how unlike the model's classes the picture is, higher is stranger, comparable within one model
            and version only; None where the model is not calibrated for it.
        is_unknown: whether that is above the model's threshold; None where the model is not calibrated.
        logits: float32 [classes], by class id; None unless asked for. Left out of ``==``, as is the embedding.
        embedding: float32 [features]; None unless asked for.
        image_info: the picture as the service saw it.
        model_name: the model that answered.
        model_version: its version.
        timings: where the time went.
    """

    image_id: str
    labels: tuple[ScoredLabel, ...]
    unknown_score: float | None
    is_unknown: bool | None
    logits: NDArray[np.float32] | None = field(compare=False)
    embedding: NDArray[np.float32] | None = field(compare=False)
    image_info: ImageInfo
    model_name: str
    model_version: str
    timings: Timings

    @property
    def best(self) -> ScoredLabel | None:
        """The label with the highest score; None where a threshold left none."""
        return self.labels[0] if self.labels else None


def read_classification(response: classification_pb2.ClassifyResponse) -> Classification:
    """Return the value that a message holds."""
    return Classification(
        image_id=response.image_id,
        labels=tuple(ScoredLabel(Label(one.label.id, one.label.name), one.score) for one in response.labels),
        unknown_score=response.unknown_score if response.HasField("unknown_score") else None,
        is_unknown=response.is_unknown if response.HasField("is_unknown") else None,
        logits=np.array(response.logits, np.float32) if response.logits else None,
        embedding=np.array(response.embedding, np.float32) if response.embedding else None,
        image_info=read_image_info(response.image_info),
        model_name=response.model.name,
        model_version=response.model.version,
        timings=read_timings(response.timings),
    )
