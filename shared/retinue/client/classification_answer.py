"""What a classification service answers, as values: labels and scores, and where the time went."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
import numpy as np
from google.protobuf.duration_pb2 import Duration
from numpy.typing import NDArray

from retinue.classification.v1 import classification_pb2
from retinue.client.errors import CallFailed, ItemError, item_error
from retinue.common.v1 import image_pb2, model_pb2


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
class ImageInfo:
    """The picture as the service saw it, upright.

    Args:
        width: pixels, after orientation.
        height: pixels, after orientation.
        exif_orientation: what the file says, 1 to 8; 1 where it says nothing.
        is_orientation_applied: whether the service turned or mirrored the pixels because of it.
        format: ``jpeg``, ``png``, ``webp``, ``bmp`` or ``tiff``; None for raw pixels.
    """

    width: int
    height: int
    exif_orientation: int
    is_orientation_applied: bool
    format: str | None


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds that the answer spent in each stage inside the service; and how many pictures shared the model run."""

    queue_s: float
    decode_s: float
    preprocess_s: float
    infer_s: float
    postprocess_s: float
    batch_size: int

    @property
    def total_s(self) -> float:
        """Seconds inside the service; the way there and back is not in it."""
        return self.queue_s + self.decode_s + self.preprocess_s + self.infer_s + self.postprocess_s


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
        image_info=_image_info(response.image_info),
        model_name=response.model.name,
        model_version=response.model.version,
        timings=_timings(response.timings),
    )


def read_results(
    response: classification_pb2.BatchClassifyResponse, refusals: Sequence[ItemError | None], request_id: str
) -> list[Classification | ItemError]:
    """Return the results of a batch with those of the pictures that were not sent put back in their places.

    Args:
        response: the results of the pictures that were sent.
        refusals: by picture, why it was not sent; None where it was.
        request_id: the id of the call.

    Raises:
        CallFailed: there are not as many results as pictures were sent.
    """
    sent_count = sum(refusal is None for refusal in refusals)
    if len(response.results) != sent_count:
        message = f"the service gave {len(response.results)} results for {sent_count} pictures"
        raise CallFailed(grpc.StatusCode.INTERNAL, message, "BATCH_BROKEN", request_id=request_id)
    results = iter(response.results)
    return [_read_result(next(results), request_id) if refusal is None else refusal for refusal in refusals]


def read_streamed(response: classification_pb2.ClassifyStreamResponse, request_id: str) -> Classification | ItemError:
    """Return the answer to one picture of a stream, or its error."""
    return _read_result(response.result, request_id)


def _read_result(result: classification_pb2.ClassifyResult, request_id: str) -> Classification | ItemError:
    if result.HasField("response"):
        return read_classification(result.response)
    return item_error(result.image_id, result.error, request_id)  # one with neither is an error as well


def _image_info(info: image_pb2.ImageInfo) -> ImageInfo:
    known = image_pb2.ImageFormat.keys() if info.format else []
    # A newer service may know formats that this client does not.
    name = next((key for key in known if image_pb2.ImageFormat.Value(key) == info.format), None)
    return ImageInfo(
        info.width,
        info.height,
        info.exif_orientation,
        info.is_orientation_applied,
        None if name is None else name.removeprefix("IMAGE_FORMAT_").lower(),
    )


def _timings(timings: model_pb2.Timings) -> Timings:
    return Timings(
        _seconds(timings.queue),
        _seconds(timings.decode),
        _seconds(timings.preprocess),
        _seconds(timings.infer),
        _seconds(timings.postprocess),
        timings.batch_size,
    )


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
