"""TIFF headers: both byte orders, both sizes of offsets, and pixels that must lie inside the file."""

import struct
from collections.abc import Mapping

import cv2
import numpy as np
import pytest

from retinue.runtime.header import read_header
from retinue.runtime.headers.tiff import read_tiff

Values = tuple[int, ...]
PIXELS_AT = 16
# tag: values; a grey picture of 5 x 4 pixels in two strips
GREY: dict[int, Values] = {
    256: (5,), 257: (4,), 258: (8,), 259: (1,), 262: (1,), 273: (16, 26), 277: (1,), 278: (2,), 279: (10, 10)
}  # fmt: skip
TILED = {256: (5,), 257: (4,), 258: (8,), 259: (1,), 262: (1,), 322: (16,), 323: (16,), 324: (16,), 325: (90,)}
RGB = GREY | {258: (8, 8, 8), 262: (2,), 273: (16,), 277: (3,), 278: (4,), 279: (60,)}


def _file(tags: Mapping[int, Values], *, order: str = "<", big: bool = False, kind: str = "I") -> bytes:
    """Return pixels at 16, then the directory, then values that do not fit into it."""
    number, size = ("Q", 8) if big else ("I", 4)
    pixels = bytes(range(100))
    start = PIXELS_AT + len(pixels)
    entry_bytes = 4 + 2 * size
    tail_at = start + (8 if big else 2) + entry_bytes * len(tags) + size
    entries = tail = b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(packed) > size:
            tail, packed = tail + packed, struct.pack(order + number, tail_at + len(tail))
        entries += struct.pack(f"{order}HH{number}", tag, {"H": 3, "I": 4, "Q": 16}[kind], len(values))
        entries += packed.ljust(size, b"\0")
    magic = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "HHHQ", 43, 8, 0, start) if big else struct.pack(order + "HI8x", 42, start)
    count = struct.pack(order + ("Q" if big else "H"), len(tags))
    return magic + head + pixels + count + entries + bytes(size) + tail


