import numpy as np
import pytest

from retinue.client.segmentation_request import SegmentKeywords
from retinue.client.slide_geometry import SlideGeometry
from retinue.client.slide_request import LEAST_TIMEOUT_S, SlidePlan, plan_slide
from retinue.common.v1 import image_pb2, model_pb2
from retinue.segmentation.v1 import segmentation_pb2 as pb

GEOMETRY = SlideGeometry(100, 70, 32, 64)


def plan(
    keywords: SegmentKeywords | None = None,
    image_id: str = "",
    *,
    timeout_s: float = 10.0,
    max_message_bytes: int = 10_000,
) -> SlidePlan:
    return plan_slide(timeout_s, max_message_bytes, GEOMETRY, image_id, keywords or SegmentKeywords())


def test_the_first_message_says_what_is_to_come() -> None:
    assert plan(SegmentKeywords(model="rounds@2", min_area_px=3), "slide").start == pb.SegmentStreamRequest(
        start=pb.SlideStart(
            image_id="slide",
            geometry=pb.SlideGeometry(width=100, height=70, tile_width=32, tile_height=64),
            model=model_pb2.ModelRef(name="rounds", version="2"),
            options=pb.SegmentationOptions(min_area_px=3),
        )
    )


def test_tiles_are_pixels_or_files() -> None:
    asked = plan()
    raw = asked.tile((32, 0, np.zeros((64, 32), np.uint8))).tile
    assert (raw.x, raw.y, raw.image.raw.width, raw.image.raw.height) == (32, 0, 32, 64)
    assert asked.tile((0, 64, b"png")).tile == pb.SlideTile(y=64, image=image_pb2.Image(encoded=b"png"))


def test_a_tile_above_the_message_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 5904"):
        plan().tile((0, 0, np.zeros((100, 100), np.uint8)))


def test_waiting_is_longer_than_for_a_picture_unless_it_is_said() -> None:
    assert plan().call.timeout_s == LEAST_TIMEOUT_S
    assert plan(timeout_s=300.0).call.timeout_s == 300.0
    assert plan(SegmentKeywords(timeout_s=2.0)).call.timeout_s == 2.0


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="257 characters"):
        plan(image_id="x" * 257)
