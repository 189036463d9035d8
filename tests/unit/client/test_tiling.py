from typing import Any

import pytest

from retinue.client.tiling import Tiling, tiling_message
from retinue.detection.v1 import detection_pb2 as pb


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"tile_size_px": 31}, "tile_size_px"),
        ({"tile_size_px": -640}, "tile_size_px"),
        ({"tile_size_px": 2**31}, "tile_size_px"),
        ({"tile_size_px": 640, "overlap_px": -1}, "overlap_px"),
        ({"tile_size_px": 641, "overlap_px": 321}, "overlap_px"),
        ({"tile_size_px": 640, "merge_metric": "giou"}, "merge_metric"),
        ({"tile_size_px": 640, "merge_threshold": 1.5}, "merge_threshold"),
        ({"tile_size_px": 640, "merge_threshold": float("nan")}, "merge_threshold"),
    ],
)
def test_what_is_out_of_range_is_named(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"tiling\.{name}"):
        Tiling(**fields)


def test_bounds_are_allowed() -> None:
    assert Tiling(32, overlap_px=16, merge_threshold=1.0).overlap_px == 16
    assert tiling_message(Tiling(32, overlap_px=0)).HasField("overlap_px"), "0 is an overlap and not its absence"


def test_what_is_not_given_is_left_to_the_service() -> None:
    assert tiling_message(Tiling(640)) == pb.DetectionTiling(tile_size_px=640)
