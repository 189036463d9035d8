"""What a caller may ask of a segmentation service, checked and turned into messages before anything is sent."""

from collections.abc import Mapping
from typing import Literal, Never

from retinue.client.keywords import CallKeywords, check_known, checked_count, checked_share
from retinue.client.request_plan import RequestMessages, RequestPlan, plan_request
from retinue.client.segmentation_tiling import SegmentationTiling, segmentation_tiling_message
from retinue.common.v1 import geometry_pb2
from retinue.segmentation.v1 import segmentation_pb2

ClassMapForm = Literal["rle", "png", "none"]
MaskForm = Literal["rle", "png", "polygons", "none"]

SegmentationPlan = RequestPlan[segmentation_pb2.SegmentRequest, segmentation_pb2.BatchSegmentRequest, Never]

_MESSAGES: RequestMessages[segmentation_pb2.SegmentRequest, segmentation_pb2.BatchSegmentRequest, Never] = (
    RequestMessages(segmentation_pb2.SegmentRequest, segmentation_pb2.BatchSegmentRequest)
)
_CLASS_MAPS = {
    None: segmentation_pb2.CLASS_MAP_ENCODING_UNSPECIFIED,
    "rle": segmentation_pb2.CLASS_MAP_ENCODING_RLE,
    "png": segmentation_pb2.CLASS_MAP_ENCODING_PNG,
    "none": segmentation_pb2.CLASS_MAP_ENCODING_NONE,
}
_MASKS = {
    None: geometry_pb2.MASK_ENCODING_UNSPECIFIED,
    "rle": geometry_pb2.MASK_ENCODING_RLE,
    "png": geometry_pb2.MASK_ENCODING_PNG,
    "polygons": geometry_pb2.MASK_ENCODING_POLYGONS,
    "none": geometry_pb2.MASK_ENCODING_UNSPECIFIED,  # left out by a field of its own
}


class SegmentKeywords(CallKeywords, total=False):
    """The keyword arguments of every segment method; all may be left out or None."""

    mask_threshold: float | None
    """A pixel belongs to each class that is at least this probable, in [0, 1]; by default as the model says."""
    class_thresholds: Mapping[str, float] | None
    """The same for single classes, by name in the model's label list; goes before ``mask_threshold``."""
    score_threshold: float | None
    """Instances below this score are left out, in [0, 1]; by default as the model says."""
    min_area_px: int | None
    """Instances of fewer pixels are left out, at least 0; by default as the model says."""
    max_instances: int | None
    """At most this many instances, best first, at least 1; a slide with more is an error."""
    class_map: ClassMapForm | None
    """How the class map travels: ``"rle"`` (the default), ``"png"`` (up to 256 classes), ``"none"``: counts only."""
    instance_masks: MaskForm | None
    """How the masks of instances travel: ``"rle"`` (the default), ``"png"``, ``"polygons"``, or ``"none"``."""
    tiling: SegmentationTiling | None
    """How a large picture is looked at piece by piece; by default at once, scaled as the model says. Slides always."""


def plan_segmentation(
    default_timeout_s: float,
    max_message_bytes: int,
    keywords: SegmentKeywords,
) -> SegmentationPlan:
    """Return the plan of a call with these keywords.

    Raises:
        TypeError: there is a keyword that is not one of `SegmentKeywords`, or one of another type.
        ValueError: one is out of range; the message names it.
    """
    check_known(keywords, SegmentKeywords)
    class_map, instance_masks = keywords.get("class_map"), keywords.get("instance_masks")
    _check_form("class_map", class_map, _CLASS_MAPS)
    _check_form("instance_masks", instance_masks, _MASKS)
    min_area_px = keywords.get("min_area_px")
    if min_area_px is not None and not 0 <= min_area_px < 2**31:
        raise ValueError(f"min_area_px is {min_area_px}, must be at least 0")
    tiling = keywords.get("tiling")
    options = segmentation_pb2.SegmentationOptions(
        mask_threshold=checked_share("mask_threshold", keywords.get("mask_threshold")),
        class_thresholds=[
            segmentation_pb2.ClassThreshold(
                class_name=name, threshold=checked_share(f"class_thresholds[{name!r}]", threshold)
            )
            for name, threshold in (keywords.get("class_thresholds") or {}).items()
        ],
        score_threshold=checked_share("score_threshold", keywords.get("score_threshold")),
        min_area_px=min_area_px,
        max_instances=checked_count("max_instances", keywords.get("max_instances")),
        class_map_encoding=_CLASS_MAPS[class_map],
        instance_encoding=_MASKS[instance_masks],
        is_instance_mask_omitted=instance_masks == "none",
        tiling=None if tiling is None else segmentation_tiling_message(tiling),
    )
    return plan_request(
        _MESSAGES, options, keywords, default_timeout_s=default_timeout_s, max_message_bytes=max_message_bytes
    )


def _check_form(name: str, form: str | None, known: Mapping[str | None, object]) -> None:
    if form not in known:
        forms = ", ".join(repr(one) for one in known if one is not None)
        raise ValueError(f"{name} is {form!r}, must be one of {forms}")
