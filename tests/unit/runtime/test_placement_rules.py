"""Where pictures lie on a detector's input, how they get there, and how boxes come back."""

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from PIL import Image

from retinue.ops import resize_bilinear
from retinue.runtime.detection_manifest import LetterboxInput, ShorterSideInput
from retinue.runtime.placement import Placement, place_into, placement_of

TORCHVISION = ShorterSideInput()
DETR = ShorterSideInput(rounding="detr", size_divisor=1)
MOBILE = ShorterSideInput(short_side=320, long_side=640)
SQUARE = LetterboxInput(height=640, width=640)
CORNER = LetterboxInput(height=640, width=640, align="corner")
SIZES = [(1, 1), (1, 2000), (2000, 1), (1, 65535), (65535, 1), (3, 5), (63, 65), (480, 640), (1333, 800), (7001, 7143)]


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height * 7 + width).integers(0, 256, (height, width, 3), np.uint8)


def placed(pixels: NDArray[np.uint8], policy: Any, row: NDArray[Any]) -> Placement:
    place = placement_of(pixels.shape[0], pixels.shape[1], policy)
    place_into(pixels, policy, place, row)
    return place


# --- sizes


@pytest.mark.parametrize(
    ("height", "width", "policy", "scaled", "canvas"),
    [
        (480, 640, TORCHVISION, (800, 1066), (800, 1088)),
        (640, 480, TORCHVISION, (1066, 800), (1088, 800)),
        (320, 427, TORCHVISION, (800, 1067), (800, 1088)),
        (500, 1000, TORCHVISION, (666, 1333), (672, 1344)),  # 666.5
        (800, 1333, TORCHVISION, (800, 1333), (800, 1344)),
        (4000, 4000, TORCHVISION, (800, 800), (800, 800)),
        (1, 1, TORCHVISION, (800, 800), (800, 800)),
        (1, 2000, TORCHVISION, (1, 1333), (32, 1344)),  # torchvision makes no row of it, and fails
        (65535, 1, TORCHVISION, (1333, 1), (1344, 32)),
        (240, 320, MOBILE, (320, 426), (320, 448)),
        # As DETR's own transform answers.
        (480, 640, DETR, (800, 1066), (800, 1066)),
        (427, 640, DETR, (800, 1199), (800, 1199)),
        (500, 1000, DETR, (666, 1332), (666, 1332)),  # the shorter side first, rounded half to even, the longer by it
        (800, 1333, DETR, (800, 1333), (800, 1333)),
        (1, 1, DETR, (800, 800), (800, 800)),
        (1, 65535, DETR, (1, 1333), (1, 1333)),
        (3, 5000, DETR, (1, 1666), (1, 1666)),  # beyond the longer side, as there
    ],
)
def test_a_shorter_side_decides_the_size_of_the_input(
    height: int, width: int, policy: ShorterSideInput, scaled: tuple[int, int], canvas: tuple[int, int]
) -> None:
    assert placement_of(height, width, policy) == Placement((height, width), scaled, canvas)


@pytest.mark.parametrize(
    ("height", "width", "policy", "scaled", "top", "left"),
    [
        (640, 640, SQUARE, (640, 640), 0, 0),
        (480, 640, SQUARE, (480, 640), 80, 0),
        (1080, 810, SQUARE, (640, 480), 0, 80),
        (481, 640, SQUARE, (481, 640), 79, 0),  # one row more at the bottom
        (333, 500, SQUARE, (426, 640), 107, 0),
        (1, 1, SQUARE, (640, 640), 0, 0),
        (1, 2000, SQUARE, (1, 640), 319, 0),
        (65535, 1, SQUARE, (640, 1), 0, 319),
        (480, 640, CORNER, (480, 640), 0, 0),
        (333, 500, CORNER, (426, 640), 0, 0),
        (1000, 1501, CORNER, (426, 640), 0, 0),  # 426.4
        (1, 2000, CORNER, (1, 640), 0, 0),
    ],
)
def test_a_letterbox_keeps_the_aspect(
    height: int, width: int, policy: LetterboxInput, scaled: tuple[int, int], top: int, left: int
) -> None:
    assert placement_of(height, width, policy) == Placement((height, width), scaled, (640, 640), top, left)


@pytest.mark.parametrize("policy", [TORCHVISION, DETR, MOBILE, SQUARE, CORNER])
@pytest.mark.parametrize("size", SIZES)
def test_every_picture_lies_within_its_input(policy: Any, size: tuple[int, int]) -> None:
    place = placement_of(*size, policy)
    assert min(place.scaled) >= 1
    assert place.top + place.scaled[0] <= place.canvas[0]
    assert place.left + place.scaled[1] <= place.canvas[1]
    if isinstance(policy, ShorterSideInput):
        assert {side % policy.size_divisor for side in place.canvas} == {0}


# --- pixels


