"""A label image of any size: painted in a file that has no name, and written as a tiled TIFF at the end."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffWriter

TILE_SIDE = 256

_DTYPE = np.dtype("<i4")
_PIXEL_BYTES = _DTYPE.itemsize
_MOST_CLASSIC_BYTES = 2**32 - 2**25  # what offsets of 32 bits reach, less room for the directory


class LabelImage:
    """Pixels of which each is 0 or the number of an instance, int32; memory holds one row of tiles at most.

    Args:
        folder: where the pixels lie meanwhile, ``4 * width * height`` bytes at most: on most file systems only what is
            painted takes room.
        width: pixels.
        height: pixels.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._file: Any = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        self._file.truncate(_PIXEL_BYTES * width * height)

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
        if not (0 <= x <= self.width - mask.shape[1] and 0 <= y <= self.height - mask.shape[0]):
            raise ValueError(f"instance {number} does not lie in the picture")
        framed = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
        framed[:, 1:-1] = mask
        rows, columns = np.nonzero(np.diff(framed, axis=1))  # in turn where runs begin and where they end
        places = (_PIXEL_BYTES * ((y + rows[::2]) * self.width + x + columns[::2])).tolist()
        lengths = (columns[1::2] - columns[::2]).tolist()
        pixels = np.full(max(lengths, default=0), number, _DTYPE).tobytes()
        for place, length in zip(places, lengths, strict=True):
            self._write(pixels[: _PIXEL_BYTES * length], place)

    def save(self, path: Path, on_row: Callable[[], None]) -> None:
        """Write the image as a tiled TIFF, compressed; a BigTIFF where it could become too large for another.

        Args:
            path: written anew.
            on_row: called for each row of tiles.

        Raises:
            OSError: it cannot be written.
        """
        with TiffWriter(path, bigtiff=_PIXEL_BYTES * self.width * self.height > _MOST_CLASSIC_BYTES) as writer:
            writer.write(
                self._tiles(on_row),
                shape=(self.height, self.width),
                dtype=_DTYPE,
                tile=(TILE_SIDE, TILE_SIDE),
                photometric="minisblack",
                compression="zlib",
                compressionargs={"level": 1},
                metadata=None,
                maxworkers=1,
            )

    def _tiles(self, on_row: Callable[[], None]) -> Iterator[NDArray[np.int32]]:
        for top in range(0, self.height, TILE_SIDE):
            on_row()  # not after its last tile: the writer asks for no more than it needs
            height = min(TILE_SIDE, self.height - top)
            row_bytes = _PIXEL_BYTES * self.width
            data = os.pread(self._file.fileno(), height * row_bytes, top * row_bytes)
            rows = np.frombuffer(data, _DTYPE).reshape(height, self.width)
            for left in range(0, self.width, TILE_SIDE):
                tile = np.zeros((TILE_SIDE, TILE_SIDE), _DTYPE)
                part = rows[:, left : left + TILE_SIDE]
                tile[: part.shape[0], : part.shape[1]] = part
                yield tile

    def _write(self, data: bytes, place: int) -> None:
        if os.pwrite(self._file.fileno(), data, place) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
