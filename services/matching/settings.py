"""Settings of the matching service: the common ones, what one request may ask, and where it is worked on."""

from pydantic import Field

from retinue.serving.settings import Group, HostSettings


class LimitSettings(Group):
    """The largest problems that are taken; README.md publishes the defaults."""

    max_problem_count: int = Field(default=1024, ge=1, description="Most problems of one request.")
    max_point_count: int = Field(default=100_000, ge=1, description="Most points of one set.")
    max_box_count: int = Field(default=100_000, ge=1, description="Most boxes of one set.")
    max_cell_count: int = Field(
        default=25_000_000,
        ge=1,
        description="Most cells of one cost matrix, or pairs of points or boxes that come into question.",
    )
    max_mask_pixels: int = Field(default=25_000_000, ge=1, description="Most pixels of one label map or mask.")
    max_mask_steps: int = Field(
        default=2**33,
        ge=1,
        description="Most steps of comparing two lists of masks: runs of each side times masks of the other.",
    )
    max_overlap_count: int = Field(
        default=4_000_000, ge=1, description="Most pairs of labels of two label maps that share pixels."
    )
    max_image_count: int = Field(default=200_000, ge=1, description="Most pictures of one evaluation.")
    max_evaluation_box_count: int = Field(
        default=5_000_000, ge=1, description="Most boxes of one evaluation, true and detected together."
    )
    max_class_count: int = Field(default=2000, ge=1, description="Most classes of one evaluation.")
    max_track_count: int = Field(default=1000, ge=1, description="Most tracks alive at once in one stream.")
    max_frame_box_count: int = Field(default=2000, ge=1, description="Most boxes of one frame of a stream of tracks.")
    max_iou_threshold_count: int = Field(default=20, ge=1, description="Most IoU thresholds of one evaluation.")


class SolvingSettings(Group):
    """Where problems are solved: small ones by the call's own thread, large ones by a few threads for all calls."""

    workers: int | None = Field(
        default=None, ge=1, le=256, description="Threads for large problems; default one a core."
    )
    max_queue_count: int = Field(default=64, ge=1, description="Most large problems waiting; more are refused.")
    max_inline_cells: int = Field(
        default=250_000, ge=0, description="Cells up to which a problem is solved by the thread of its call."
    )


class MatchingSettings(HostSettings):
    """All settings of the matching service."""

    limits: LimitSettings = Field(default_factory=LimitSettings)
    solving: SolvingSettings = Field(default_factory=SolvingSettings)
