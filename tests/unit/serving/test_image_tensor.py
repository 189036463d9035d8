import cv2
import numpy as np
import pytest

from retinue.runtime.errors import ImageTooLarge, InvalidImage, InvalidInput
from retinue.runtime.picture import PictureFormat, PictureLimits
from retinue.serving.image_tensor import IMAGE, pictures_of

LIMITS = PictureLimits(max_bytes=100_000, max_pixels=10_000)


def png(height: int, width: int) -> bytes:
    """Return a black picture as a PNG file."""
    return cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes()


def files(*contents: bytes) -> np.ndarray:
    array = np.empty(len(contents), dtype=object)
    array[:] = contents
    return array


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_byte_elements_are_files(shape: tuple[int, ...]) -> None:
    first, second = pictures_of(files(png(4, 6), png(8, 2)).reshape(shape), LIMITS, max_items=2)
    assert (first.info.width, first.info.height, first.info.format) == (6, 4, PictureFormat.PNG)
    assert (second.info.width, second.info.height) == (2, 8)


@pytest.mark.parametrize("shape", [(-1,), (1, -1)])
def test_one_row_of_bytes_is_a_file(shape: tuple[int, ...]) -> None:
    tensor = np.frombuffer(png(4, 6), np.uint8).reshape(shape)
    (picture,) = pictures_of(tensor, LIMITS, max_items=1)
    assert (picture.info.width, picture.info.height, picture.info.format) == (6, 4, PictureFormat.PNG)


@pytest.mark.parametrize("count", [None, 1, 3])
def test_three_channels_are_pixels(count: int | None) -> None:
    pixels = np.arange((count or 1) * 60, dtype=np.uint8).reshape(count or 1, 4, 5, 3)
    pictures = pictures_of(pixels if count else pixels[0], LIMITS, max_items=3)
    assert len(pictures) == (count or 1)
    for picture, expected in zip(pictures, pixels, strict=True):
        assert picture.info.format is None
        np.testing.assert_array_equal(picture.pixels(), expected)


@pytest.mark.parametrize("tensor", [files(), np.empty((0, 4, 5, 3), np.uint8)])
def test_no_picture_is_refused(tensor: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="image: holds 0 pictures; 1 to 8 are allowed"):
        pictures_of(tensor, LIMITS, max_items=8)


@pytest.mark.parametrize("tensor", [files(b"a", b"b", b"c"), np.empty((3, 4, 5, 3), np.uint8)])
def test_too_many_pictures_are_refused_before_any_is_opened(tensor: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="holds 3 pictures; 1 to 2 are allowed") as caught:
        pictures_of(tensor, LIMITS, max_items=2)
    assert caught.value.metadata["limit"] == "2"


def test_file_that_is_no_picture_is_named_by_its_place() -> None:
    with pytest.raises(InvalidImage) as caught:
        pictures_of(files(png(4, 6), b"no picture at all"), LIMITS, max_items=2)
    assert caught.value.field == "image[1]"


@pytest.mark.parametrize(
    "tensor", [files(png(200, 200)), np.frombuffer(png(200, 200), np.uint8), np.zeros((200, 200, 3), np.uint8)]
)
def test_picture_above_the_limits_is_refused(tensor: np.ndarray) -> None:
    with pytest.raises(ImageTooLarge):
        pictures_of(tensor, LIMITS, max_items=1)


@pytest.mark.parametrize(
    "tensor", [np.empty((0, 5, 3), np.uint8), np.empty((1, 5, 0, 3), np.uint8), np.empty(0, np.uint8)]
)
def test_picture_without_pixels_is_refused(tensor: np.ndarray) -> None:
    with pytest.raises(InvalidInput):
        pictures_of(tensor, LIMITS, max_items=1)


@pytest.mark.parametrize(
    ("datatype", "shape", "is_taken"),
    [
        ("BYTES", (2, 1), True),
        ("BYTES", (2,), True),
        ("BYTES", (2, 2), False),
        ("UINT8", (9,), True),
        ("UINT8", (1, 9), True),
        ("UINT8", (2, 9), False),
        ("UINT8", (4, 5, 3), True),
        ("UINT8", (2, 4, 5, 3), True),
        ("UINT8", (2, 3, 4, 5), False),
        ("FP32", (4, 5, 3), False),
    ],
)
def test_input_takes_the_forms_of_the_ecosystem(datatype: str, shape: tuple[int, ...], is_taken: bool) -> None:  # noqa: FBT001
    assert any(form.fits(datatype, shape) for form in (IMAGE.form, *IMAGE.also)) == is_taken
