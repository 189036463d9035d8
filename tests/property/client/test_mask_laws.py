"""What masks and class maps are, however they travelled."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retinue.client.class_regions import decode_class_map, read_class_regions
from retinue.client.masks import EncodedMask
from retinue.common.v1 import geometry_pb2
from retinue.ops import polygons_from_rle, rle_encode
from tests.unit.client.scripted_segmentation import coco, regions


@st.composite
def class_maps(draw: st.DrawFn, most: int = 1) -> NDArray[np.uint8]:
    """Return a picture of up to 12 x 12 pixels, each of a class up to the most."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    values = draw(st.lists(st.integers(0, most), min_size=height * width, max_size=height * width))
    return np.array(values, np.uint8).reshape(height, width)


def messages(mask: NDArray[np.bool_]) -> list[geometry_pb2.Mask]:
    rings = polygons_from_rle(rle_encode(mask), holes="bridge")
    polygons = [geometry_pb2.Polygon(vertices_xy=ring.ravel().tolist()) for ring in rings]
    return [
        geometry_pb2.Mask(rle=coco(mask)),
        geometry_pb2.Mask(png=cv2.imencode(".png", mask * np.uint8(255))[1].tobytes()),
        geometry_pb2.Mask(polygons=geometry_pb2.Polygons(polygons=polygons)),
    ]


@given(class_maps(), st.data())
@settings(deadline=None)  # the first one loads the operations
def test_every_window_of_every_form_is_that_part_of_the_mask(pixels: NDArray[np.uint8], data: st.DataObject) -> None:
    mask = pixels > 0
    height, width = mask.shape
    x_min, y_min = data.draw(st.integers(0, width)), data.draw(st.integers(0, height))
    x_max, y_max = data.draw(st.integers(x_min, width)), data.draw(st.integers(y_min, height))
    for message in messages(mask):
        encoded = EncodedMask(message, height, width)
        np.testing.assert_array_equal(encoded.pixels(), mask)
        np.testing.assert_array_equal(encoded.window((x_min, y_min, x_max, y_max)), mask[y_min:y_max, x_min:x_max])


@given(class_maps(most=4))
@settings(deadline=None)
def test_a_class_map_is_the_same_by_masks_and_by_png(classes: NDArray[np.uint8]) -> None:
    height, width = classes.shape
    read = read_class_regions(regions(classes, "abcde"), height, width)
    png = cv2.imencode(".png", classes)[1].tobytes()
    np.testing.assert_array_equal(decode_class_map(read, b"", height, width), classes)
    np.testing.assert_array_equal(decode_class_map(read, png, height, width), classes)


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(0, 20), st.integers(0, 20))
def test_no_bytes_are_more_than_a_mask_or_a_refusal(data: bytes, height: int, width: int) -> None:
    for message in (
        geometry_pb2.Mask(png=data),
        geometry_pb2.Mask(rle=geometry_pb2.CocoRle(height=height, width=width, counts=data)),
    ):
        try:
            pixels = EncodedMask(message, height, width).pixels()
        except ValueError:
            continue
        assert pixels.shape == (height, width)
