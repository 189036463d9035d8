"""From the options of a request to those of the pipeline: checked, and the manifest's where a caller says nothing."""

import math
from collections.abc import Mapping
from typing import Final, Literal

from retinue.detection.v1 import detection_pb2 as pb
from retinue.runtime.detection_manifest import DetectionManifest, FasterRcnnManifest, NmsKind
from retinue.runtime.errors import InvalidInput
from retinue.serving.wire import check_share
from services.detection.detections import DetectionOptions
from services.detection.tiling import Tiling

_NMS_KINDS: Final[Mapping[int, NmsKind]] = {
    pb.NMS_KIND_HARD: "hard",
    pb.NMS_KIND_SOFT_LINEAR: "soft_linear",
    pb.NMS_KIND_SOFT_GAUSSIAN: "soft_gaussian",
    pb.NMS_KIND_DIOU: "diou",
    pb.NMS_KIND_MATRIX: "matrix",
    pb.NMS_KIND_NONE: "none",
}
_MERGE_METRICS: Final[Mapping[int, Literal["ios", "iou"]]] = {
    pb.MERGE_METRIC_UNSPECIFIED: "ios",
    pb.MERGE_METRIC_IOS: "ios",
    pb.MERGE_METRIC_IOU: "iou",
}
_DEFAULT_SIGMA: Final = 0.5
_DEFAULT_MERGE_THRESHOLD: Final = 0.5
_LEAST_TILE_PX: Final = 32
_MOST_DETECTIONS: Final = 100_000  # an answer of more would be a message that no client takes


def options_of(options: pb.DetectionOptions, manifest: DetectionManifest) -> DetectionOptions:
    """Return a caller's options.

    Raises:
        InvalidInput: one is out of range; the message names it and says what is allowed.
    """
    default = manifest.output.selection
    if options.nms_kind != pb.NMS_KIND_UNSPECIFIED and options.nms_kind not in _NMS_KINDS:
        raise InvalidInput("options.nms_kind", f"{options.nms_kind} is no NmsKind of this version")
    for name in ("score_threshold", "iou_threshold"):
        check_share(getattr(options, name), f"options.{name}")
    sigma = options.sigma if options.HasField("sigma") else _DEFAULT_SIGMA
    if not 0.0 < sigma < math.inf:
        raise InvalidInput("options.sigma", f"is {sigma}; a finite number above 0 is required")
    most = options.max_detections if options.HasField("max_detections") else default.max_detections
    if most < 1:
        raise InvalidInput("options.max_detections", f"is {most}; at least 1 is allowed")
    has = options.HasField
    return DetectionOptions(
        score_threshold=options.score_threshold if has("score_threshold") else default.score_threshold,
        class_ids=_class_ids(options, manifest),
        nms=_NMS_KINDS.get(options.nms_kind, default.nms),
        iou_threshold=options.iou_threshold if has("iou_threshold") else default.iou_threshold,
        sigma=sigma,
        is_class_agnostic=options.is_class_agnostic if has("is_class_agnostic") else default.is_class_agnostic,
        max_detections=min(most, _MOST_DETECTIONS),
    )


def tiling_of(options: pb.DetectionOptions) -> Tiling | None:
    """Return how a caller wants pictures to be cut; None where they are looked at as a whole.

    Raises:
        InvalidInput: a part of it is out of range; the message names it and says what is allowed.
    """
    if not options.HasField("tiling"):
        return None
    tiling = options.tiling
    side = tiling.tile_size_px
    if side < _LEAST_TILE_PX:
        raise InvalidInput("options.tiling.tile_size_px", f"is {side}; at least {_LEAST_TILE_PX} is allowed")
    overlap = tiling.overlap_px if tiling.HasField("overlap_px") else side // 5
    if not 0 <= overlap <= side // 2:
        raise InvalidInput("options.tiling.overlap_px", f"is {overlap}; 0 to {side // 2} are allowed")
    metric = _MERGE_METRICS.get(tiling.merge_metric)
    if metric is None:
        raise InvalidInput("options.tiling.merge_metric", f"{tiling.merge_metric} is no MergeMetric of this version")
    threshold = tiling.merge_threshold if tiling.HasField("merge_threshold") else _DEFAULT_MERGE_THRESHOLD
    check_share(threshold, "options.tiling.merge_threshold")
    return Tiling(side, overlap, metric, threshold, tiling.is_whole_picture_added)


def _class_ids(options: pb.DetectionOptions, manifest: DetectionManifest) -> tuple[int, ...] | None:
    """Return the ids of the classes that are wanted, ascending; None for all."""
    if not options.class_ids and not options.class_names:
        return None
    first = 1 if isinstance(manifest, FasterRcnnManifest) else 0  # there the first label is the background's
    labels = manifest.labels
    for index, class_id in enumerate(options.class_ids):
        if not first <= class_id < len(labels):
            raise InvalidInput(
                f"options.class_ids[{index}]", f"is {class_id}; {first} to {len(labels) - 1} are allowed"
            )
    known = set(labels[first:])
    for index, name in enumerate(options.class_names):
        if name not in known:
            raise InvalidInput(f"options.class_names[{index}]", f"model {manifest.name} has no class {name[:64]!r}")
    names = set(options.class_names)  # a label may stand for several classes
    named = (class_id for class_id in range(first, len(labels)) if labels[class_id] in names)
    return tuple(sorted({*options.class_ids, *named}))
