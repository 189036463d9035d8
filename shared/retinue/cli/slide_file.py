"""A TIFF that fits nowhere, read from the top down: never more than a row of its tiles, or some rows of its strips."""

import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffFileError, TiffPage

from retinue.cli.refusal import Refused
from retinue.cli.tiff_segment import MOST_PIXELS, decode_segment
from retinue.client.slide_geometry import SlideGeometry
from retinue.client.slide_request import SlideTile

TILE_WIDTH = 1024
TILE_HEIGHT = 256

_MOST_ROW_PIXELS = 2**29  # of one row of the file's tiles: it is held decoded
_UNCOMPRESSED = 1
_JPEG = 7
_GREY, _RGB, _YCBCR = 1, 2, 6
# What tifffile raises over files that are not what they say; it checks little itself.
_BROKEN = (
    TiffFileError,
    struct.error,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


class SlideFile:
    """A tiled or striped TIFF or BigTIFF of 8-bit RGB or grey: its first picture.

    Args:
        path: the file.

    Raises:
        Refused: it cannot be read, is no such file, or parts of it are too large to be decoded at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        logging.getLogger("tifffile").disabled = True  # what is wrong is said in one line
        try:
            self._file = TiffFile(path)
        except OSError as error:
            raise Refused(f"{path}: {error.strerror or error}") from error
        except _BROKEN as error:
            raise Refused(f"{path}: it is no TIFF file that can be read: {error}") from error
        try:
            self._read(self._file.pages.first)
        except OSError as error:
            self.close()
            raise Refused(f"{path}: {error.strerror or error}") from error
        except _BROKEN as error:
            self.close()
            raise Refused(f"{path}: it is no TIFF file that can be read: {error}") from error
        except Refused:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def geometry(self) -> SlideGeometry:
        """How it is sent; has nothing to do with how the file is cut."""
        return SlideGeometry(self.width, self.height, TILE_WIDTH, TILE_HEIGHT)

    def tiles(self) -> Iterator[SlideTile]:
        """Yield the tiles of `geometry`, row by row.

        Raises:
            Refused: a part of the file cannot be read.
        """
        y = 0
        for rows in self._rows():
            for x in range(0, self.width, TILE_WIDTH):
                yield x, y, np.ascontiguousarray(rows[:, x : x + TILE_WIDTH])
            y += len(rows)

    def _read(self, page: Any) -> None:
        """Look at what the file says of its first picture."""
        if not isinstance(page, TiffPage):
            raise self._refused("the first picture is none of its own")
        self.width, self.height = page.imagewidth, page.imagelength
        self._samples = page.samplesperpixel
        self._is_raw = page.compression == _UNCOMPRESSED
        self._check_kind(page)
        is_tiled = page.is_tiled
        self._segment_width = page.tilewidth if is_tiled else self.width
        self._segment_height = page.tilelength if is_tiled else min(page.rowsperstrip, self.height)
        self._is_tiled = is_tiled
        if self._segment_width < 1 or self._segment_height < 1:
            raise self._refused("its tiles or strips have no pixels")
        self._columns = -(-self.width // self._segment_width)
        self._offsets, self._byte_counts = page.dataoffsets, page.databytecounts
        wanted = self._columns * -(-self.height // self._segment_height)
        if len(self._offsets) != wanted or len(self._byte_counts) != wanted:
            raise self._refused(f"it has {len(self._offsets)} tiles or strips where its size takes {wanted}")
        self._check_memory()
        self._tags: dict[int, tuple[int, ...] | bytes] = {
            258: (8,) * self._samples,
            259: (int(page.compression),),
            262: (int(page.photometric),),
            277: (self._samples,),
            284: (1,),
            317: (int(page.predictor),),
        }
        # How colours are subsampled is left out: each JPEG says it, more reliably.
        if page.jpegtables:
            self._tags[347] = bytes(page.jpegtables)

    def _check_kind(self, page: TiffPage) -> None:
        """Refuse what is no upright 8-bit RGB or grey in one plane."""
        if self.width < 1 or self.height < 1 or page.imagedepth != 1:
            raise self._refused(f"it is {self.width} x {self.height} x {page.imagedepth} pixels")
        kinds = {(_GREY, 1): True, (_RGB, 3): True, (_YCBCR, 3): page.compression == _JPEG}
        bits, sample_format = page.bitspersample, page.sampleformat
        if bits != 8 or sample_format != 1 or not kinds.get((int(page.photometric), self._samples), False):
            kind = getattr(page.photometric, "name", page.photometric)
            raise self._refused(
                f"it has {self._samples} samples of {bits} bits as {kind}; 8-bit RGB and grey (0 is black) are read"
            )
        if self._samples > 1 and page.planarconfig != 1:
            raise self._refused("its colours stand in planes of their own; pixel by pixel is read")
        orientation = page.tags.valueof(274, 1)
        if orientation != 1:
            raise self._refused(f"its orientation is {orientation}; only upright ones are read")
        if page.fillorder != 1:
            raise self._refused("its bits stand in reverse order")

    def _check_memory(self) -> None:
        """Refuse tiles and strips that would have to be held in memory and are too large for that."""
        pixels = self._segment_width * self._segment_height
        if (self._is_tiled or not self._is_raw) and pixels > MOST_PIXELS:
            what = "tiles" if self._is_tiled else "compressed strips"
            raise self._refused(
                f"its {what} of {self._segment_width} x {self._segment_height} pixels are above the limit of "
                f"{MOST_PIXELS} pixels; write it with smaller ones"
            )
        if self._band_height * self.width > _MOST_ROW_PIXELS:
            raise self._refused(
                f"{self._band_height} rows of {self.width} pixels are above the limit of {_MOST_ROW_PIXELS} pixels"
            )

    @property
    def _band_height(self) -> int:
        """How many rows are read at a time; strips that are not compressed can be read in part."""
        is_free = self._is_raw and not self._is_tiled
        return min(self._segment_height, TILE_HEIGHT) if is_free else self._segment_height

    def _rows(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the picture in rows of the height of the tiles that are sent."""
        waiting: list[NDArray[np.uint8]] = []
        count = 0
        for band in self._bands():
            start = 0
            while count + len(band) - start >= TILE_HEIGHT:
                end = start + TILE_HEIGHT - count
                yield np.concatenate([*waiting, band[start:end]])
                waiting, count, start = [], 0, end
            if start < len(band):
                waiting.append(band[start:])
                count += len(band) - start
        if waiting:
            yield np.concatenate(waiting)

    def _bands(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the picture in rows as the file is cut."""
        for top in range(0, self.height, self._segment_height):
            height = min(self._segment_height, self.height - top)
            first = top // self._segment_height * self._columns
            if self._is_raw and not self._is_tiled:
                for skipped in range(0, height, TILE_HEIGHT):
                    yield self._raw_rows(first, skipped, min(TILE_HEIGHT, height - skipped))
                continue
            band = np.empty((height, self.width, *self._depth), np.uint8)
            for column in range(self._columns):
                x = column * self._segment_width
                width = min(self._segment_width, self.width - x)
                band[:, x : x + width] = self._segment(first + column, height)[:height, :width]
            yield band

    def _segment(self, index: int, height: int) -> NDArray[np.uint8]:
        """Return a tile, or a strip of that height."""
        stored = self._segment_height if self._is_tiled else height
        if self._is_raw:
            return self._raw_rows(index, 0, stored)
        if self._is_left_out(index):
            return np.zeros((stored, self._segment_width, *self._depth), np.uint8)
        data = self._bytes(index, self._offsets[index], self._byte_counts[index])
        try:
            return decode_segment(data, stored, self._segment_width, self._tags)
        except ValueError as error:
            raise self._refused(f"{self._name(index)} cannot be decoded: {error}", exit_code=1) from error

    def _raw_rows(self, index: int, skipped: int, count: int) -> NDArray[np.uint8]:
        """Return rows of a tile or strip that is not compressed."""
        shape = (count, self._segment_width, *self._depth)
        if self._is_left_out(index):
            return np.zeros(shape, np.uint8)
        row_bytes = self._segment_width * self._samples
        if (skipped + count) * row_bytes > self._byte_counts[index]:
            raise self._refused(f"{self._name(index)} has fewer bytes than pixels", exit_code=1)
        data = self._bytes(index, self._offsets[index] + skipped * row_bytes, count * row_bytes)
        return np.frombuffer(data, np.uint8).reshape(shape)

    def _bytes(self, index: int, offset: int, count: int) -> bytes:
        """Return bytes of a tile or strip."""
        handle = self._file.filehandle
        if offset + count > handle.size:
            raise self._refused(f"{self._name(index)} reaches beyond the end of the file", exit_code=1)
        handle.seek(offset)
        data: bytes = handle.read(count)
        if len(data) < count:
            raise self._refused(f"{self._name(index)} cannot be read to its end", exit_code=1)
        return data

    def _is_left_out(self, index: int) -> bool:
        """Return whether a tile or strip has no place in the file, as some programs write empty ones."""
        return not self._offsets[index] and not self._byte_counts[index]

    @property
    def _depth(self) -> tuple[int, ...]:
        return (3,) if self._samples > 1 else ()

    def _name(self, index: int) -> str:
        return f"{'tile' if self._is_tiled else 'strip'} {index}"

    def _refused(self, problem: str, exit_code: int = 2) -> Refused:
        return Refused(f"{self.path}: {problem}", exit_code)
