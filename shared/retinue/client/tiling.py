"""How a large picture is looked at: through overlapping square tiles, so that small things keep their size."""

from dataclasses import dataclass
from typing import Literal

from retinue.client.keywords import checked_share
from retinue.detection.v1 import detection_pb2

MergeMetric = Literal["ios", "iou"]

MIN_TILE_SIZE_PX = 32

_METRICS = {
    None: detection_pb2.MERGE_METRIC_UNSPECIFIED,
    "ios": detection_pb2.MERGE_METRIC_IOS,
    "iou": detection_pb2.MERGE_METRIC_IOU,
}


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles over a picture, and when boxes from several of them are one thing.

    Args:
        tile_size_px: side of a tile, pixels of the upright picture, at least 32.
        overlap_px: how far neighbouring tiles overlap, pixels, at most half a tile; best the size of the largest thing
            that matters. None: a fifth of a tile.
        merge_metric: ``"ios"`` (intersection over the smaller area: a thing that a seam cuts is put together again) or
            ``"iou"``. None: ``"ios"``.
        merge_threshold: boxes are one thing from this overlap on, in [0, 1]. None: 0.5.
        is_whole_picture_added: whether the picture is also looked at as a whole, for things larger than a tile.

    Raises:
        ValueError: one of them is out of range; the message names it.
    """

    tile_size_px: int
    overlap_px: int | None = None
    merge_metric: MergeMetric | None = None
    merge_threshold: float | None = None
    is_whole_picture_added: bool = False

    def __post_init__(self) -> None:
        if not MIN_TILE_SIZE_PX <= self.tile_size_px < 2**31:
            raise ValueError(f"tiling.tile_size_px is {self.tile_size_px}, must be at least {MIN_TILE_SIZE_PX}")
        if self.overlap_px is not None and not 0 <= self.overlap_px <= self.tile_size_px / 2:
            raise ValueError(
                f"tiling.overlap_px is {self.overlap_px}, must be 0 to half of tile_size_px, {self.tile_size_px // 2}"
            )
        if self.merge_metric not in _METRICS:
            raise ValueError(f"tiling.merge_metric is {self.merge_metric!r}, must be 'ios' or 'iou'")
        checked_share("tiling.merge_threshold", self.merge_threshold)


def tiling_message(tiling: Tiling) -> detection_pb2.DetectionTiling:
    """Return the message that carries a tiling.

    >>> tiling_message(Tiling(640, overlap_px=64)).overlap_px
    64
    """
    return detection_pb2.DetectionTiling(
        tile_size_px=tiling.tile_size_px,
        overlap_px=tiling.overlap_px,
        merge_metric=_METRICS[tiling.merge_metric],
        merge_threshold=tiling.merge_threshold,
        is_whole_picture_added=tiling.is_whole_picture_added,
    )
