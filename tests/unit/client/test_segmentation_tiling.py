from typing import Any

import pytest

from retinue.client.segmentation_tiling import SegmentationTiling, segmentation_tiling_message
from retinue.segmentation.v1 import segmentation_pb2 as pb


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"tile_size_px": 31}, "tile_size_px"),
        ({"tile_size_px": 2**31}, "tile_size_px"),
        ({"overlap_px": -1}, "overlap_px"),
        ({"overlap_px": 2**31}, "overlap_px"),
        ({"tile_size_px": 641, "overlap_px": 321}, "overlap_px"),
        ({"blend": "median"}, "blend"),
    ],
)
def test_what_is_out_of_range_is_named(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"tiling\.{name}"):
        SegmentationTiling(**fields)


def test_bounds_are_allowed() -> None:
    assert SegmentationTiling(32, overlap_px=16).overlap_px == 16
    assert segmentation_tiling_message(SegmentationTiling(overlap_px=0)).HasField("overlap_px"), "0 is an overlap"


def test_what_is_not_given_is_left_to_the_service() -> None:
    assert segmentation_tiling_message(SegmentationTiling()) == pb.SegmentationTiling()
