"""The orientation of EXIF blocks: found in either byte order, 1 wherever the block says nothing valid."""

import struct

import pytest

from retinue.runtime.headers.exif import read_orientation


def _block(order: str, kind: int, value: int, *, count: int = 1, tag: int = 274) -> bytes:
    magic = b"II*\0" if order == "<" else b"MM\0*"
    packed = struct.pack(order + {1: "B3x", 3: "H2x", 4: "I"}.get(kind, "I"), value)
    other = struct.pack(order + "HHII", 271, 2, 4, 0)
    return magic + struct.pack(order + "IH", 8, 2) + other + struct.pack(order + "HHI", tag, kind, count) + packed


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_found_in_either_byte_order(prefix: bytes, kind: int, order: str, orientation: int) -> None:
    block = prefix + _block(order, kind, orientation)

    assert read_orientation(b"before" + block + b"after", 6, 6 + len(block)) == orientation


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "value", "count", "tag"),
    [
        (3, 0, 1, 274),
        (3, 9, 1, 274),
        (3, 6, 2, 274),
        (3, 6, 0, 274),
        (2, 6, 1, 274),
        (4, 65542, 1, 274),
        (3, 6, 1, 275),
    ],
    ids=["zero", "nine", "two values", "no values", "text", "large", "other tag"],
)
def test_an_invalid_or_absent_orientation_is_upright(order: str, kind: int, value: int, count: int, tag: int) -> None:
    block = _block(order, kind, value, count=count, tag=tag)

    assert read_orientation(block, 0, len(block)) == 1


def test_a_block_cut_anywhere_is_upright() -> None:
    block = _block(">", 3, 6)[:-2]

    assert {read_orientation(block, 0, length) for length in range(len(block))} == {1}
    assert {read_orientation(block[:length], 0, length) for length in range(len(block))} == {1}


@pytest.mark.parametrize("start", [0, 7, 38, 2**31, 2**32 - 1])
def test_a_directory_that_points_anywhere_is_upright(start: int) -> None:
    block = b"II*\0" + struct.pack("<I", start) + b"\xff" * 30

    assert read_orientation(block, 0, len(block)) == 1


def test_bytes_after_the_block_are_not_read() -> None:
    block = _block("<", 3, 6)

    assert read_orientation(block, 0, len(block) - 12) == 1