@pytest.mark.parametrize("kind", ["H", "I"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_directory_gives_size_and_orientation(order: str, big: bool, kind: str) -> None:  # noqa: FBT001 - a matrix
    header = read_tiff(_file(GREY | {274: (6,)}, order=order, big=big, kind=kind))

    assert (header.width, header.height, header.exif_orientation) == (5, 4, 6)


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_blanked_for_the_decoder(order: str) -> None:
    data = bytearray(_file(GREY | {274: (6,)}, order=order, kind="H"))
    ((offset, patch),) = read_tiff(bytes(data)).patches
    data[offset : offset + len(patch)] = patch

    assert bytes(data) == _file(GREY | {274: (1,)}, order=order, kind="H")


def test_unassociated_alpha_is_blanked_for_the_decoder() -> None:
    tags = RGB | {258: (8,) * 4, 277: (4,), 279: (80,)}
    data = bytearray(_file(tags | {338: (2,)}))
    ((offset, patch),) = read_tiff(bytes(data)).patches
    data[offset : offset + len(patch)] = patch

    assert bytes(data) == _file(tags | {338: (0,)})


@pytest.mark.parametrize("orientation", [0, 1, 9, 65535])
def test_an_invalid_orientation_is_upright(orientation: int) -> None:
    header = read_tiff(_file(GREY | {274: (orientation,)}))

    assert (header.exif_orientation, header.patches) == (1, ())


def test_wide_samples_are_those_of_chunky_colours() -> None:
    wide = RGB | {257: (2,), 258: (16, 16, 16)}

    assert read_tiff(_file(wide)).has_wide_samples
    assert not read_tiff(_file(RGB)).has_wide_samples
    assert not read_tiff(_file(wide | {284: (2,), 273: (16, 26, 36), 279: (10, 10, 10)})).has_wide_samples
    assert not read_tiff(_file(GREY | {258: (16,), 257: (2,)})).has_wide_samples


def test_tiles_are_found() -> None:
    assert read_tiff(_file(TILED)).width == 5


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        (GREY | {273: (16, 2**31)}, "truncated"),
        (GREY | {279: (10, 2**32 - 1)}, "truncated"),
        (GREY | {279: (10, 9000)}, "truncated"),
        (GREY | {320: tuple(range(768))}, "value of tag 320"),
        (GREY | {273: (16,)}, "too few strips"),
        (GREY | {279: (20,)}, "too few strips"),
        (GREY | {278: (1,)}, "too few strips"),
        (GREY | {257: (4000,)}, "too few strips"),
        (GREY | {278: (0,)}, "without pixels"),
        (GREY | {256: (5, 5)}, "2 values for tag 256"),
        (GREY | {258: (32,)}, "samples of 32 bits"),
        (GREY | {258: (0,)}, "samples of 0 bits"),
        (RGB | {258: (8, 8, 16)}, "samples of 8, 16 bits"),
        (GREY | {339: (3,)}, "floating-point"),
        (GREY | {339: (2,)}, "signed"),
        (GREY | {259: (50000,)}, "compression 50000"),
        ({tag: values for tag, values in GREY.items() if tag != 257}, "lacks tag 257"),
        ({tag: values for tag, values in GREY.items() if tag != 273}, "where its pixels are"),
        ({tag: values for tag, values in GREY.items() if tag != 279}, "where its pixels are"),
        (TILED | {322: (65536,), 323: (65536,)}, "far larger"),
        (TILED | {322: (2**32 - 1,), 323: (2**32 - 1,)}, "far larger"),
        (TILED | {322: (0,)}, "without pixels"),
        ({tag: values for tag, values in TILED.items() if tag != 323}, "lacks tag 323"),
        (dict.fromkeys(range(5000), (1,)), "4096 entries"),
    ],
)
def test_broken_and_hostile_directories_are_refused(tags: Mapping[int, Values], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_tiff(_file(tags)[: 116 + 2 + 12 * len(tags) + 100])


def test_broken_metadata_costs_nobody_the_picture() -> None:
    tags = GREY | {700: tuple(range(500))}

    assert read_tiff(_file(tags)[: 116 + 2 + 12 * len(tags) + 20]).width == 5


def test_a_size_that_is_no_unsigned_number_is_refused() -> None:
    """The decoder reads signed sizes: a second entry must not stand in for the first."""
    data = bytearray(_file(GREY))
    kind_at = PIXELS_AT + 100 + 2 + 2
    data[kind_at : kind_at + 2] = struct.pack("<H", 9)

    with pytest.raises(ValueError, match="type 9 for tag 256"):
        read_tiff(bytes(data))


def test_64_bit_offsets_do_not_wrap_around() -> None:
    tags = GREY | {273: (2**64 - 1, 26), 279: (10, 10)}

    with pytest.raises(ValueError, match="truncated"):
        read_tiff(_file(tags, big=True, kind="Q"))


@pytest.mark.parametrize(
    "data",
    [
        b"II*\0" + struct.pack("<I", 2**32 - 1),
        b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**64 - 1),
        b"MM\0+\0\x08\0\0" + struct.pack(">Q", 16) + struct.pack(">Q", 2**63),
    ],
    ids=["directory beyond", "directory far beyond", "endless directory"],
)
def test_a_directory_that_cannot_be_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="TIFF file"):
        read_header(data)


def test_a_directory_that_is_its_own_successor_is_read_once() -> None:
    data = bytearray(_file(GREY))
    start = PIXELS_AT + 100
    next_at = start + 2 + 12 * len(GREY)
    data[next_at : next_at + 4] = struct.pack("<I", start)

    assert read_tiff(bytes(data)).height == 4


def test_of_two_entries_with_one_tag_the_first_counts() -> None:
    """As in the decoder: were it the other way round, limits would be checked on another size than is decoded."""
    data = bytearray(_file(GREY | {255: (3,)}))
    first = PIXELS_AT + 100 + 2
    data[first : first + 2] = struct.pack("<H", 256)

    assert read_tiff(bytes(data)).width == 3
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (4, 3, 3)
