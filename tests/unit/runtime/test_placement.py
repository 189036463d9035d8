"""Where a picture lies on a detector's input, and what is written there: each policy is that of its trainer."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from retinue.runtime.detection_manifest import LetterboxInput, ShorterSideInput
from retinue.runtime.placement import Placement, place_into, placement_of

SIZES = [(480, 640), (640, 480), (500, 500), (1, 1), (1, 50), (50, 1), (375, 1242), (2160, 3840), (333, 500), (17, 31)]


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height * 7919 + width).integers(0, 256, (height, width, 3), np.uint8)


def placed(pixels: NDArray[np.uint8], policy: ShorterSideInput | LetterboxInput) -> Any:
    """Return the row of a batch that a picture was written to; the rows beside it must stay as they were."""
    place = placement_of(pixels.shape[0], pixels.shape[1], policy)
    is_planar = isinstance(policy, LetterboxInput) and policy.layout == "nchw"
    shape = (3, *place.canvas) if is_planar else (*place.canvas, 3)
    batch = np.full((3, *shape), 201, policy.pixels)
    before = pixels.copy()
    place_into(pixels, policy, place, batch[1])
    np.testing.assert_array_equal(pixels, before)
    assert (batch[::2] == 201).all()
    return batch[1]


# --- sizes, torchvision's


@pytest.mark.parametrize(
    ("full", "scaled", "canvas"),
    [
        ((480, 640), (800, 1066), (800, 1088)),
        ((640, 480), (1066, 800), (1088, 800)),
        ((800, 1333), (800, 1333), (800, 1344)),
        ((375, 1242), (402, 1333), (416, 1344)),  # the longer side has the say
        ((600, 600), (800, 800), (800, 800)),
        ((1, 1), (800, 800), (800, 800)),
        ((1, 65535), (1, 1333), (32, 1344)),
        ((65535, 1), (1333, 1), (1344, 32)),
    ],
)
def test_shorter_side_is_scaled_and_both_are_rounded_down(
    full: tuple[int, int], scaled: tuple[int, int], canvas: tuple[int, int]
) -> None:
    assert placement_of(*full, ShorterSideInput()) == Placement(full, scaled, canvas)


@pytest.mark.parametrize("size", SIZES)
def test_floored_sizes_are_those_torch_gives_for_the_scale(size: tuple[int, int]) -> None:
    """`interpolate` reckons them itself from the scale that `GeneralizedRCNNTransform` hands it."""
    policy = ShorterSideInput(short_side=80, long_side=133)
    scale = min(80 / min(size), 133 / max(size))
    blank = torch.zeros(1, 1, *size)
    made = torch.nn.functional.interpolate(blank, scale_factor=scale, mode="bilinear", recompute_scale_factor=True)

    assert placement_of(*size, policy).scaled == tuple(made.shape[2:])


# --- sizes, DETR's


def published_detr_size(height: int, width: int, side: int, most: int) -> tuple[int, int]:
    """`get_size_with_aspect_ratio` of DETR's transforms, written down from what it says."""
    low, high = float(min(width, height)), float(max(width, height))
    if high / low * side > most:
        side = round(most * low / high)
    if side == min(width, height):
        return height, width
    return (int(side * height / width), side) if width < height else (side, int(side * width / height))


@pytest.mark.parametrize("size", [*SIZES, (801, 1333), (800, 1334), (427, 640), (612, 612), (1333, 800), (100, 2665)])
@pytest.mark.parametrize("sides", [(800, 1333), (80, 133), (64, 64), (480, 8192)])
def test_detr_rounds_as_published(size: tuple[int, int], sides: tuple[int, int]) -> None:
    policy = ShorterSideInput(rounding="detr", short_side=sides[0], long_side=sides[1])
    expected = published_detr_size(*size, *sides)

    assert min(expected) > 0
    assert placement_of(*size, policy).scaled == expected


def test_detr_and_torchvision_differ_where_the_longer_side_has_the_say() -> None:
    floor, detr = ShorterSideInput(), ShorterSideInput(rounding="detr")

    assert placement_of(375, 1242, floor).scaled == (402, 1333)
    assert placement_of(375, 1242, detr).scaled == (402, 1331)


@pytest.mark.parametrize(("full", "scaled"), [((1, 65535), (1, 1333)), ((65535, 1), (1333, 1)), ((1, 2667), (1, 1333))])
def test_a_line_of_pixels_on_which_detr_fails_is_a_line(full: tuple[int, int], scaled: tuple[int, int]) -> None:
    place = placement_of(*full, ShorterSideInput(rounding="detr"))

    assert place.scaled == scaled
    assert max(place.canvas) == 1344


