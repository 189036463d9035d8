"""Slides as files: every way to cut them gives the same pixels, and what is no such file is refused in one line."""

import contextlib
import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from retinue.cli.refusal import Refused
from retinue.cli.slide_file import TILE_HEIGHT, TILE_WIDTH, SlideFile

GREY_LEVELS = np.random.default_rng(0).integers(0, 256, (540, 1100, 3), np.uint8)
PIXELS = cv2.GaussianBlur(GREY_LEVELS, (0, 0), 3)


def read(path: Path) -> NDArray[np.uint8]:
    """Put the tiles of a slide together, and check that they come as its geometry says."""
    with SlideFile(path) as slide:
        whole: NDArray[np.uint8] | None = None
        places = []
        for x, y, pixels in slide.tiles():
            assert isinstance(pixels, np.ndarray)
            if whole is None:
                whole = np.zeros((slide.height, slide.width, *pixels.shape[2:]), np.uint8)
            assert pixels.shape[:2] == (min(TILE_HEIGHT, slide.height - y), min(TILE_WIDTH, slide.width - x))
            whole[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
            places.append((y, x))
        assert len(places) == slide.geometry.tile_count
        assert places == sorted(places)
    assert whole is not None
    return whole


def write(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    with tifffile.TiffWriter(
        path, bigtiff=options.pop("bigtiff", False), byteorder=options.pop("byteorder", "<")
    ) as one:
        one.write(pixels, **({"photometric": "rgb" if pixels.ndim == 3 else "minisblack"} | options))
    return path


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[:, :, 0]], ids=["rgb", "grey"])
@pytest.mark.parametrize(
    "options",
    [
        {"tile": (256, 256)},
        {"tile": (16, 16)},
        {"tile": (1024, 512), "compression": "zlib"},
        {"tile": (64, 64), "compression": "zlib", "predictor": True, "byteorder": ">"},
        {"tile": (256, 256), "bigtiff": True},
        {"rowsperstrip": 1},
        {"rowsperstrip": 540},
        {"rowsperstrip": 33, "compression": "zlib"},
        {"rowsperstrip": 100, "compression": "packbits", "bigtiff": True},
    ],
    ids=str,
)
def test_every_way_to_cut_gives_the_same_pixels(
    tmp_path: Path, pixels: NDArray[np.uint8], options: dict[str, Any]
) -> None:
    if options.get("compression") == "packbits":  # tifffile reads it only
        path = tmp_path / "x.tif"
        Image.fromarray(pixels).save(path, "TIFF", compression="packbits")
    else:
        path = write(tmp_path / "x.tif", pixels, **options)
    np.testing.assert_array_equal(read(path), pixels)


