"""Between the wire and the runtime."""

import cv2
import numpy as np
import pytest

from retinue.common.v1 import image_pb2
from retinue.runtime.errors import ImageTooLarge, InvalidImage, InvalidInput
from retinue.runtime.picture import PictureFormat, PictureInfo, PictureLimits
from retinue.runtime.timings import Timings
from retinue.serving.wire import MAX_ID_CHARACTERS, check_share, image_info_of, model_ref_of, picture_of, timings_of
from tests.unit.serving.tiny_engine import manifest_of

LIMITS = PictureLimits(max_bytes=10_000, max_pixels=100)
RGB, BGR, GRAY = image_pb2.PIXEL_FORMAT_RGB, image_pb2.PIXEL_FORMAT_BGR, image_pb2.PIXEL_FORMAT_GRAY


def png(width: int, height: int) -> bytes:
    return cv2.imencode(".png", np.full((height, width, 3), 200, np.uint8))[1].tobytes()


def raw_image(pixels: bytes, width: int, height: int, pixel_format: int = 0) -> image_pb2.Image:
    image = image_pb2.Image()
    image.raw.width, image.raw.height, image.raw.pixels = width, height, pixels
    # Open enums of proto3 take any number; the stubs know only the names.
    image.raw.pixel_format = pixel_format  # type: ignore[assignment]
    return image


def test_an_encoded_picture_is_opened() -> None:
    picture = picture_of(image_pb2.Image(encoded=png(4, 3)), LIMITS)
    assert (picture.info.width, picture.info.height, picture.info.format) == (4, 3, PictureFormat.PNG)
    assert (picture.pixels() == 200).all()


@pytest.mark.parametrize(
    ("pixel_format", "expected"),
    [(image_pb2.PIXEL_FORMAT_UNSPECIFIED, [1, 2, 3]), (RGB, [1, 2, 3]), (BGR, [3, 2, 1])],
)
def test_raw_pixels_are_read_as_they_say(pixel_format: int, expected: list[int]) -> None:
    picture = picture_of(raw_image(bytes([1, 2, 3]), 1, 1, pixel_format), LIMITS)
    assert picture.pixels().tolist() == [[expected]]


def test_grey_pixels_become_three_channels() -> None:
    assert picture_of(raw_image(bytes([7, 8]), 2, 1, GRAY), LIMITS).pixels().tolist() == [[[7] * 3, [8] * 3]]


def test_a_message_without_a_picture_names_the_field() -> None:
    with pytest.raises(InvalidInput, match=r"^images\[2\]: required") as caught:
        picture_of(image_pb2.Image(id="x"), LIMITS, "images[2]")
    assert type(caught.value) is InvalidInput


def test_an_empty_file_is_no_picture() -> None:
    with pytest.raises(InvalidImage, match=r"^image\.encoded: "):
        picture_of(image_pb2.Image(encoded=b""), LIMITS)


def test_bytes_that_are_no_picture_name_the_field() -> None:
    with pytest.raises(InvalidImage, match=r"^images\[0\]\.encoded: "):
        picture_of(image_pb2.Image(encoded=b"GIF89a"), LIMITS, "images[0]")


@pytest.mark.parametrize(
    ("image", "field"),
    [
        (image_pb2.Image(encoded=png(11, 10)), "image.encoded"),
        (image_pb2.Image(encoded=b"x" * 10_001), "image.encoded"),
        (raw_image(bytes(330), 11, 10), "image.raw"),
    ],
)
def test_a_picture_above_a_limit_is_too_large(image: image_pb2.Image, field: str) -> None:
    with pytest.raises(ImageTooLarge) as caught:
        picture_of(image, LIMITS)
    assert caught.value.field == field
    assert caught.value.metadata.keys() >= {"limit", "actual"}


@pytest.mark.parametrize(
    ("width", "height", "byte_count"), [(2, 1, 5), (2, 1, 7), (0, 1, 0), (-1, -1, 3), (-(2**31), 1, 0)]
)
def test_raw_pixels_that_do_not_add_up_are_no_picture(width: int, height: int, byte_count: int) -> None:
    with pytest.raises(InvalidInput, match=r"^image\.raw"):
        picture_of(raw_image(bytes(byte_count), width, height), LIMITS)


@pytest.mark.parametrize("pixel_format", [4, -1, 2**31 - 1])
def test_an_unknown_pixel_format_is_refused(pixel_format: int) -> None:
    with pytest.raises(InvalidInput, match=r"^image\.raw\.pixel_format: "):
        picture_of(raw_image(bytes(3), 1, 1, pixel_format), LIMITS)


def test_an_id_may_have_256_characters_whatever_their_bytes() -> None:
    picture_of(image_pb2.Image(encoded=png(1, 1), id="ü" * MAX_ID_CHARACTERS), LIMITS)


def test_a_longer_id_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^image\.id: has 257 characters; at most 256"):
        picture_of(image_pb2.Image(encoded=png(1, 1), id="x" * 257), LIMITS)


@pytest.mark.parametrize("picture_format", [None, *PictureFormat])
def test_every_format_has_a_name_on_the_wire(picture_format: PictureFormat | None) -> None:
    message = image_info_of(PictureInfo(3, 2, 6, True, picture_format))
    name = image_pb2.ImageFormat.Name(message.format)
    assert name == f"IMAGE_FORMAT_{'UNSPECIFIED' if picture_format is None else picture_format.name}"
    assert (message.width, message.height, message.exif_orientation, message.is_orientation_applied) == (3, 2, 6, True)


def test_a_model_is_told_by_name_and_version() -> None:
    reference = model_ref_of(manifest_of("digits", "2.1"))
    assert (reference.name, reference.version) == ("digits", "2.1")


def test_each_stage_is_told_as_a_duration() -> None:
    message = timings_of(Timings(0.5, 1.25, 0.0, 61.001, 1e-9, 7))
    nanoseconds = [
        one.seconds * 10**9 + one.nanos
        for one in (message.queue, message.decode, message.preprocess, message.infer, message.postprocess)
    ]
    # A float of 61 s is exact to 7e-15 s; what is below a nanosecond is cut off.
    assert nanoseconds == pytest.approx([5e8, 1.25e9, 0, 61.001e9, 1], abs=1)
    assert message.batch_size == 7


@pytest.mark.parametrize("seconds", [0.9999999999, 1.9999999999, 3.0, 1e-12])
def test_a_duration_has_less_than_a_second_of_nanoseconds(seconds: float) -> None:
    assert 0 <= timings_of(Timings(queue_s=seconds)).queue.nanos < 10**9


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_shares_are_taken(share: float) -> None:
    check_share(share, "options.score_threshold")


@pytest.mark.parametrize("share", [-1e-9, 1.0000001, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_share_is_told_by_its_field(share: float) -> None:
    with pytest.raises(InvalidInput, match=r"options\.score_threshold.*0 to 1 are allowed"):
        check_share(share, "options.score_threshold")