@pytest.mark.parametrize("divisor", [1, 7, 32, 512])
@pytest.mark.parametrize("rounding", ["floor", "detr"])
def test_canvas_is_the_next_multiple_of_the_divisor(divisor: int, rounding: Any) -> None:
    for size in SIZES:
        place = placement_of(*size, ShorterSideInput(size_divisor=divisor, rounding=rounding))
        assert place.canvas == tuple(math.ceil(side / divisor) * divisor for side in place.scaled)
        assert (place.top, place.left) == (0, 0)


# --- sizes, the letterbox


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("canvas", [(640, 640), (64, 96), (33, 40), (640, 384)])
def test_centred_letterbox_is_placed_as_published(size: tuple[int, int], canvas: tuple[int, int]) -> None:
    """Ultralytics halves what is left and rounds it 0.1 down for one edge and 0.1 up for the other."""
    place = placement_of(*size, LetterboxInput(height=canvas[0], width=canvas[1]))
    ratio = min(canvas[0] / size[0], canvas[1] / size[1])
    expected = tuple(max(1, round(side * ratio)) for side in size)
    half_y, half_x = (canvas[0] - expected[0]) / 2, (canvas[1] - expected[1]) / 2

    assert (place.full, place.scaled, place.canvas) == (size, expected, canvas)
    assert (place.top, place.left) == (round(half_y - 0.1), round(half_x - 0.1))
    bottom, right = canvas[0] - place.top - place.scaled[0], canvas[1] - place.left - place.scaled[1]
    assert (bottom, right) == (round(half_y + 0.1), round(half_x + 0.1))


@pytest.mark.parametrize("size", SIZES)
def test_cornered_letterbox_is_placed_as_published(size: tuple[int, int]) -> None:
    """YOLOX rounds down and fills at the right and below."""
    place = placement_of(*size, LetterboxInput(height=416, width=640, align="corner"))
    ratio = min(416 / size[0], 640 / size[1])

    assert place.scaled == tuple(max(1, int(side * ratio)) for side in size)
    assert (place.top, place.left, place.canvas) == (0, 0, (416, 640))


# --- pixels, shorter side


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (80, 133), (7, 5), (1, 1), (300, 211)])
def test_floats_are_scaled_as_torch_scales_them(size: tuple[int, int]) -> None:
    policy = ShorterSideInput(short_side=80, long_side=133)
    pixels = picture(*size)
    row = placed(pixels, policy)
    height, width = placement_of(*size, policy).scaled
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float().contiguous()
    expected = torch.nn.functional.interpolate(planes, size=(height, width), mode="bilinear", align_corners=False)

    np.testing.assert_allclose(row[:height, :width], expected[0].permute(1, 2, 0), rtol=0, atol=5e-5)
    assert (row[height:] == 201).all()
    assert (row[:, width:] == 201).all()


@pytest.mark.parametrize("size", [(48, 64), (80, 100), (7, 5), (1, 1), (300, 211)])
@pytest.mark.parametrize("is_antialiased", [True, False])
def test_bytes_are_scaled_as_pillow_or_opencv_scales_them(size: tuple[int, int], is_antialiased: bool) -> None:  # noqa: FBT001
    policy = ShorterSideInput(short_side=80, long_side=133, pixels="uint8", antialias=is_antialiased, rounding="detr")
    pixels = picture(*size)
    row = placed(pixels, policy)
    height, width = placement_of(*size, policy).scaled
    if is_antialiased:
        expected = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
    else:
        expected = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))

    np.testing.assert_array_equal(row[:height, :width], expected)
    assert row.dtype == np.uint8
    assert (row[height:] == 201).all()
    assert (row[:, width:] == 201).all()


@pytest.mark.parametrize("pixels", ["float32", "uint8"])
def test_a_picture_of_the_right_size_is_copied(pixels: Any) -> None:
    policy = ShorterSideInput(short_side=20, long_side=30, pixels=pixels)
    made = picture(20, 27)

    np.testing.assert_array_equal(placed(made, policy)[:20, :27], made)


# --- pixels, letterbox


