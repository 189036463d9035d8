"""Views know their size before anything is decoded."""

import io

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from retinue.runtime.errors import InvalidImage
from retinue.runtime.picture import PictureLimits, open_picture, raw_picture
from retinue.runtime.view import Cut, WholePicture

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)


def test_a_whole_picture_is_decoded_by_who_looks() -> None:
    view = WholePicture(raw_picture(PIXELS.tobytes(), 4, 6, "rgb", PictureLimits()))
    assert view.size == (4, 6)
    assert_array_equal(view.pixels(), PIXELS)


def test_the_size_of_a_turned_picture_is_that_of_its_upright_pixels() -> None:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(file, "PNG", exif=exif)
    view = WholePicture(open_picture(file.getvalue(), PictureLimits()))
    assert view.size == (6, 4)
    assert_array_equal(view.pixels(), np.rot90(PIXELS, -1))


def test_the_size_of_a_damaged_picture_is_known_though_its_pixels_are_not() -> None:
    data = cv2.imencode(".png", PIXELS)[1].tobytes()
    view = WholePicture(open_picture(data[:45] + bytes(len(data) - 61) + data[-16:], PictureLimits()))
    assert view.size == (4, 6)
    with pytest.raises(InvalidImage):
        view.pixels()


def test_a_cut_is_the_pixels_that_are_there() -> None:
    view = Cut(PIXELS)
    assert view.size == (4, 6)
    assert view.pixels() is PIXELS
