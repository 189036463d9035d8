"""How a large picture is segmented: through overlapping square tiles, at its own resolution."""

from dataclasses import dataclass
from typing import Literal

from retinue.client.tiling import MIN_TILE_SIZE_PX
from retinue.segmentation.v1 import segmentation_pb2

Blend = Literal["crop", "mean", "gaussian"]

_BLENDS = {
    None: segmentation_pb2.TILE_BLEND_UNSPECIFIED,
    "crop": segmentation_pb2.TILE_BLEND_CROP,
    "mean": segmentation_pb2.TILE_BLEND_MEAN,
    "gaussian": segmentation_pb2.TILE_BLEND_GAUSSIAN,
}


@dataclass(frozen=True, slots=True)
class SegmentationTiling:
    """Tiles over a picture, and what a pixel is where they overlap.

    Args:
        tile_size_px: side of a tile, pixels of the upright picture, at least 32; the service rounds it up to a multiple
            of the model's stride, and to two of them at least. None: as the model says.
        overlap_px: how far neighbouring tiles overlap at least, pixels, at most half a tile; rounded up likewise. From
            the model's receptive field on, seams cannot be seen. None: as the model says.
        blend: ``"crop"`` (each tile counts up to the middle of its overlaps), ``"mean"`` or ``"gaussian"`` (a mean in
            which the middle of a tile counts more). None: ``"crop"``.

    Raises:
        ValueError: one of them is out of range; the message names it.
    """

    tile_size_px: int | None = None
    overlap_px: int | None = None
    blend: Blend | None = None

    def __post_init__(self) -> None:
        if self.tile_size_px is not None and not MIN_TILE_SIZE_PX <= self.tile_size_px < 2**31:
            raise ValueError(f"tiling.tile_size_px is {self.tile_size_px}, must be at least {MIN_TILE_SIZE_PX}")
        most = 2**31 - 1 if self.tile_size_px is None else self.tile_size_px // 2
        if self.overlap_px is not None and not 0 <= self.overlap_px <= most:
            raise ValueError(f"tiling.overlap_px is {self.overlap_px}, must be 0 to half of tile_size_px, {most}")
        if self.blend not in _BLENDS:
            raise ValueError(f"tiling.blend is {self.blend!r}, must be 'crop', 'mean' or 'gaussian'")


def segmentation_tiling_message(tiling: SegmentationTiling) -> segmentation_pb2.SegmentationTiling:
    """Return the message that carries a tiling.

    >>> segmentation_tiling_message(SegmentationTiling(640, overlap_px=64)).overlap_px
    64
    """
    return segmentation_pb2.SegmentationTiling(
        tile_size_px=tiling.tile_size_px, overlap_px=tiling.overlap_px, blend=_BLENDS[tiling.blend]
    )