def published_letterbox(pixels: NDArray[np.uint8], policy: LetterboxInput) -> NDArray[np.uint8]:
    """The letterbox as a picture of bytes, RGB: scaled by OpenCV, with a border of one grey."""
    place = placement_of(pixels.shape[0], pixels.shape[1], policy)
    scaled = pixels
    if place.scaled != place.full:
        scaled = np.asarray(cv2.resize(pixels, place.scaled[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    bottom = policy.height - place.top - place.scaled[0]
    right = policy.width - place.left - place.scaled[1]
    border = (place.top, bottom, place.left, right)
    grey = (policy.pad_value,) * 3
    return np.asarray(cv2.copyMakeBorder(scaled, *border, cv2.BORDER_CONSTANT, value=grey), np.uint8)


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (33, 40), (7, 5), (1, 1), (300, 211), (1, 400)])
@pytest.mark.parametrize("align", ["centre", "corner"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_letterbox_is_scaled_filled_and_ordered(
    size: tuple[int, int], align: Any, layout: Any, channels: Any, kind: Any
) -> None:
    policy = LetterboxInput(
        height=33, width=40, align=align, layout=layout, channels=channels, pixels=kind, pad_value=7, divisor=128
    )
    pixels = picture(*size)
    expected: NDArray[Any] = published_letterbox(pixels, policy)
    if channels == "bgr":
        expected = expected[..., ::-1]
    if layout == "nchw":
        expected = expected.transpose(2, 0, 1)
    if kind == "float32":
        expected = expected.astype(np.float32) / np.float32(128)

    np.testing.assert_array_equal(placed(pixels, policy), expected)


@pytest.mark.parametrize("divisor", [1, 255, 58.395])
def test_every_byte_is_divided_with_one_rounding(divisor: float) -> None:
    grey = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    row = placed(grey, LetterboxInput(height=16, width=16, layout="nhwc", divisor=divisor))

    np.testing.assert_array_equal(row, grey.astype(np.float32) / np.float32(divisor))


def test_bytes_are_not_divided() -> None:
    grey = np.full((4, 4, 3), 200, np.uint8)

    assert (placed(grey, LetterboxInput(height=4, width=4, pixels="uint8", divisor=2)) == 200).all()


@pytest.mark.parametrize(
    "policy",
    [
        ShorterSideInput(short_side=40, long_side=60),
        ShorterSideInput(short_side=40, long_side=60, pixels="uint8"),
        ShorterSideInput(short_side=40, long_side=60, pixels="uint8", antialias=True),
        LetterboxInput(height=33, width=40),
        LetterboxInput(height=33, width=40, channels="bgr", pixels="uint8"),
    ],
)
def test_the_layout_of_the_picture_in_memory_does_not_matter(policy: Any) -> None:
    made = picture(30, 50)
    read_only = made.copy()
    read_only.setflags(write=False)

    for view in (
        made[::-1],
        made[:, ::2],
        made[..., ::-1],
        made.transpose(1, 0, 2),
        np.asfortranarray(made),
        read_only,
    ):
        np.testing.assert_array_equal(placed(view, policy), placed(np.array(view, order="C"), policy))


@pytest.mark.parametrize("size", [(1, 65535), (65535, 1)])
@pytest.mark.parametrize(
    "policy",
    [
        ShorterSideInput(),
        ShorterSideInput(pixels="uint8"),
        ShorterSideInput(pixels="uint8", antialias=True, rounding="detr"),
        LetterboxInput(height=64, width=64, pad_value=50),
    ],
)
def test_a_thread_of_pixels_is_written_like_any_other(size: tuple[int, int], policy: Any) -> None:
    place = placement_of(*size, policy)
    row = placed(np.full((*size, 3), 50, np.uint8), policy)
    if isinstance(policy, LetterboxInput):
        np.testing.assert_array_equal(row, np.full((3, 64, 64), np.float32(50) / np.float32(255)))
    else:
        np.testing.assert_allclose(row[: place.scaled[0], : place.scaled[1]], 50, rtol=0, atol=1e-5)


# --- boxes


def test_boxes_come_back_to_the_frame_of_the_picture() -> None:
    place = Placement(full=(100, 200), scaled=(50, 100), canvas=(64, 128), top=7, left=14)
    boxes = np.array([[14, 7, 114, 57], [24, 17, 34, 37]], np.float32)

    assert place.back(boxes).tolist() == [[0, 0, 200, 100], [20, 20, 40, 60]]


def test_each_side_has_its_own_scale() -> None:
    """Rounding makes them differ; the whole of the scaled picture is the whole of the picture."""
    place = placement_of(17, 31, ShorterSideInput(short_side=8, long_side=9))
    height, width = place.scaled

    assert place.back(np.array([[0, 0, width, height]], np.float32)).tolist() == [[0, 0, 31, 17]]


def test_boxes_are_cut_at_the_edges_of_the_picture() -> None:
    place = placement_of(50, 100, LetterboxInput(height=64, width=64))
    boxes = np.array([[-500, -500, 500, 500], [0, 0, 64, 10], [-9, 20, -3, 30]], np.float32)

    assert place.back(boxes).tolist() == [[0, 0, 100, 50], [0, 0, 100, 0], [0, 6.25, 0, 21.875]]


def test_no_boxes_come_back_as_none() -> None:
    for policy in (ShorterSideInput(), LetterboxInput(height=64, width=64)):
        back = placement_of(50, 100, policy).back(np.empty((0, 4), np.float32))
        assert back.shape == (0, 4)
        assert back.dtype == np.float32


def test_boxes_are_not_changed() -> None:
    boxes = np.array([[1, 2, 3, 4]], np.float32)
    placement_of(50, 100, LetterboxInput(height=64, width=64)).back(boxes)

    assert boxes.tolist() == [[1, 2, 3, 4]]
