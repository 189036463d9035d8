"""Label maps as PNG files: what is read, and what is refused."""

import struct
from typing import Any

import numpy as np
import pytest

from retinue.runtime.errors import ImageTooLarge, InvalidImage
from services.matching.label_map import open_label_map
from tests.unit.services.matching.pngs import SIGNATURE, built, chunk, png_of

LABELS = np.array([[0, 7, 7], [3, 3, 255]])


def read(data: bytes, max_pixels: int = 100) -> Any:
    return open_label_map(data, max_pixels, "a.label_map_png").pixels()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_labels_of_8_and_16_bits_are_read(dtype: Any) -> None:
    labels = (LABELS * (np.iinfo(dtype).max // 255)).astype(dtype)
    pixels = read(png_of(labels))
    assert (pixels.dtype, pixels.tolist()) == (dtype, labels.tolist())


def test_the_size_is_known_without_decoding() -> None:
    file = open_label_map(built(3, 2, b"no rows"), 100, "a")
    assert (file.size, file.height, file.width) == ((2, 3), 2, 3)


def test_indices_of_a_palette_are_labels_whatever_their_colours() -> None:
    palette = chunk(b"PLTE", bytes(3 * 256))
    transparency = chunk(b"tRNS", bytes(256))
    file = built(3, 1, b"\x00\x05\x00\x09", colour=3, between=(palette, transparency))
    assert read(file).tolist() == [[5, 0, 9]]


def test_transparency_gamma_and_orientation_change_no_label() -> None:
    between = (chunk(b"tRNS", b"\x00\x05"), chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"acTL", bytes(8)))
    assert read(built(3, 1, b"\x00\x05\x00\x09", between=between)).tolist() == [[5, 0, 9]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no PNG"),
        (b"\xff\xd8\xff\xe0", "no PNG"),
        (SIGNATURE, "truncated or broken"),
        (SIGNATURE + chunk(b"IDAT", b"x"), "truncated or broken"),
        (SIGNATURE + chunk(b"IHDR", b"short"), "truncated or broken"),
        (SIGNATURE + chunk(b"IHDR", bytes(13))[:-4] + b"crc!", "truncated or broken"),
        (SIGNATURE + struct.pack(">I4s", 2**32 - 1, b"IHDR"), "truncated or broken"),
        (built(2, 1, b"\x00\x01\x02")[:-12], "truncated or broken"),
        (built(2, 1, b"\x00\x01\x02")[:40], "truncated or broken"),
        (built(2, 1, b"", between=(chunk(b"tEXt"),) * 70_000), "truncated or broken"),
        (built(0, 1, b""), "0 x 1 pixels"),
        (built(2, 1, bytes(7), colour=2), "8 bits of colour type 2"),
        (built(2, 1, bytes(9), colour=6), "colour type 6"),
        (built(8, 1, bytes(2), depth=1), "1 bits of colour type 0"),
        (built(2, 1, bytes(2), depth=4, colour=3), "4 bits of colour type 3"),
    ],
)
def test_what_is_no_label_map_is_refused_before_it_is_decoded(data: bytes, words: str) -> None:
    with pytest.raises(InvalidImage, match=words) as caught:
        open_label_map(data, 100, "a.label_map_png")
    assert caught.value.field == "a.label_map_png"


@pytest.mark.parametrize(
    "rows",
    [b"", b"\x00\x01\x02", b"\x09\x01\x02\x00\x01\x02", b"\x00\x01\x02\x00\x01"],
    ids=["none", "too few", "unknown filter", "half a row"],
)
def test_damaged_pixels_are_told_when_they_are_read(rows: bytes) -> None:
    with pytest.raises(InvalidImage, match="damaged"):
        read(built(2, 2, rows))


def test_a_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(ImageTooLarge, match="limit of 100 pixels") as caught:
        open_label_map(built(2**31 - 1, 2**31 - 1, b""), 100, "a")
    assert caught.value.metadata == {"field": "a", "limit": "100", "actual": str((2**31 - 1) ** 2)}
