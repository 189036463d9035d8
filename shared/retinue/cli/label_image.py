"""A label image of any size: painted in a file that has no name, and written as a tiled TIFF at the end."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from tifffile import TiffWriter

TILE_SIDE = 256

_NUMBERS = np.dtype("<i4")
_MOST_CLASSIC_BYTES = 2**32 - 2**25  # what offsets of 32 bits reach, less room for the directory


class LabelImage:
    """Pixels of which each is 0, the number of an instance or a class; memory holds one row of tiles at most.

    Args:
        folder: where the pixels lie meanwhile, their own size at most: on most file systems only what is painted takes
            room.
        width: pixels.
        height: pixels.
        dtype: of the pixels, integers; int32 by default.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, folder: Path, width: int, height: int, dtype: DTypeLike = _NUMBERS) -> None:
        self.folder = folder
        self.width = width
        self.height = height
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._pixel_bytes = self._dtype.itemsize
        self._file: Any = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        self._file.truncate(self._pixel_bytes * width * height)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def paint(self, x: int, y: int, mask: NDArray[np.bool_], number: int) -> None:
        """Give the pixels of a mask to an instance; those that others have too.

        Args:
            x: left edge of the mask in the image, pixels.
            y: top edge of the mask in the image, pixels.
            mask: bool [height, width].
            number: of the instance, 1 to 2**31 - 1.

        Raises:
            OSError: there is no room on the disk.
            ValueError: the mask does not lie in the image.
        """
        self._check_inside(x, y, mask, f"instance {number}")
        framed = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
        framed[:, 1:-1] = mask
        rows, columns = np.nonzero(np.diff(framed, axis=1))  # in turn where runs begin and where they end
        places = (self._pixel_bytes * ((y + rows[::2]) * self.width + x + columns[::2])).tolist()
        lengths = (columns[1::2] - columns[::2]).tolist()
        pixels = np.full(max(lengths, default=0), number, self._dtype).tobytes()
        for place, length in zip(places, lengths, strict=True):
            self._write(pixels[: self._pixel_bytes * length], place)

    def put(self, x: int, y: int, pixels: NDArray[Any]) -> None:
        """Lay a rectangle of pixels into the image.

        Args:
            x: its left edge in the image, pixels.
            y: its top edge in the image, pixels.
            pixels: [height, width] of the image's dtype.

        Raises:
            OSError: there is no room on the disk.
            ValueError: it does not lie in the image, or is of another dtype.
        """
        self._check_inside(x, y, pixels, f"tile x={x}, y={y}")
        if pixels.dtype != self._dtype:
            raise ValueError(f"tile x={x}, y={y} is of {pixels.dtype}, those before of {self._dtype}")
        for row, line in enumerate(np.ascontiguousarray(pixels), start=y):
            self._write(line.tobytes(), self._pixel_bytes * (row * self.width + x))

    def save(self, path: Path, on_row: Callable[[], None]) -> None:
        """Write the image as a tiled TIFF, compressed; a BigTIFF where it could become too large for another.

        Args:
            path: written anew.
            on_row: called for each row of tiles.

        Raises:
            OSError: it cannot be written.
        """
        with TiffWriter(path, bigtiff=self._pixel_bytes * self.width * self.height > _MOST_CLASSIC_BYTES) as writer:
            writer.write(
                self._tiles(on_row),
                shape=(self.height, self.width),
                dtype=self._dtype,
                tile=(TILE_SIDE, TILE_SIDE),
                photometric="minisblack",
                compression="zlib",
                compressionargs={"level": 1},
                metadata=None,
                maxworkers=1,
            )

    def _check_inside(self, x: int, y: int, pixels: NDArray[Any], name: str) -> None:
        if not (0 <= x <= self.width - pixels.shape[1] and 0 <= y <= self.height - pixels.shape[0]):
            raise ValueError(f"{name} does not lie in the picture")

    def _tiles(self, on_row: Callable[[], None]) -> Iterator[NDArray[Any]]:
        for top in range(0, self.height, TILE_SIDE):
            on_row()  # not after its last tile: the writer asks for no more than it needs
            height = min(TILE_SIDE, self.height - top)
            row_bytes = self._pixel_bytes * self.width
            data = os.pread(self._file.fileno(), height * row_bytes, top * row_bytes)
            rows = np.frombuffer(data, self._dtype).reshape(height, self.width)
            for left in range(0, self.width, TILE_SIDE):
                tile = np.zeros((TILE_SIDE, TILE_SIDE), self._dtype)
                part = rows[:, left : left + TILE_SIDE]
                tile[: part.shape[0], : part.shape[1]] = part
                yield tile

    def _write(self, data: bytes, place: int) -> None:
        if os.pwrite(self._file.fileno(), data, place) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
