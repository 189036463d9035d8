"""TIFF and BigTIFF: the first directory, and whether the pixels that it points to lie inside the file."""

import struct
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.headers.record import PictureFormat, PictureHeader

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES, _PLANAR = 273, 274, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_COLOUR_MAP, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _JPEG_TABLES = 320, 338, 339, 347
# What pixels depend on; other entries are not looked at, so that broken metadata costs nobody the picture.
_NEEDED = frozenset(
    {
        *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR, _EXTRA_SAMPLES, _SAMPLE_FORMAT),
        *(_STRIP_OFFSETS, _STRIP_BYTES, _ROWS_PER_STRIP, _TILE_OFFSETS, _TILE_BYTES, _TILE_WIDTH, _TILE_HEIGHT),
        *(_ORIENTATION, _COLOUR_MAP, _JPEG_TABLES),
    }
)
_TYPES = {1: "u1", 3: "u2", 4: "u4", 7: "u1", 13: "u4", 16: "u8", 18: "u8"}
# None, CCITT (three ways), LZW, JPEG, deflate (two numbers) and PackBits.
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946})
_RGB, _CHUNKY, _UNASSOCIATED_ALPHA = 2, 1, 2
_UNSIGNED, _UNDEFINED = 1, 4
# Real directories have some dozens; the count field allows 65535, BigTIFF's any number.
_MAX_ENTRIES = 4096
# One tile of a small picture may be much larger than it; 4096 x 4096 pixels take the decoder 0.2 s.
_MAX_IDLE_PIXELS = 2**24


class _Layout(NamedTuple):
    """What TIFF and BigTIFF do differently, in one byte order."""

    order: str
    start: struct.Struct
    entry_count: struct.Struct
    entry: struct.Struct
    value_bytes: int


_LAYOUTS = {
    b"II*\0": _Layout("<", struct.Struct("<4xI"), struct.Struct("<H"), struct.Struct("<HHI"), 4),
    b"MM\0*": _Layout(">", struct.Struct(">4xI"), struct.Struct(">H"), struct.Struct(">HHI"), 4),
    b"II+\0": _Layout("<", struct.Struct("<8xQ"), struct.Struct("<Q"), struct.Struct("<HHQ"), 8),
    b"MM\0+": _Layout(">", struct.Struct(">8xQ"), struct.Struct(">Q"), struct.Struct(">HHQ"), 8),
}
TIFF_MAGICS = frozenset(_LAYOUTS)


class _Field(NamedTuple):
    position: int
    values: NDArray[np.unsignedinteger]


def read_tiff(data: bytes) -> PictureHeader:
    """Return the header of the first page of a TIFF file.

    The decoder would turn the picture by itself, wrongly if it is tiled, and would multiply colours by unassociated
    alpha; both tags are blanked before decoding.

    Args:
        data: the whole file, starting with one of `TIFF_MAGICS`.

    Raises:
        ValueError: the directory or the strips or tiles that it lists reach beyond the file, a tag that is needed is
            missing or of a wrong type, or the samples or their compression are none that are read.
        struct.error: the file ends inside its header or directory.

    Source:
        TIFF 6.0 (Adobe, 1992), sections 2, 8, 15 and 18; "The BigTIFF File Format" (AWare Systems).
    """
    layout = _LAYOUTS[data[:4]]
    fields = _directory(data, layout)
    width, height = _number(fields, _WIDTH), _number(fields, _HEIGHT)
    sample_count = _number(fields, _SAMPLES, 1)
    is_wide = _check_samples(fields)
    is_chunky = _number(fields, _PLANAR, _CHUNKY) == _CHUNKY
    _check_pixels_are_inside(fields, width, height, 1 if is_chunky else sample_count, len(data))

    orientation = 1
    patches = []
    field = fields.get(_ORIENTATION)
    if field is not None and field.values.size == 1 and 2 <= field.values[0] <= 8:
        orientation = int(field.values[0])
        patches.append((field.position, np.ones_like(field.values).tobytes()))
    field = fields.get(_EXTRA_SAMPLES)
    if field is not None and (field.values == _UNASSOCIATED_ALPHA).any():
        patches.append((field.position, np.zeros_like(field.values).tobytes()))
    has_wide_samples = is_wide and is_chunky and sample_count in {3, 4} and _number(fields, _PHOTOMETRIC, 0) == _RGB
    return PictureHeader(PictureFormat.TIFF, width, height, orientation, tuple(patches), has_wide_samples)


