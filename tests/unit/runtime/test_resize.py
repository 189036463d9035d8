"""Resizing: each policy equals the library that models are trained with."""

import tracemalloc

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from retinue.runtime.classification_manifest import InputPolicy
from retinue.runtime.resize import fit_into

PICTURE = np.random.default_rng(0).integers(0, 256, (75, 100, 3), np.uint8)
# height, width: smaller and larger than the input, lying and standing, square, extreme
SIZES = [(72, 100), (100, 75), (33, 21), (64, 64), (30, 40), (300, 211), (1, 1), (1, 50), (50, 1), (2, 5000), (5000, 2)]
KERNELS = [
    ("bilinear", True),
    ("bicubic", True),
    ("bilinear", False),
    ("bicubic", False),
    ("area", False),
    ("area", True),
]


def _picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height * 7919 + width).integers(0, 256, (height, width, 3), np.uint8)


def _fitted(pixels: NDArray[np.uint8], policy: InputPolicy) -> NDArray[np.uint8]:
    """Return the row of a batch that the picture was written to; the rows beside it must stay as they were."""
    batch = np.full((3, policy.height, policy.width, 3), 201, np.uint8)
    fit_into(pixels, policy, batch[1])
    assert (batch[::2] == 201).all()
    row: NDArray[np.uint8] = batch[1]
    return row


def _reference(pixels: NDArray[np.uint8], height: int, width: int, kernel: str, antialias: bool) -> NDArray[np.uint8]:  # noqa: FBT001 - a matrix
    if pixels.shape[:2] == (height, width):
        return pixels
    if antialias and kernel != "area":
        method = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[kernel]
        return np.asarray(Image.fromarray(pixels).resize((width, height), method))
    flag = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}[kernel]
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=flag), np.uint8)


@pytest.mark.parametrize(("kernel", "antialias"), KERNELS)
@pytest.mark.parametrize("size", SIZES)
class TestAgainstTheLibraries:
    def test_stretch_scales_both_sides(self, size: tuple[int, int], kernel: str, antialias: bool) -> None:  # noqa: FBT001
        pixels = _picture(*size)
        policy = InputPolicy(height=30, width=40, fit="stretch", kernel=kernel, antialias=antialias)

        np.testing.assert_array_equal(_fitted(pixels, policy), _reference(pixels, 30, 40, kernel, antialias))

    def test_crop_is_resize_then_centre_crop(self, size: tuple[int, int], kernel: str, antialias: bool) -> None:  # noqa: FBT001
        height, width = size
        pixels = _picture(height, width)
        policy = InputPolicy(height=19, width=24, fit="crop", short_side=30, kernel=kernel, antialias=antialias)
        # torchvision.transforms: Resize(30), then CenterCrop((19, 24))
        if height <= width:
            scaled = _reference(pixels, 30, int(30 * width / height), kernel, antialias)
        else:
            scaled = _reference(pixels, int(30 * height / width), 30, kernel, antialias)
        top, left = int(round((scaled.shape[0] - 19) / 2.0)), int(round((scaled.shape[1] - 24) / 2.0))  # noqa: RUF046 - as it is written there

        np.testing.assert_array_equal(_fitted(pixels, policy), scaled[top : top + 19, left : left + 24])

    def test_letterbox_fits_inside_and_pads(self, size: tuple[int, int], kernel: str, antialias: bool) -> None:  # noqa: FBT001
        height, width = size
        pixels = _picture(height, width)
        policy = InputPolicy(height=33, width=40, fit="letterbox", pad_value=7, kernel=kernel, antialias=antialias)
        # ultralytics.data.augment.LetterBox((33, 40)), except that no side becomes 0
        ratio = min(33 / height, 40 / width)
        new_height, new_width = max(1, round(height * ratio)), max(1, round(width * ratio))
        top, left = round((33 - new_height) / 2 - 0.1), round((40 - new_width) / 2 - 0.1)
        expected = np.full((33, 40, 3), 7, np.uint8)
        inside = _reference(pixels, new_height, new_width, kernel, antialias)
        expected[top : top + new_height, left : left + new_width] = inside

        np.testing.assert_array_equal(_fitted(pixels, policy), expected)


@pytest.mark.parametrize(("kernel", "antialias"), KERNELS)
@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_a_picture_of_the_right_size_is_copied(fit: str, kernel: str, antialias: bool) -> None:  # noqa: FBT001 - a matrix
    short_side = 75 if fit == "crop" else None
    size = {"height": 75, "width": 75 if fit == "crop" else 100}
    policy = InputPolicy(fit=fit, short_side=short_side, kernel=kernel, antialias=antialias, **size)

    expected = PICTURE[:, 12:87] if fit == "crop" else PICTURE  # (100 - 75) / 2 = 12.5, to the even neighbour
    np.testing.assert_array_equal(_fitted(PICTURE, policy), expected)


@pytest.mark.parametrize(("kernel", "antialias"), KERNELS)
@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_one_pixel_fills_the_whole_input(fit: str, kernel: str, antialias: bool) -> None:  # noqa: FBT001 - a matrix
    short_side = 9 if fit == "crop" else None
    policy = InputPolicy(height=8, width=8, fit=fit, short_side=short_side, kernel=kernel, antialias=antialias)

    assert (_fitted(np.full((1, 1, 3), 33, np.uint8), policy) == 33).all()


@pytest.mark.parametrize(("kernel", "antialias"), KERNELS)
@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_the_layout_of_the_picture_in_memory_does_not_matter(fit: str, kernel: str, antialias: bool) -> None:  # noqa: FBT001
    short_side = 50 if fit == "crop" else None
    policy = InputPolicy(height=40, width=48, fit=fit, short_side=short_side, kernel=kernel, antialias=antialias)
    read_only = PICTURE.copy()
    read_only.setflags(write=False)

    for view in (PICTURE[::-1], PICTURE[:, ::2], PICTURE[..., ::-1], PICTURE.transpose(1, 0, 2), read_only):
        np.testing.assert_array_equal(_fitted(view, policy), _fitted(np.ascontiguousarray(view), policy))


def test_an_odd_border_is_one_wider_below_and_at_the_right() -> None:
    policy = InputPolicy(height=7, width=4, fit="letterbox", pad_value=0)
    row = _fitted(np.full((4, 4, 3), 9, np.uint8), policy)

    assert row[:, 0, 0].tolist() == [0, 9, 9, 9, 9, 0, 0]


@pytest.mark.parametrize(("kernel", "antialias"), KERNELS)
@pytest.mark.parametrize("size", [(1, 65535), (65535, 1)])
def test_crop_of_a_thread_stays_small_in_memory(size: tuple[int, int], kernel: str, antialias: bool) -> None:  # noqa: FBT001
    """Scaled as a whole, it would have 256 x 16 million pixels."""
    pixels = np.full((*size, 3), 50, np.uint8)
    pixels[size[0] // 2, size[1] // 2] = 250
    policy = InputPolicy(height=224, width=224, fit="crop", short_side=256, kernel=kernel, antialias=antialias)
    tracemalloc.start()
    row = _fitted(pixels, policy)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < 200 * 2**20
    assert (row[112, 112] > 200).all(), "the centre is no longer in the centre"


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "area"])
def test_without_antialiasing_opencv_writes_into_the_row_itself(kernel: str) -> None:
    policy = InputPolicy(height=200, width=300, fit="stretch", kernel=kernel, antialias=False)
    row = np.empty((200, 300, 3), np.uint8)
    fit_into(PICTURE, policy, row)
    tracemalloc.start()
    fit_into(PICTURE, policy, row)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < row.nbytes // 10
