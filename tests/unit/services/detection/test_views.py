"""What a detector looks at: whole pictures, and tiles of one that is decoded once."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from retinue.ops import plan_tiles
from retinue.runtime.errors import InvalidImage
from retinue.runtime.picture import PictureLimits, open_picture
from retinue.runtime.view import WholePicture
from services.detection.views import SharedPicture, TileView
from tests.unit.services.detection.held_picture import HeldPicture
from tests.unit.services.detection.tiny_detectors import picture_of

PIXELS = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


def test_a_whole_picture_has_its_own_size_and_pixels() -> None:
    view = WholePicture(picture_of(PIXELS))
    assert view.size == (50, 70)
    assert_array_equal(view.pixels(), PIXELS)


def test_sizes_are_those_of_the_upright_picture(turned_png: bytes) -> None:
    picture = open_picture(turned_png, PictureLimits())
    for view in (WholePicture(picture), SharedPicture(picture)):
        assert view.size == (70, 50)
        assert view.pixels().shape == (70, 50, 3)


@pytest.fixture
def turned_png() -> bytes:
    """A picture of 50 rows and 70 columns whose EXIF says that it is to be turned."""
    png = cv2.imencode(".jpg", PIXELS)[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    return png[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + png[2:]


def test_tiles_are_parts_of_their_picture() -> None:
    shared = SharedPicture(picture_of(PIXELS))
    for tile in plan_tiles(50, 70, 32, 5):
        view = TileView(shared, tile)
        assert view.size == view.pixels().shape[:2] == (tile.valid_height, tile.valid_width)
        assert_array_equal(view.pixels(), PIXELS[tile.slices])
        assert view.pixels().flags.c_contiguous


def test_a_tile_larger_than_its_picture_is_the_picture() -> None:
    (tile,) = plan_tiles(50, 70, 512, 10)
    view = TileView(SharedPicture(picture_of(PIXELS)), tile)
    assert view.size == (50, 70)
    assert_array_equal(view.pixels(), PIXELS)


def test_a_shared_picture_is_decoded_once_however_many_look_at_it() -> None:
    picture = HeldPicture(PIXELS)
    shared = SharedPicture(picture)
    assert shared.size == (50, 70)
    assert picture.count == 0
    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(shared.pixels) for _ in range(8)]
        picture.gate.set()
        assert all(look.result() is PIXELS for look in looks)
    assert picture.count == 1


def test_a_picture_that_cannot_be_decoded_says_so_to_all() -> None:
    data = cv2.imencode(".png", np.zeros_like(PIXELS))[1].tobytes()
    shared = SharedPicture(open_picture(data[:45] + bytes(len(data) - 61) + data[-16:], PictureLimits()))
    for tile in plan_tiles(50, 70, 32, 0):
        with pytest.raises(InvalidImage, match=r"image\.encoded"):
            TileView(shared, tile).pixels()
