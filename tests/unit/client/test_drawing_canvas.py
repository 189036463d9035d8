import numpy as np
import pytest

from retinue.client.drawing_canvas import canvas_for
from retinue.client.image_info import ImageInfo


def info(height: int, width: int) -> ImageInfo:
    return ImageInfo(width, height, 1, False, None)


def test_a_small_picture_is_enlarged_by_a_whole_number() -> None:
    canvas = canvas_for(np.full((300, 400), 7, np.uint8), info(300, 400))
    assert (canvas.scale, canvas.width, canvas.height) == (2, 800, 600)
    assert canvas.pixels.shape == canvas.picture.shape == (600, 800, 3)
    assert (canvas.picture == 7).all()


def test_a_narrow_picture_stands_in_the_middle_of_paper() -> None:
    canvas = canvas_for(np.full((3000, 16), 7, np.uint8), info(3000, 16))
    assert canvas.pixels.shape == (3000, 320, 3)
    assert (canvas.left, canvas.top) == (152, 0)
    assert (canvas.picture == 7).all()
    assert not (canvas.pixels[:, :152] == 7).any()


def test_text_grows_with_the_picture() -> None:
    assert canvas_for(np.zeros((3200, 3200), np.uint8), info(3200, 3200)).unit == 4.0
    assert canvas_for(np.zeros((10, 10), np.uint8), info(10, 10)).unit >= 1.0


def test_the_canvas_is_a_copy() -> None:
    picture = np.zeros((1000, 1000, 3), np.uint8)
    canvas_for(picture, info(1000, 1000)).picture[:] = 9
    assert not picture.any()


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="the picture is 4x3 pixels, the answer is for one of 3x4"):
        canvas_for(np.zeros((3, 4), np.uint8), info(4, 3))
