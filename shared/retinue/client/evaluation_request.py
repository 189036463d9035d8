"""Detections of many pictures on their way to be scored, in messages of bounded size."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from retinue.client.keywords import PlainCallKeywords, check_known, checked_share
from retinue.client.number_lists import flags_of, integers_of, numbers_of, rows_of
from retinue.common.v1 import model_pb2
from retinue.matching.v1 import matching_pb2 as pb

MESSAGE_BYTES = 2**20
"""A message of pictures is sent once it has this size, so that a long stream needs little memory at either end."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationImage:
    """The true boxes of one picture, n of them, and what was detected on it, m boxes.

    Args:
        truth_boxes: [n, 4] corners ``x_min, y_min, x_max, y_max``, pixels. None: there is none.
        truth_class_ids: [n] integers, at least 0.
        boxes: [m, 4] corners of the detections. None: there is none.
        class_ids: [m] integers, at least 0.
        scores: [m] finite numbers, higher is surer.
        truth_areas: [n] square pixels, for the ranges of areas; COCO's are those of masks. None: those of the boxes.
        truth_are_crowds: [n] whether each is a crowd, which may be found any number of times. None: none is.
        image_id: a name for it, for errors; at most 256 characters.
    """

    truth_boxes: ArrayLike | None = None
    truth_class_ids: ArrayLike | None = None
    boxes: ArrayLike | None = None
    class_ids: ArrayLike | None = None
    scores: ArrayLike | None = None
    truth_areas: ArrayLike | None = None
    truth_are_crowds: ArrayLike | None = None
    image_id: str = ""

    def message(self) -> pb.EvaluationImage:
        """Return the message of it.

        Raises:
            ValueError: a part of it cannot be sent; the message names it.
        """
        message = pb.EvaluationImage(
            image_id=self.image_id,
            truth_xyxy_px=rows_of(self.truth_boxes, "truth_boxes", 4),
            truth_class_ids=integers_of(self.truth_class_ids, "truth_class_ids"),
            truth_areas_px=numbers_of(self.truth_areas, "truth_areas"),
            truth_is_crowd=flags_of(self.truth_are_crowds, "truth_are_crowds"),
            detection_xyxy_px=rows_of(self.boxes, "boxes", 4),
            detection_class_ids=integers_of(self.class_ids, "class_ids"),
            detection_scores=numbers_of(self.scores, "scores"),
        )
        for name, given, count in (
            ("truth_class_ids", len(message.truth_class_ids), len(message.truth_xyxy_px) // 4),
            ("class_ids", len(message.detection_class_ids), len(message.detection_xyxy_px) // 4),
            ("scores", len(message.detection_scores), len(message.detection_xyxy_px) // 4),
        ):
            if given != count:
                raise ValueError(f"picture {self.image_id!r}: {name} has {given} entries for {count} boxes")
        return message


class EvaluateKeywords(PlainCallKeywords, total=False):
    """The keyword arguments of `evaluate`; all may be left out or None."""

    labels: Mapping[int, str] | None
    """Names of the classes by id; others are left out. By default all that come up, without names."""
    iou_thresholds: Sequence[float] | None
    """That AP is averaged over, in (0, 1], ascending; by default 0.5, 0.55, … 0.95."""
    confusion_iou_threshold: float | None
    """From which on the confusion matrix pairs boxes, in (0, 1]; by default 0.5."""
    confusion_score_threshold: float | None
    """Below which it leaves detections out, in [0, 1]; by default 0.3."""
    return_curves: bool | None
    """Whether to answer precision-recall curves; by default not."""


def evaluation_options(keywords: EvaluateKeywords) -> pb.EvaluationOptions:
    """Return the message of the options.

    Raises:
        TypeError: there is a keyword that is not one of `EvaluateKeywords`.
        ValueError: one is out of range; the message names it.
    """
    check_known(keywords, EvaluateKeywords)
    thresholds = list(keywords.get("iou_thresholds") or ())
    for threshold in (*thresholds, keywords.get("confusion_iou_threshold")):
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"an IoU threshold is {threshold}, must be above 0 and at most 1")
    labels = keywords.get("labels") or {}
    return pb.EvaluationOptions(
        labels=[model_pb2.Label(id=label_id, name=name) for label_id, name in labels.items()],
        iou_thresholds=thresholds,
        confusion_iou_threshold=keywords.get("confusion_iou_threshold"),
        confusion_score_threshold=checked_share("confusion_score_threshold", keywords.get("confusion_score_threshold")),
        return_curves=bool(keywords.get("return_curves")),
    )


class EvaluateMessages:
    """Puts pictures into messages of bounded size, the options into the first.

    Args:
        options: how to score.
        max_message_bytes: the most that may be sent in one message.
    """

    def __init__(self, options: pb.EvaluationOptions, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._request = pb.EvaluateRequest(options=options)
        self._byte_count = self._request.ByteSize()

    def take(self, image: EvaluationImage) -> Iterator[pb.EvaluateRequest]:
        """Take in the next picture and yield the message that is full with it, or without it, if there is one.

        Raises:
            ValueError: it cannot be sent, or is above the message limit alone.
        """
        message = image.message()
        byte_count = message.ByteSize() + 8  # what comes before each in the list
        if byte_count > self._max_message_bytes:
            raise ValueError(
                f"picture {image.image_id!r} has {byte_count} bytes, at most {self._max_message_bytes} are sent"
            )
        if self._byte_count + byte_count > min(MESSAGE_BYTES, self._max_message_bytes) and self._byte_count:
            yield self.rest()
        self._request.images.append(message)
        self._byte_count += byte_count

    def rest(self) -> pb.EvaluateRequest:
        """Return the message of what has not been sent yet."""
        full, self._request, self._byte_count = self._request, pb.EvaluateRequest(), 0
        return full


def evaluate_messages(
    images: Iterable[EvaluationImage], options: pb.EvaluationOptions, max_message_bytes: int
) -> Iterator[pb.EvaluateRequest]:
    """Yield the messages of an evaluation, one at least.

    Raises:
        Exception: whatever ``images`` raises, and as `EvaluateMessages.take`.
    """
    messages = EvaluateMessages(options, max_message_bytes)
    for image in images:
        yield from messages.take(image)
    yield messages.rest()
