"""Bitmap headers: every generation of them, and pixels that must lie inside the file."""

import struct

import pytest

from retinue.runtime.headers.bmp import read_bmp


def _file(
    width: int = 5, height: int = 3, bits: int = 24, storage: int = 0, header_size: int = 40, start: int | None = None
) -> bytes:
    fields = struct.pack("<IiiHHI", header_size, width, height, 1, bits, storage).ljust(header_size, b"\0")
    masks = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF) if storage == 3 else b""
    start = 14 + len(fields) + len(masks) if start is None else start
    pixel_bytes = abs(height) * ((abs(width) * bits + 31) // 32 * 4)
    return b"BM" + struct.pack("<III", 0, 0, start) + fields + masks + bytes(min(pixel_bytes, 10_000))


@pytest.mark.parametrize("header_size", [40, 52, 56, 64, 108, 124])
def test_every_kind_of_header_gives_the_size(header_size: int) -> None:
    header = read_bmp(_file(header_size=header_size))

    assert (header.width, header.height) == (5, 3)


def test_the_old_header_of_12_bytes_gives_the_size() -> None:
    data = b"BM" + struct.pack("<IIIIHHHH", 0, 0, 26, 12, 5, 3, 1, 24) + bytes(48)

    assert read_bmp(data)[1:3] == (5, 3)


def test_a_negative_height_is_a_picture_from_top_to_bottom() -> None:
    assert read_bmp(_file(height=-3)).height == 3


@pytest.mark.parametrize("width", [0, -5, -(2**31)])
def test_a_width_below_one_is_reported_as_zero(width: int) -> None:
    assert read_bmp(_file(width=width, height=0)).width == 0


def test_run_length_encoded_pixels_may_be_few() -> None:
    assert read_bmp(_file(width=2000, height=2000, bits=8, storage=1)[:80]).width == 2000


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (_file()[:-1], "truncated"),
        (_file(width=2**31 - 1, height=-(2**31)), "truncated"),
        (_file(start=2**32 - 1), "truncated"),
        (_file(start=20), "inside its header"),
        (_file(header_size=16), "no known kind"),
        (_file(bits=2), "2 bits"),
        (_file(bits=24, storage=1), "storage 1"),
        (_file(bits=24, storage=4), "storage 4"),
        (_file(bits=16, storage=3), "unusual order"),
    ],
)
def test_broken_and_hostile_headers_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_bmp(data)
