"""Settings of the detection service: the common ones and how far pictures may be cut up."""

from pydantic import Field

from retinue.serving.settings import Group, ServiceSettings


class TilingSettings(Group):
    """Limits on looking at pictures through tiles."""

    max_tile_count: int = Field(default=1024, ge=1, le=1_000_000, description="Most tiles of one picture.")
    max_picture_count: int = Field(default=2, ge=1, le=256, description="Most pictures held decoded for their tiles.")


class DetectionSettings(ServiceSettings):
    """All settings of the detection service."""

    tiling: TilingSettings = Field(default_factory=TilingSettings)
