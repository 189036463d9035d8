"""Settings of the segmentation service: the common ones, and how large pictures and answers may be."""

from pydantic import Field

from retinue.serving.settings import EngineSettings, Group, ServiceSettings


class SegmentationEngineSettings(EngineSettings):
    """How each model is run; what has maps as large as its input takes hundreds of bytes for each pixel of it."""

    max_batch_pixels: int = Field(
        default=512 * 512,
        ge=1,
        description="Most input pixels in one run: larger pictures run alone. On a GPU more.",
    )


class SlideSettings(Group):
    """Limits on pictures that are looked at window by window, and on streams of tiles."""

    max_side_px: int = Field(default=200_000, ge=32, le=2**31 - 1, description="Longest side of a slide.")
    max_tile_pixels: int = Field(default=16_777_216, ge=1024, description="Most pixels of one tile of a stream.")
    max_row_pixels: int = Field(
        default=134_217_728, ge=1024, description="Most pixels of one row of tiles of a stream; it is held decoded."
    )
    max_instances: int = Field(default=1_000_000, ge=1, description="Most instances of one picture or slide.")
    max_picture_count: int = Field(default=2, ge=1, le=256, description="Most pictures held decoded for their windows.")
    stall_timeout_s: float = Field(default=60.0, gt=0, le=86_400, description="Longest wait for the next tile.")


class SegmentationSettings(ServiceSettings):
    """All settings of the segmentation service."""

    engine: SegmentationEngineSettings = Field(default_factory=SegmentationEngineSettings)
    slides: SlideSettings = Field(default_factory=SlideSettings)
