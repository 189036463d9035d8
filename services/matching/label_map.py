"""Label maps as PNG files: one channel of 8 or 16 bits, every value but 0 one instance."""

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.runtime.errors import ImageTooLarge, InvalidImage

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_CHUNK = struct.Struct(">I4s")
_FRAME_BYTES = 12  # length, kind and checksum of a chunk
_MAX_CHUNKS = 65536
_GREY, _INDEXED = 0, 3
_KINDS = {(_GREY, 8), (_GREY, 16), (_INDEXED, 8)}

# A broken file is the caller's condition, reported as InvalidImage; it is no event of the server's standard error.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True, slots=True, eq=False)
class LabelMapFile:
    """A label map whose header is read; made by `open_label_map`.

    Args:
        height: rows, pixels, at least 1.
        width: columns, pixels, at least 1.
        field: where it stands in its problem, for errors.
    """

    height: int
    width: int
    field: str
    _plain: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.height, self.width

    def pixels(self) -> NDArray[Any]:
        """Return the labels, uint8 or uint16 [height, width].

        Raises:
            InvalidImage: the compressed data is broken.
        """
        try:
            labels = cv2.imdecode(np.frombuffer(self._plain, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            labels = None
        if labels is None or labels.shape != self.size:
            raise InvalidImage(self.field, "the PNG file cannot be decoded: it is damaged")
        return np.asarray(labels)


def open_label_map(data: bytes, max_pixels: int, field: str) -> LabelMapFile:
    """Return a label map, not decoded yet.

    Args:
        data: a PNG file of one channel of 8 or 16 bits; the indices of a palette of 8 bits are labels as well.
        max_pixels: the largest map that is taken.
        field: where it stands in its problem, for errors.

    Raises:
        InvalidImage: the bytes are no such file, or it is truncated.
        ImageTooLarge: it has more pixels than allowed.

    Source:
        PNG specification, third edition, sections 5.3 (layout), 11.2.1 (IHDR).
    """
    if not data.startswith(_SIGNATURE):
        raise InvalidImage(field, "the bytes are no PNG file")
    try:
        header, image_data = _read(data)
        width, height, depth, colour, *how = _HEADER.unpack(header)
    except (struct.error, ValueError) as error:
        raise InvalidImage(field, "the PNG file is truncated or broken") from error
    if (colour, depth) not in _KINDS:
        raise InvalidImage(
            field, f"the PNG file has {depth} bits of colour type {colour}; one channel of 8 or 16 is read"
        )
    if not height * width:
        raise InvalidImage(field, f"the PNG file has {width} x {height} pixels; each side must be at least 1")
    if height * width > max_pixels:
        problem = f"{width} x {height} pixels are above the limit of {max_pixels} pixels"
        raise ImageTooLarge(field, problem, limit=str(max_pixels), actual=str(height * width))
    # Without the palette, indices are read as they are; and nothing else in the file can mean anything to the decoder.
    grey = _HEADER.pack(width, height, depth, _GREY, *how)
    plain = b"".join((_SIGNATURE, _chunk(b"IHDR", grey), *image_data, _chunk(b"IEND", b"")))
    return LabelMapFile(height, width, field, plain)


def _read(data: bytes) -> tuple[bytes, list[bytes]]:
    """Return the header, and the chunks of compressed data as they stand in the file.

    Raises:
        ValueError: the file is broken.
        struct.error: it ends before its end chunk.
    """
    header, image_data = b"", []
    position = len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        length, kind = _CHUNK.unpack_from(data, position)
        chunk = data[position : position + length + _FRAME_BYTES]
        if len(chunk) < length + _FRAME_BYTES:
            raise ValueError("a chunk reaches beyond the end")
        if not header:
            if kind != b"IHDR" or length != _HEADER.size or chunk != _chunk(kind, chunk[8:-4]):
                raise ValueError("the header chunk is not first, or is damaged")
            header = chunk[8:-4]
        elif kind == b"IDAT":
            image_data.append(chunk)
        elif kind == b"IEND":
            return header, image_data
        position += len(chunk)
    raise ValueError("there are too many chunks")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return _CHUNK.pack(len(content), kind) + content + struct.pack(">I", zlib.crc32(kind + content))