@pytest.mark.parametrize("predictor", [1, 2])
def test_lzw_is_read(tmp_path: Path, predictor: int) -> None:
    path = tmp_path / "x.tif"
    Image.fromarray(PIXELS).save(path, "TIFF", compression="tiff_lzw", tiffinfo={317: predictor})
    np.testing.assert_array_equal(read(path), PIXELS)


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[:, :, 0]], ids=["rgb", "grey"])
def test_jpeg_strips_with_tables_of_their_own_are_read(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    path = tmp_path / "x.tif"
    Image.fromarray(pixels).save(path, "TIFF", compression="jpeg", quality=95)
    with tifffile.TiffFile(path) as file:
        assert file.pages.first.jpegtables
    assert np.abs(read(path).astype(int) - pixels).mean() < 1.5


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_jpeg_tiles_as_of_slide_scanners_are_read(tmp_path: Path, photometric: str) -> None:
    def tiles() -> Any:
        padded = np.pad(PIXELS, ((0, 228), (0, 180), (0, 0)))
        for y in range(0, 768, 256):
            for x in range(0, 1280, 256):
                data = io.BytesIO()
                picture = Image.fromarray(np.ascontiguousarray(padded[y : y + 256, x : x + 256]))
                picture.save(data, "JPEG", quality=95, keep_rgb=photometric == "rgb")
                yield data.getvalue()

    path = tmp_path / "x.tif"
    kind = {"compression": "zlib", "photometric": photometric}  # and then said to be JPEG, which tifffile alone cannot
    with tifffile.TiffWriter(path) as writer:
        writer.write(tiles(), shape=PIXELS.shape, dtype=np.uint8, tile=(256, 256), **kind)  # type: ignore[arg-type]  # kwargs
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags[259].overwrite(7)
    assert np.abs(read(path).astype(int) - PIXELS).mean() < 3


def test_tiles_that_were_left_out_are_black(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    write(path, np.full((256, 512), 9, np.uint8), tile=(256, 256))
    with tifffile.TiffFile(path, mode="r+") as file:
        for code in (324, 325):  # where tiles lie, and how long they are
            tag = file.pages.first.tags[code]
            tag.overwrite((0, tag.value[1]))
    whole = read(path)
    assert not whole[:, :256].any()
    assert (whole[:, 256:] == 9).all()


@pytest.mark.parametrize(
    ("pixels", "options", "problem"),
    [
        (PIXELS.astype(np.uint16), {}, "16 bits"),
        (PIXELS[:, :, 0].astype(np.float32), {}, "32 bits"),
        (PIXELS[:, :, 0].astype(np.int8), {}, "8-bit RGB"),
        (PIXELS[:, :, 0] > 100, {}, "1 bits"),
        (np.dstack([PIXELS, PIXELS[:, :, :1]]), {}, "4 samples"),
        (PIXELS[:, :, :2], {"photometric": "minisblack", "planarconfig": "contig"}, "2 samples"),
        (PIXELS[:, :, 0], {"photometric": "miniswhite"}, "MINISWHITE"),
        (np.moveaxis(PIXELS, 2, 0).copy(), {"planarconfig": "separate"}, "planes of their own"),
        (PIXELS, {"extratags": [(274, "H", 1, 6)]}, "orientation is 6"),
        (
            np.stack([PIXELS[:, :, 0]] * 32),
            {"photometric": "minisblack", "tile": (32, 32, 32), "volumetric": True},
            "x 32 pixels",
        ),
    ],
)
def test_other_kinds_are_refused(tmp_path: Path, pixels: NDArray[Any], options: dict[str, Any], problem: str) -> None:
    with pytest.raises(Refused, match=problem) as refused:
        read(write(tmp_path / "x.tif", pixels, **options))
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("data", [b"", b"II*\0", b"II*\0\x08\0\0\0", b"\x89PNG\r\n\x1a\n", b"no picture at all"])
def test_what_is_no_tiff_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(data)
    with pytest.raises(Refused, match=r"x\.tif: it is no TIFF file"):
        SlideFile(path)


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.tif", tmp_path):
        with pytest.raises(Refused, match=str(path)):
            SlideFile(path)


@pytest.mark.parametrize("options", [{"tile": (256, 256)}, {"rowsperstrip": 64, "compression": "zlib"}], ids=str)
def test_a_file_that_ends_early_is_told_when_it_comes_to_that(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write(tmp_path / "x.tif", PIXELS, **options)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(Refused, match=r"(tile|strip) \d+ reaches beyond the end of the file") as refused:
        read(path)
    assert refused.value.exit_code == 1


def test_damaged_data_is_told_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", PIXELS, tile=(256, 256), compression="zlib")
    with tifffile.TiffFile(path) as file:
        place = file.pages.first.dataoffsets[7]
    data = bytearray(path.read_bytes())
    data[place : place + 64] = bytes(64)
    path.write_bytes(data)
    with pytest.raises(Refused, match="tile 7 cannot be decoded"):
        read(path)


@pytest.mark.parametrize(
    ("code", "value", "problem"),
    [
        (256, 2**31, "tiles or strips where its size takes"),
        (257, 2**31, "tiles or strips where its size takes"),
        (257, 0, "it is"),
        (322, 0, "it is|no pixels"),
        (322, 2**20, "tiles or strips where its size takes"),
        (323, 2**31 - 16, "tiles or strips where its size takes"),
        (277, 60_000, "60000 samples"),
    ],
)
def test_a_file_that_lies_about_its_size_is_refused(tmp_path: Path, code: int, value: int, problem: str) -> None:
    path = write(tmp_path / "x.tif", PIXELS[:, :, 0], tile=(256, 256))
    set_tag(path, code, value)
    with pytest.raises(Refused, match=problem):
        read(path)


def set_tag(path: Path, code: int, value: int) -> None:
    """Write another number into a little-endian classic TIFF."""
    data = bytearray(path.read_bytes())
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        found, kind = struct.unpack_from("<HH", data, entry)
        if found == code:
            struct.pack_into("<H" if kind == 3 else "<I", data, entry + 8, value)
    path.write_bytes(data)


def test_huge_compressed_strips_are_refused_and_huge_bare_ones_read_in_part(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    height, width = 70_000, 1_000
    tifffile.imwrite(path, iter([b"x"]), shape=(height, width), dtype=np.uint8, rowsperstrip=height, compression="zlib")
    with pytest.raises(Refused, match=r"compressed strips of 1000 x 70000 pixels are above the limit"):
        SlideFile(path)
    bare = tifffile.memmap(path, shape=(height, width), dtype=np.uint8)
    bare[-1] = 5
    bare.flush()
    del bare
    with SlideFile(path) as slide:
        *_, (x, y, last) = slide.tiles()
    assert (x, y) == (0, height // TILE_HEIGHT * TILE_HEIGHT)
    assert isinstance(last, np.ndarray)
    assert (last[-1] == 5).all()


@pytest.mark.parametrize("seed", range(60))
def test_no_damage_to_the_directory_is_more_than_a_refusal(tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    is_tiled = bool(seed % 2)
    options: dict[str, Any] = {"tile": (32, 32)} if is_tiled else {"rowsperstrip": 8, "compression": "zlib"}
    path = write(tmp_path / "x.tif", PIXELS[:64, :96], **options)
    data = bytearray(path.read_bytes())
    (place,) = struct.unpack_from("<I", data, 4)
    for _ in range(int(generator.integers(1, 5))):
        data[int(generator.integers(place, min(place + 300, len(data))))] = int(generator.integers(0, 256))
    path.write_bytes(data)
    with contextlib.suppress(Refused):
        read(path)
