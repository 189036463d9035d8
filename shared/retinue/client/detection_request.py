"""What a caller may ask of a detection service, checked and turned into messages before anything is sent."""

import math
from collections.abc import Sequence
from typing import Literal

from retinue.client.keywords import CallKeywords, check_known, checked_count, checked_share
from retinue.client.request_plan import RequestMessages, RequestPlan, plan_request
from retinue.client.tiling import Tiling, tiling_message
from retinue.detection.v1 import detection_pb2

Nms = Literal["hard", "soft_linear", "soft_gaussian", "diou", "matrix", "none"]

DetectionPlan = RequestPlan[
    detection_pb2.DetectRequest, detection_pb2.BatchDetectRequest, detection_pb2.DetectStreamRequest
]

_MESSAGES = RequestMessages(
    detection_pb2.DetectRequest, detection_pb2.BatchDetectRequest, detection_pb2.DetectStreamRequest
)
_NMS_KINDS = {
    None: detection_pb2.NMS_KIND_UNSPECIFIED,
    "hard": detection_pb2.NMS_KIND_HARD,
    "soft_linear": detection_pb2.NMS_KIND_SOFT_LINEAR,
    "soft_gaussian": detection_pb2.NMS_KIND_SOFT_GAUSSIAN,
    "diou": detection_pb2.NMS_KIND_DIOU,
    "matrix": detection_pb2.NMS_KIND_MATRIX,
    "none": detection_pb2.NMS_KIND_NONE,
}


class DetectKeywords(CallKeywords, total=False):
    """The keyword arguments of every detect method; all may be left out or None."""

    score_threshold: float | None
    """Boxes below this score are left out, in [0, 1]; by default as the model says."""
    class_ids: Sequence[int] | None
    """Only these classes, by index in the model's label list, together with ``class_names``; by default all."""
    class_names: Sequence[str] | None
    """Only these classes, by name in the model's label list, together with ``class_ids``; by default all."""
    nms: Nms | None
    """How several boxes on one thing become one; ``"none"``: they do not. By default as the model says."""
    iou_threshold: float | None
    """Overlap above which ``"hard"``, ``"diou"`` and ``"soft_linear"`` act, in [0, 1]; by default as the model says."""
    sigma: float | None
    """Width of the decay of ``"soft_gaussian"`` and ``"matrix"``, above 0; by default 0.5."""
    class_agnostic: bool | None
    """Whether boxes of different classes suppress each other; by default as the model says."""
    max_detections: int | None
    """At most this many boxes, best first, at least 1; by default as the model says."""
    tiling: Tiling | None
    """How a large picture is looked at piece by piece; by default at once, as a whole."""


def plan_detection(
    default_timeout_s: float,
    max_message_bytes: int,
    keywords: DetectKeywords,
) -> DetectionPlan:
    """Return the plan of a call with these keywords.

    Raises:
        TypeError: there is a keyword that is not one of `DetectKeywords`, or one of another type.
        ValueError: one is out of range; the message names it.
    """
    check_known(keywords, DetectKeywords)
    nms, sigma = keywords.get("nms"), keywords.get("sigma")
    if nms not in _NMS_KINDS:
        kinds = ", ".join(repr(kind) for kind in _NMS_KINDS if kind is not None)
        raise ValueError(f"nms is {nms!r}, must be one of {kinds}")
    if sigma is not None and not 0 < sigma < math.inf:
        raise ValueError(f"sigma is {sigma}, must be a number above 0")
    tiling = keywords.get("tiling")
    options = detection_pb2.DetectionOptions(
        score_threshold=checked_share("score_threshold", keywords.get("score_threshold")),
        class_ids=_checked_class_ids(keywords.get("class_ids")),
        class_names=_checked_class_names(keywords.get("class_names")),
        nms_kind=_NMS_KINDS[nms],
        iou_threshold=checked_share("iou_threshold", keywords.get("iou_threshold")),
        sigma=sigma,
        is_class_agnostic=keywords.get("class_agnostic"),
        max_detections=checked_count("max_detections", keywords.get("max_detections")),
        tiling=None if tiling is None else tiling_message(tiling),
    )
    return plan_request(
        _MESSAGES, options, keywords, default_timeout_s=default_timeout_s, max_message_bytes=max_message_bytes
    )


def _checked_class_ids(class_ids: Sequence[int] | None) -> list[int]:
    checked = [] if class_ids is None else list(class_ids)
    for class_id in checked:
        if not 0 <= class_id < 2**31:
            raise ValueError(f"class_ids has {class_id}, must be indices in the model's label list, from 0")
    return checked


def _checked_class_names(class_names: Sequence[str] | None) -> list[str]:
    if isinstance(class_names, str):  # a sequence of its own letters, each of which would be no class
        raise TypeError(f"class_names is one str, must be several: [{class_names!r}]")
    return [] if class_names is None else list(class_names)
