"""PNG: the header chunk, the EXIF chunk wherever it is, and whether the file has an end."""

import struct
import zlib

from retinue.runtime.headers.exif import read_orientation
from retinue.runtime.headers.record import PictureFormat, PictureHeader

_HEADER = struct.Struct(">I4sII")
_CHUNK = struct.Struct(">I4s")
_CHECKSUM = struct.Struct(">I")
# 20 MiB in chunks of 320 bytes; a file of nothing but empty chunks must not keep a thread busy.
_MAX_CHUNKS = 65536


def read_png(data: bytes) -> PictureHeader:
    """Return the header of a PNG file.

    An animation is to be read as the still picture that readers without animation show, so its control chunk is
    renamed before decoding to a kind that no decoder knows.

    Args:
        data: the whole file, starting with PNG's eight bytes.

    Raises:
        ValueError: the header chunk is not first, a chunk reaches beyond the file, or there are more than 65536.
        struct.error: the file ends before its end chunk.

    Source:
        PNG specification, third edition, sections 5.3 (layout), 11.2.1 (IHDR), 11.3.3.3 (acTL), 11.3.4.5 (eXIf).
    """
    header_length, kind, width, height = _HEADER.unpack_from(data, 8)
    if header_length != 13 or kind != b"IHDR":
        raise ValueError("the PNG file does not start with its header chunk")
    orientation = 0
    patches: tuple[tuple[int, bytes], ...] = ()
    position, file_length = 33, len(data)
    for _ in range(_MAX_CHUNKS):
        length, kind = _CHUNK.unpack_from(data, position)
        end = position + 12 + length
        if end > file_length:
            raise ValueError("the PNG file is truncated: a chunk reaches beyond its end")
        if kind == b"IEND":
            return PictureHeader(PictureFormat.PNG, width, height, orientation or 1, patches)
        if kind == b"eXIf" and not orientation:
            orientation = read_orientation(data, position + 8, end - 4)
        elif kind == b"acTL" and length == 8:
            # One such chunk is legal; of several, each is renamed while they are few.
            if len(patches) == 8:
                raise ValueError("the PNG file has more than 8 animation control chunks")
            named = b"stIL" + data[position + 8 : end - 4]
            patches = (*patches, (position + 4, named + _CHECKSUM.pack(zlib.crc32(named))))
        position = end
    raise ValueError(f"the PNG file has more than {_MAX_CHUNKS} chunks")
