"""The pictures of an evaluation, read from a stream of messages: every field is checked, and an error names it."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retinue.matching.v1 import matching_pb2 as pb
from retinue.runtime.errors import InvalidInput
from retinue.serving.wire import MAX_ID_CHARACTERS
from services.matching.evaluation import EvaluationOptions, EvaluationPicture, EvaluationProblem
from services.matching.packed import Bounds, PackedFields, check_bounds, numbers, rows_of, scalar
from services.matching.requests import check_corners
from services.matching.settings import LimitSettings

_AT_LEAST_0: Final = Bounds(0)
_ABOVE_0: Final = Bounds(0.0, 1.0, is_open_below=True)
_LARGEST: Final = np.finfo(np.float64).max


class EvaluationReader:
    """Reads the messages of one stream, one after the other.

    Args:
        limits: the largest evaluation that is taken.
    """

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._options = EvaluationOptions()
        self._pictures: list[EvaluationPicture] = []
        self._box_count = 0
        self.names: dict[int, str] = {}
        self.are_curves_wanted = False

    def read(self, messages: Iterable[pb.EvaluateRequest]) -> EvaluationProblem:
        """Return the problem that all messages make together.

        Raises:
            InvalidInput: one cannot be used; pictures are counted from 0 through the whole stream.
        """
        for index, message in enumerate(messages):
            if message.HasField("options"):
                if index:
                    raise InvalidInput("options", f"in message {index}; they belong into the first, message 0")
                self._read_options(message.options)
            for image in message.images:
                self._read_image(image, f"images[{len(self._pictures)}]")
        return EvaluationProblem(self._pictures, self._options, self._limits.max_class_count)

    def _read_options(self, options: pb.EvaluationOptions) -> None:
        most = self._limits.max_iou_threshold_count
        count = len(options.iou_thresholds)
        if count > most:
            problem = f"has {count} values; at most {most} are allowed"
            raise InvalidInput("options.iou_thresholds", problem, limit=str(most))
        try:
            thresholds = _thresholds(options)
            iou_threshold = scalar(options, "confusion_iou_threshold", 0.5, _ABOVE_0)
            score_threshold = scalar(options, "confusion_score_threshold", 0.3, Bounds(0.0, 1.0))
        except InvalidInput as error:
            raise error.under("options") from error
        self.are_curves_wanted = options.return_curves
        self._options = EvaluationOptions(self._read_labels(options), thresholds, iou_threshold, score_threshold)

    def _read_labels(self, options: pb.EvaluationOptions) -> NDArray[np.int64] | None:
        most, labels = self._limits.max_class_count, options.labels
        if len(labels) > most:
            problem = f"has {len(labels)} classes; at most {most} are allowed"
            raise InvalidInput("options.labels", problem, limit=str(most))
        for index, label in enumerate(labels):
            if label.id < 0:
                raise InvalidInput(f"options.labels[{index}].id", f"is {label.id}; at least 0 is allowed")
            if label.id in self.names:
                raise InvalidInput(f"options.labels[{index}].id", f"{label.id} is there twice")
            self.names[label.id] = label.name
        return np.array(sorted(self.names), np.int64) if labels else None

    def _read_image(self, image: pb.EvaluationImage, field: str) -> None:
        try:
            picture = self._picture_of(image)
        except InvalidInput as error:
            named = error.under(field)
            if image.image_id:  # the caller knows it by that
                named = type(error)(named.field, f"{error.problem} (image_id {image.image_id})", **_facts(error))
            raise named from error
        self._box_count += picture.box_count
        self._pictures.append(picture)

    def _picture_of(self, image: pb.EvaluationImage) -> EvaluationPicture:
        limits = self._limits
        if len(self._pictures) == limits.max_image_count:
            raise _above("is one picture more than", limits.max_image_count)
        if len(image.image_id) > MAX_ID_CHARACTERS:
            problem = f"has {len(image.image_id)} characters; at most {MAX_ID_CHARACTERS} are allowed"
            raise InvalidInput("image_id", problem)
        picture = _picture_of(image, limits.max_evaluation_box_count)
        if self._box_count + picture.box_count > limits.max_evaluation_box_count:
            raise _above("brings all boxes above", limits.max_evaluation_box_count)
        if picture.cell_count > limits.max_cell_count + picture.box_count:
            raise _above("has more true boxes times detected ones than", limits.max_cell_count)
        return picture


def _thresholds(options: pb.EvaluationOptions) -> NDArray[np.float64] | None:
    if not options.iou_thresholds:
        return None
    thresholds = numbers(PackedFields(options), "iou_thresholds", _ABOVE_0)
    if (np.diff(thresholds) <= 0).any():
        raise InvalidInput("iou_thresholds", "must be ascending")
    return thresholds


def _above(what: str, most: int) -> InvalidInput:
    return InvalidInput("", f"{what} the limit of {most}", limit=str(most))


def _facts(error: InvalidInput) -> dict[str, str]:
    return {key: value for key, value in error.metadata.items() if key != "field"}


def _picture_of(image: pb.EvaluationImage, max_box_count: int) -> EvaluationPicture:
    fields = PackedFields(image)
    truth, found = (rows_of(fields, name, 4, "boxes", max_box_count) for name in ("truth_xyxy_px", "detection_xyxy_px"))
    check_corners(truth, "truth_xyxy_px")
    check_corners(found, "detection_xyxy_px")
    count = len(truth)
    if image.truth_areas_px:
        _check_count(image, "truth_areas_px", count)
        areas = numbers(fields, "truth_areas_px", _AT_LEAST_0)
    else:
        with np.errstate(over="ignore", under="ignore"):
            areas = (truth[:, 2] - truth[:, 0]) * (truth[:, 3] - truth[:, 1])
        areas = np.minimum(areas, _LARGEST)  # beyond every range of areas, and a number still
    is_crowd = np.zeros(count, np.bool_)
    if image.truth_is_crowd:
        _check_count(image, "truth_is_crowd", count)
        is_crowd = np.fromiter(image.truth_is_crowd, np.bool_, count)
    _check_count(image, "detection_scores", len(found))
    return EvaluationPicture(
        truth,
        _class_ids(image, "truth_class_ids", count),
        areas,
        is_crowd,
        found,
        _class_ids(image, "detection_class_ids", len(found)),
        numbers(fields, "detection_scores"),
    )


def _class_ids(image: pb.EvaluationImage, field: str, count: int) -> NDArray[np.int64]:
    _check_count(image, field, count)
    class_ids = np.fromiter(getattr(image, field), np.int64, count)
    check_bounds(class_ids, field, _AT_LEAST_0)
    return class_ids


def _check_count(image: pb.EvaluationImage, field: str, count: int) -> None:
    if len(getattr(image, field)) != count:
        raise InvalidInput(field, f"has {len(getattr(image, field))} values for {count} boxes")