@pytest.mark.parametrize("size", [(40, 60), (63, 91), (7, 9), (1, 30), (64, 64)])
def test_a_shorter_side_in_floats_is_scaled_without_rounding(size: tuple[int, int]) -> None:
    policy = ShorterSideInput(short_side=64, long_side=128)
    place = placement_of(*size, policy)
    row = np.full((*place.canvas, 3), 7, np.float32)
    place_into(noise(*size), policy, place, row)
    height, width = place.scaled
    assert_array_equal(row[:height, :width], resize_bilinear(noise(*size), height, width))
    assert (row[height:] == 7).all()  # left as it is
    assert (row[:, width:] == 7).all()


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(40, 60), (200, 300), (1, 30), (64, 96)])
def test_a_shorter_side_in_bytes_is_scaled_as_its_library_does(size: tuple[int, int], antialias: bool) -> None:  # noqa: FBT001
    policy = ShorterSideInput(short_side=64, long_side=128, pixels="uint8", antialias=antialias)
    place = placement_of(*size, policy)
    row = np.zeros((*place.canvas, 3), np.uint8)
    place_into(noise(*size), policy, place, row)
    height, width = place.scaled
    if antialias:
        expected = np.asarray(Image.fromarray(noise(*size)).resize((width, height), Image.Resampling.BILINEAR))
    else:
        expected = cv2.resize(noise(*size), (width, height), interpolation=cv2.INTER_LINEAR)
    assert_array_equal(row[:height, :width], expected.reshape(height, width, 3))


KINDS: list[dict[str, Any]] = [
    {"align": align, "pixels": pixels, "channels": channels, "layout": layout}
    for align in ("centre", "corner")
    for pixels in ("float32", "uint8")
    for channels in ("rgb", "bgr")
    for layout in ("nchw", "nhwc")
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
@pytest.mark.parametrize("size", [(40, 60), (64, 64), (65, 31), (1, 200)])
def test_a_letterbox_is_filled_around_the_picture(size: tuple[int, int], kind: dict[str, Any]) -> None:
    policy = LetterboxInput(height=64, width=64, pad_value=51, **kind)
    place = placement_of(*size, policy)
    row = np.full((3, 64, 64) if policy.layout == "nchw" else (64, 64, 3), 7, policy.pixels)
    place_into(noise(*size), policy, place, row)
    height, width = place.scaled
    expected = np.full((64, 64, 3), 51, np.uint8)
    scaled = cv2.resize(noise(*size), (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 3)
    expected[place.top : place.top + height, place.left : place.left + width] = scaled
    expected = expected[..., ::-1] if policy.channels == "bgr" else expected
    got = row.transpose(1, 2, 0) if policy.layout == "nchw" else row
    if policy.pixels == "uint8":
        assert_array_equal(got, expected)
    else:
        assert_array_equal(got, expected.astype(np.float32) / np.float32(255))


def test_floats_are_divided_by_what_the_manifest_says() -> None:
    policy = LetterboxInput(height=4, width=8, divisor=1.0)
    row = np.empty((3, 4, 8), np.float32)
    placed(np.full((4, 4, 3), 200, np.uint8), policy, row)
    assert row[0, 0].tolist() == [114, 114, 200, 200, 200, 200, 114, 114]


@pytest.mark.parametrize("policy", [ShorterSideInput(short_side=8, long_side=8), LetterboxInput(height=8, width=8)])
def test_pictures_that_may_not_be_written_are_read(policy: Any) -> None:
    """Raw pixels are a view of the request's bytes."""
    pixels = noise(11, 13)
    pixels.flags.writeable = False
    row = np.zeros((8, 32, 3) if isinstance(policy, ShorterSideInput) else (3, 8, 8), np.float32)
    placed(pixels, policy, row)
    assert row.any()


# --- boxes


@pytest.mark.parametrize("policy", [TORCHVISION, DETR, SQUARE, CORNER])
@pytest.mark.parametrize("size", SIZES)
def test_the_whole_picture_comes_back_as_the_whole_picture(policy: Any, size: tuple[int, int]) -> None:
    place = placement_of(*size, policy)
    top, left, (height, width) = place.top, place.left, place.scaled
    whole = np.array([[left, top, left + width, top + height]], np.float32)
    assert_allclose(place.back(whole), [[0, 0, size[1], size[0]]], rtol=1e-6)
    middle = np.array([[left + width / 4, top + height / 4, left + width / 2, top + height / 2]], np.float32)
    expected = [[size[1] / 4, size[0] / 4, size[1] / 2, size[0] / 2]]
    assert_allclose(place.back(middle), expected, rtol=1e-4)


@pytest.mark.parametrize("policy", [TORCHVISION, SQUARE])
def test_boxes_are_cut_at_the_edges_of_the_picture(policy: Any) -> None:
    place = placement_of(100, 200, policy)
    boxes = np.array([[-50, -50, 5000, 5000], [-9, -9, -5, -5], [4000, 4000, 5000, 5000]], np.float32)
    back = place.back(boxes)
    assert back.dtype == np.float32
    assert back.tolist() == [[0, 0, 200, 100], [0, 0, 0, 0], [200, 100, 200, 100]]


def test_no_boxes_come_back_as_none() -> None:
    assert placement_of(5, 5, SQUARE).back(np.empty((0, 4), np.float32)).shape == (0, 4)
