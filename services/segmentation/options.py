"""From the options of a request to those of the pipeline: checked, and the manifest's where a caller says nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from retinue.common.v1 import geometry_pb2
from retinue.runtime.errors import InvalidInput
from retinue.runtime.segmentation_manifest import InstanceManifest, SegmentationManifest, StretchInput
from retinue.segmentation.v1 import segmentation_pb2 as pb
from retinue.serving.wire import check_share
from services.segmentation.codes import MOST_CLASSES_OF_PNG
from services.segmentation.segmentations import Blend, SegmentationOptions
from services.segmentation.windows import Tiling

ClassForm = Literal["rle", "png", "none"]
MaskForm = Literal["rle", "png", "polygons", "none"]

_CLASS_FORMS: Final[Mapping[int, ClassForm]] = {
    pb.CLASS_MAP_ENCODING_UNSPECIFIED: "rle",
    pb.CLASS_MAP_ENCODING_RLE: "rle",
    pb.CLASS_MAP_ENCODING_PNG: "png",
    pb.CLASS_MAP_ENCODING_NONE: "none",
}
_MASK_FORMS: Final[Mapping[int, MaskForm]] = {
    geometry_pb2.MASK_ENCODING_UNSPECIFIED: "rle",
    geometry_pb2.MASK_ENCODING_RLE: "rle",
    geometry_pb2.MASK_ENCODING_PNG: "png",
    geometry_pb2.MASK_ENCODING_POLYGONS: "polygons",
}
_BLENDS: Final[Mapping[int, Blend]] = {
    pb.TILE_BLEND_UNSPECIFIED: "crop",
    pb.TILE_BLEND_CROP: "crop",
    pb.TILE_BLEND_MEAN: "mean",
    pb.TILE_BLEND_GAUSSIAN: "gaussian",
}
_LEAST_TILE_PX: Final = 32


@dataclass(frozen=True, slots=True)
class Forms:
    """How the answer is written."""

    classes: ClassForm
    masks: MaskForm


def options_of(
    options: pb.SegmentationOptions, manifest: SegmentationManifest, most_instances: int, field: str = "options"
) -> SegmentationOptions:
    """Return a caller's options.

    Args:
        options: of the request.
        manifest: of the model.
        most_instances: the service's own limit.
        field: where the options stand in the request.

    Raises:
        InvalidInput: one is out of range; the message names it and says what is allowed.
    """
    splitting = manifest.output.splitting if isinstance(manifest, InstanceManifest) else None
    for name in ("mask_threshold", "score_threshold"):
        check_share(getattr(options, name), f"{field}.{name}")
    min_area_px = 0 if splitting is None else splitting.min_area_px
    if options.HasField("min_area_px"):
        min_area_px = options.min_area_px
        if min_area_px < 0:
            raise InvalidInput(f"{field}.min_area_px", f"is {min_area_px}; at least 0 is allowed")
    most = options.max_instances if options.HasField("max_instances") else most_instances
    if not 1 <= most <= most_instances:
        raise InvalidInput(f"{field}.max_instances", f"is {most}; 1 to {most_instances} are allowed")
    score_threshold = 0.0 if splitting is None else splitting.score_threshold
    return SegmentationOptions(
        thresholds=_thresholds(options, manifest, field),
        score_threshold=options.score_threshold if options.HasField("score_threshold") else score_threshold,
        min_area_px=min_area_px,
        max_instances=most,
    )


def forms_of(options: pb.SegmentationOptions, manifest: SegmentationManifest, field: str = "options") -> Forms:
    """Return how the answer is to be written.

    Raises:
        InvalidInput: a form is unknown, or a PNG is wanted of more classes than it can tell apart.
    """
    classes = _CLASS_FORMS.get(options.class_map_encoding)
    if classes is None:
        number = options.class_map_encoding
        raise InvalidInput(f"{field}.class_map_encoding", f"{number} is no ClassMapEncoding of this version")
    if classes == "png" and len(manifest.labels) > MOST_CLASSES_OF_PNG:
        raise InvalidInput(
            f"{field}.class_map_encoding",
            f"PNG is for at most {MOST_CLASSES_OF_PNG} classes; model {manifest.name} has {len(manifest.labels)}",
        )
    masks = _MASK_FORMS.get(options.instance_encoding)
    if masks is None:
        raise InvalidInput(
            f"{field}.instance_encoding", f"{options.instance_encoding} is no MaskEncoding of this version"
        )
    return Forms(classes, "none" if options.is_instance_mask_omitted else masks)


def tiling_of(options: pb.SegmentationOptions, manifest: SegmentationManifest, field: str = "options") -> Tiling:
    """Return how windows are to be laid: as is wanted, or larger, so that they fit the model's stride.

    Raises:
        InvalidInput: a part of it is out of range, or the model's input has one size and windows another.
    """
    tiling = options.tiling
    own, policy = manifest.tiles, manifest.input
    side = tiling.tile_size_px if tiling.HasField("tile_size_px") else manifest.default_tile_size_px
    if isinstance(policy, StretchInput) and {policy.height, policy.width} != {side}:
        size = f"{policy.width}x{policy.height}"
        raise InvalidInput(f"{field}.tiling.tile_size_px", f"is {side}; model {manifest.name} takes {size} pixels only")
    most = manifest.most_tile_size_px
    if not _LEAST_TILE_PX <= side <= most:
        raise InvalidInput(
            f"{field}.tiling.tile_size_px", f"is {side}; {_LEAST_TILE_PX} to {most} are allowed", limit=str(most)
        )
    overlap = tiling.overlap_px if tiling.HasField("overlap_px") else min(own.overlap_px, side // 2)
    if not 0 <= overlap <= side // 2:
        raise InvalidInput(f"{field}.tiling.overlap_px", f"is {overlap}; 0 to {side // 2} are allowed")
    blend = _BLENDS.get(tiling.blend)
    if blend is None:
        raise InvalidInput(f"{field}.tiling.blend", f"{tiling.blend} is no TileBlend of this version")
    stride = manifest.stride_px
    # Two strides at least, so that the next window begins after this one however large the overlap is.
    side, overlap = max(_rounded_up(side, stride), 2 * stride), _rounded_up(overlap, stride)
    return Tiling(side, overlap, blend, reach_px=own.overlap_px // 2, stride_px=stride)


def _rounded_up(size: int, stride: int) -> int:
    return -(-size // stride) * stride


def _thresholds(
    options: pb.SegmentationOptions, manifest: SegmentationManifest, field: str
) -> tuple[float | None, ...]:
    """Return the threshold of each class; None where the most probable class counts."""
    general = options.mask_threshold if options.HasField("mask_threshold") else manifest.output.threshold
    thresholds: list[float | None] = [general] * len(manifest.labels)
    seen: set[str] = set()
    for index, one in enumerate(options.class_thresholds):
        place = f"{field}.class_thresholds[{index}]"
        if one.class_name not in manifest.labels:
            raise InvalidInput(f"{place}.class_name", f"model {manifest.name} has no class {one.class_name[:64]!r}")
        if one.class_name in seen:
            raise InvalidInput(f"{place}.class_name", f"{one.class_name[:64]!r} is there twice")
        if not one.HasField("threshold"):
            raise InvalidInput(f"{place}.threshold", "required; 0 to 1 are allowed")
        check_share(one.threshold, f"{place}.threshold")
        seen.add(one.class_name)
        thresholds[manifest.labels.index(one.class_name)] = one.threshold
    return tuple(thresholds)
