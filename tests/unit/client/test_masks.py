import cv2
import numpy as np
import pytest

from retinue.client.masks import EncodedMask, decode_png
from retinue.common.v1 import geometry_pb2
from retinue.ops import polygons_from_rle, rle_encode
from tests.unit.client.scripted_segmentation import coco, things

MASK = things() == 3
HEIGHT, WIDTH = MASK.shape


def png(pixels: object) -> bytes:
    return cv2.imencode(".png", np.asarray(pixels))[1].tobytes()


def polygons() -> geometry_pb2.Polygons:
    rings = polygons_from_rle(rle_encode(MASK), holes="bridge")
    return geometry_pb2.Polygons(polygons=[geometry_pb2.Polygon(vertices_xy=ring.ravel().tolist()) for ring in rings])


MESSAGES = {
    "rle": geometry_pb2.Mask(rle=coco(MASK)),
    "png": geometry_pb2.Mask(png=png(MASK * np.uint8(255))),
    "polygons": geometry_pb2.Mask(polygons=polygons()),
}


@pytest.mark.parametrize("form", MESSAGES)
def test_every_form_gives_the_same_pixels(form: str) -> None:
    pixels = EncodedMask(MESSAGES[form], HEIGHT, WIDTH).pixels()
    assert pixels.dtype == np.bool_
    np.testing.assert_array_equal(pixels, MASK)


@pytest.mark.parametrize("box", [(22, 15, 40, 30), (0, 0, 40, 30), (28, 20, 33, 24), (0, 0, 1, 1), (39, 29, 40, 30)])
@pytest.mark.parametrize("form", MESSAGES)
def test_a_window_is_a_part_of_it(form: str, box: tuple[int, int, int, int]) -> None:
    x_min, y_min, x_max, y_max = box
    window = EncodedMask(MESSAGES[form], HEIGHT, WIDTH).window(box)
    np.testing.assert_array_equal(window, MASK[y_min:y_max, x_min:x_max])


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 41, 5), (0, 0, 5, 31), (5, 0, 4, 5)])
def test_a_window_outside_is_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="does not lie in a mask of 40x30 pixels"):
        EncodedMask(MESSAGES["rle"], HEIGHT, WIDTH).window(box)


@pytest.mark.parametrize("form", ["rle", "png"])
def test_a_mask_of_another_size_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="the mask is 40x30 pixels, its frame 30x40"):
        EncodedMask(MESSAGES[form], WIDTH, HEIGHT).pixels()


@pytest.mark.parametrize("form", ["rle", "png"])
def test_a_window_of_a_mask_of_another_size_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="its frame 30x40"):
        EncodedMask(MESSAGES[form], WIDTH, HEIGHT).window((0, 0, 1, 1))


def test_runs_that_are_none_are_refused() -> None:
    broken = geometry_pb2.Mask(rle=geometry_pb2.CocoRle(height=30, width=40, counts=b"~~"))
    with pytest.raises(ValueError, match="counts"):
        EncodedMask(broken, 30, 40).pixels()


@pytest.mark.parametrize("data", [b"", b"x", png(np.zeros((2, 2, 3), np.uint8)), png(np.zeros((2, 2), np.uint16))])
def test_what_is_no_grey_png_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no 8-bit grey PNG"):
        decode_png(data)


def test_an_absent_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="the mask is 0x0"):
        EncodedMask(geometry_pb2.Mask(), 2, 2).pixels()
