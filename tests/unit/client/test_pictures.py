import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retinue.client.pictures import Picture, image_message
from retinue.common.v1 import image_pb2


def test_a_path_is_read_and_names_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"jpeg")
    expected = image_pb2.Image(encoded=b"jpeg", id="cat.jpg")
    assert image_message(path) == image_message(str(path)) == expected


@pytest.mark.parametrize("data", [b"jpeg", bytearray(b"jpeg"), memoryview(b"jpeg")])
def test_bytes_are_sent_as_they_are(data: bytes) -> None:
    assert image_message(data) == image_pb2.Image(encoded=b"jpeg")


def test_a_str_is_a_path_and_never_bytes() -> None:
    with pytest.raises(FileNotFoundError):
        image_message("\x89PNG")


def test_an_array_is_sent_as_its_pixels() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    raw = image_message(pixels).raw
    assert (raw.height, raw.width, raw.pixel_format) == (2, 3, image_pb2.PIXEL_FORMAT_RGB)
    assert raw.pixels == bytes(range(18))


def test_a_grey_array_is_sent_as_grey() -> None:
    raw = image_message(np.array([[1, 2]], np.uint8)).raw
    assert (raw.height, raw.width, raw.pixel_format) == (1, 2, image_pb2.PIXEL_FORMAT_GRAY)
    assert raw.pixels == b"\x01\x02"


def test_a_view_is_sent_as_it_looks() -> None:
    """Turned and sliced arrays do not lie in memory as they are indexed."""
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)[::-1, ::2].T
    assert image_message(pixels).raw.pixels == bytes(pixels.flatten().tolist())


@pytest.mark.parametrize(
    ("pixels", "problem"),
    [
        (np.zeros((2, 2, 3), np.float32), "float32"),
        (np.zeros((2, 2, 4), np.uint8), r"\(2, 2, 4\)"),
        (np.zeros((2, 2, 1), np.uint8), r"\(2, 2, 1\)"),
        (np.zeros(5, np.uint8), r"\(5,\)"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.zeros((), np.uint8), r"\(\)"),
        (np.broadcast_to(np.uint8(0), (10**6, 10**6)), "at most"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(pixels: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        image_message(pixels)


@pytest.mark.parametrize("thing", [None, 7, [1, 2], object()])
def test_what_is_no_picture_at_all_is_a_wrong_type(thing: Any) -> None:
    with pytest.raises(TypeError, match="a picture is"):
        image_message(thing)


def test_nothing_that_never_ends_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull), tmp_path):
        with pytest.raises(ValueError, match="no regular file"):
            image_message(path)


def test_a_file_above_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse: it takes no room
    with pytest.raises(ValueError, match="at most"):
        image_message(path)


def test_a_name_of_ones_own_comes_before_the_files(tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"jpeg")
    assert image_message(Picture(path, "frame 7")).id == "frame 7"
    assert image_message(Picture(path, "")).id == ""
    with pytest.raises(ValueError, match="257 characters"):
        image_message(Picture(b"jpeg", "x" * 257))


def test_a_file_name_that_is_no_text_is_sent_with_marks(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    path.write_bytes(b"jpeg")
    assert image_message(path).id == "caf\N{REPLACEMENT CHARACTER}.jpg"