def _directory(data: bytes, layout: _Layout) -> dict[int, _Field]:
    (start,) = layout.start.unpack_from(data, 0)
    length = len(data)
    if start > length:
        raise ValueError("the TIFF file is truncated: its directory lies beyond its end")
    (entry_count,) = layout.entry_count.unpack_from(data, start)
    if entry_count > _MAX_ENTRIES:
        raise ValueError(f"the TIFF file has a directory of more than {_MAX_ENTRIES} entries")
    fields: dict[int, _Field] = {}
    position = start + layout.entry_count.size
    entry_bytes = layout.entry.size + layout.value_bytes
    for entry in range(position, position + entry_bytes * entry_count, entry_bytes):
        tag, kind, count = layout.entry.unpack_from(data, entry)
        if tag in fields or tag not in _NEEDED:
            continue  # of two entries with one tag, the decoder takes the first too
        if kind not in _TYPES:
            raise ValueError(
                f"the TIFF file has a value of type {kind} for tag {tag}, which is no unsigned whole number"
            )
        dtype = np.dtype(layout.order + _TYPES[kind])
        at = entry + layout.entry.size
        if count * dtype.itemsize > layout.value_bytes:
            (at,) = struct.unpack_from(layout.order + ("I" if layout.value_bytes == 4 else "Q"), data, at)
        if at + count * dtype.itemsize > length:
            raise ValueError(f"the TIFF file is truncated: the value of tag {tag} reaches beyond its end")
        fields[tag] = _Field(at, np.frombuffer(data, dtype, count, at) if count else np.zeros(0, dtype))
    return fields


def _number(fields: Mapping[int, _Field], tag: int, default: int | None = None) -> int:
    field = fields.get(tag)
    if field is None:
        if default is None:
            raise ValueError(f"the TIFF file lacks tag {tag}, or it has no whole number")
        return default
    if field.values.size != 1:
        raise ValueError(f"the TIFF file has {field.values.size} values for tag {tag}, where one must be")
    return int(field.values[0])


def _check_samples(fields: Mapping[int, _Field]) -> bool:
    """Refuse samples and compressions that are not read; return whether samples have 16 bits."""
    sample_format = fields.get(_SAMPLE_FORMAT)
    if sample_format is not None and not np.isin(sample_format.values, (_UNSIGNED, _UNDEFINED)).all():
        raise ValueError("the TIFF file has signed or floating-point samples; unsigned ones of 1 to 16 bits are read")
    bits = {1} if _BITS not in fields else set(fields[_BITS].values.tolist())
    if len(bits) != 1 or not bits <= {1, 2, 4, 8, 16}:
        listed = ", ".join(map(str, sorted(bits))) or "no"
        raise ValueError(f"the TIFF file has samples of {listed} bits; all of 1, 2, 4, 8 or all of 16 are read")
    compression = _number(fields, _COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        raise ValueError(
            f"the TIFF file has compression {compression}; none, CCITT, LZW, JPEG, deflate and PackBits are read"
        )
    return bits == {16}


def _check_pixels_are_inside(
    fields: Mapping[int, _Field], width: int, height: int, plane_count: int, file_length: int
) -> None:
    if width == 0 or height == 0:
        return  # refused with all other formats' empty pictures
    if _TILE_OFFSETS in fields or _TILE_WIDTH in fields:
        columns, rows = _number(fields, _TILE_WIDTH), _number(fields, _TILE_HEIGHT)
        offsets, sizes = fields.get(_TILE_OFFSETS), fields.get(_TILE_BYTES)
    else:
        columns, rows = width, min(_number(fields, _ROWS_PER_STRIP, height), height)
        offsets, sizes = fields.get(_STRIP_OFFSETS), fields.get(_STRIP_BYTES)
    if columns == 0 or rows == 0:
        raise ValueError("the TIFF file has strips or tiles without pixels")
    if offsets is None or sizes is None:
        raise ValueError("the TIFF file does not say where its pixels are")
    across, down = -(-width // columns), -(-height // rows)
    if across * columns * down * rows > 2 * width * height + _MAX_IDLE_PIXELS:
        raise ValueError("the TIFF file has tiles that are far larger than its picture")
    needed = across * down * plane_count
    if min(offsets.values.size, sizes.values.size) < needed:
        raise ValueError("the TIFF file lists too few strips or tiles for its picture")
    starts, lengths = offsets.values[:needed], sizes.values[:needed]
    # Each alone before the sum: two of 64 bits may be too much for one of 64.
    is_inside = starts.max() <= file_length and lengths.max() <= file_length
    if not is_inside or (starts.astype(np.int64) + lengths.astype(np.int64)).max() > file_length:
        raise ValueError("the TIFF file is truncated: its pixels reach beyond its end")
