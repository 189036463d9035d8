import pytest

from retinue.client.slide_geometry import SlideGeometry, slide_geometry_message
from retinue.segmentation.v1 import segmentation_pb2 as pb


@pytest.mark.parametrize(
    ("sides", "name"),
    [
        ((0, 10, 32, 32), "width"),
        ((10, -1, 32, 32), "height"),
        ((10, 2**31, 32, 32), "height"),
        ((10, 10, 31, 32), "tile_width"),
        ((10, 10, 32, 31), "tile_height"),
    ],
)
def test_what_is_out_of_range_is_named(sides: tuple[int, int, int, int], name: str) -> None:
    with pytest.raises(ValueError, match=rf"geometry\.{name}"):
        SlideGeometry(*sides)


def test_tiles_that_are_cut_off_count() -> None:
    assert SlideGeometry(64, 32, 32, 32).tile_count == 2
    assert SlideGeometry(65, 33, 32, 32).tile_count == 6
    assert SlideGeometry(1, 1, 32, 32).tile_count == 1


def test_the_message_says_the_same() -> None:
    wanted = pb.SlideGeometry(width=100, height=70, tile_width=32, tile_height=64)
    assert slide_geometry_message(SlideGeometry(100, 70, 32, 64)) == wanted
