import pytest

from retinue.client.image_info import read_image_info
from retinue.common.v1 import image_pb2


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "bmp", "tiff"])
def test_every_format_has_its_name(name: str) -> None:
    info = image_pb2.ImageInfo(format=image_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{name.upper()}"))
    assert read_image_info(info).format == name


def test_raw_pixels_have_no_format() -> None:
    assert read_image_info(image_pb2.ImageInfo(width=4, height=3)).format is None


def test_a_format_of_a_newer_service_is_none() -> None:
    info = image_pb2.ImageInfo()
    info.MergeFromString(b"\x28\x63")  # field 5, format, is 99
    assert read_image_info(info).format is None
