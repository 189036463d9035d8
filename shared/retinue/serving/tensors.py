"""Tensors of the Open Inference Protocol: from the wire to numpy arrays, and back.

Raw contents are little-endian, row by row, without padding. An element of BYTES stands behind its length, an unsigned
32-bit integer; in arrays it is a `bytes` object, since numpy's own byte strings lose trailing zeros.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.oip.open_inference_pb2 import InferTensorContents
from retinue.runtime.errors import InvalidInput

BYTES = "BYTES"
# BF16 is left out: numpy has no such type.
DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    BYTES: np.dtype(object),
}
# Field of InferTensorContents by datatype, and the type that its values are read into. FP16 travels raw only.
_TYPED: Mapping[str, tuple[str, str]] = {
    "BOOL": ("bool_contents", "?"),
    "UINT8": ("uint_contents", "u4"),
    "UINT16": ("uint_contents", "u4"),
    "UINT32": ("uint_contents", "u4"),
    "UINT64": ("uint64_contents", "u8"),
    "INT8": ("int_contents", "i4"),
    "INT16": ("int_contents", "i4"),
    "INT32": ("int_contents", "i4"),
    "INT64": ("int64_contents", "i8"),
    "FP32": ("fp32_contents", "f4"),
    "FP64": ("fp64_contents", "f8"),
    BYTES: ("bytes_contents", "O"),
}
_LENGTH = struct.Struct("<I")
_MAX_RANK = 32
_MAX_BYTES = 2**31 - 1  # of one gRPC message


def element_count(datatype: str, shape: Sequence[int], field: str) -> int:
    """Return how many elements a tensor has.

    Args:
        datatype: type of the elements.
        shape: length of each dimension.
        field: where the tensor stands in the request, for messages.

    Returns:
        The product of the lengths; 1 without dimensions.

    Raises:
        InvalidInput: the datatype is unknown, a length is negative, or no message could hold such a tensor.

    >>> element_count("FP32", (2, 3), "inputs[0]")
    6
    """
    dtype = DTYPES.get(datatype)
    if dtype is None:
        raise InvalidInput(f"{field}.datatype", f"{datatype!r} is not supported; supported are {', '.join(DTYPES)}")
    if len(shape) > _MAX_RANK:
        raise InvalidInput(f"{field}.shape", f"has {len(shape)} dimensions; at most {_MAX_RANK} are allowed")
    if shape and min(shape) < 0:
        raise InvalidInput(f"{field}.shape", f"{list(shape)} has a negative length")
    # Lengths beside a zero are counted too: numpy refuses shapes whose other lengths multiply beyond its integers.
    if math.prod(max(length, 1) for length in shape) * (4 if datatype == BYTES else dtype.itemsize) > _MAX_BYTES:
        raise InvalidInput(f"{field}.shape", f"{list(shape)} of {datatype} is more than {_MAX_BYTES} bytes")
    return math.prod(shape)


def decode_raw(datatype: str, shape: Sequence[int], raw: bytes, field: str) -> NDArray[Any]:
    r"""Return a tensor from its raw contents.

    Args:
        datatype: type of the elements.
        shape: length of each dimension.
        raw: the elements as `raw_input_contents` holds them.
        field: where the tensor stands in the request, for messages.

    Returns:
        An array of that shape, read-only where it shares memory with ``raw``.

    Raises:
        InvalidInput: the datatype is unknown, or the bytes do not fit the shape.

    >>> decode_raw("INT16", (2,), b"\x01\x00\x02\x00", "inputs[0]")
    array([1, 2], dtype=int16)
    """
    count = element_count(datatype, shape, field)
    if datatype == BYTES:
        return _objects(_elements(raw, count, field), shape)
    dtype = DTYPES[datatype]
    if len(raw) != count * dtype.itemsize:
        raise InvalidInput(field, f"{len(raw)} raw bytes, but {datatype} {list(shape)} takes {count * dtype.itemsize}")
    if datatype == "BOOL":  # a bool that is neither 0 nor 1 would break numpy's promises
        return np.frombuffer(raw, np.uint8).astype(np.bool_).reshape(shape)
    array: NDArray[Any] = np.frombuffer(raw, dtype)
    return array.reshape(shape)


def decode_contents(datatype: str, shape: Sequence[int], contents: InferTensorContents, field: str) -> NDArray[Any]:
    """Return a tensor from its typed contents.

    Args:
        datatype: type of the elements.
        shape: length of each dimension.
        contents: the elements as values.
        field: where the tensor stands in the request, for messages.

    Raises:
        InvalidInput: the datatype is unknown or travels raw only, values stand in another type's field, are too few,
            too many, or out of the datatype's range.
    """
    count = element_count(datatype, shape, field)
    if datatype not in _TYPED:
        raise InvalidInput(f"{field}.contents", f"{datatype} travels in raw_input_contents only")
    name, wide = _TYPED[datatype]
    for descriptor, _ in contents.ListFields():
        if descriptor.name != name:
            raise InvalidInput(f"{field}.contents.{descriptor.name}", f"{datatype} belongs into {name}")
    values = getattr(contents, name)
    if len(values) != count:
        raise InvalidInput(f"{field}.contents.{name}", f"{len(values)} values, but {list(shape)} takes {count}")
    if datatype == BYTES:
        return _objects(values, shape)
    array = np.fromiter(values, wide, count)
    dtype = DTYPES[datatype]
    if dtype.kind in "iu" and dtype.itemsize < array.itemsize and count:
        info = np.iinfo(dtype)
        if array.min() < info.min or array.max() > info.max:
            raise InvalidInput(f"{field}.contents.{name}", f"a value is outside {datatype}'s {info.min} to {info.max}")
    return array.astype(dtype, copy=False).reshape(shape)


def encode_raw(datatype: str, array: NDArray[Any]) -> bytes:
    r"""Return a tensor's raw contents.

    Args:
        datatype: type of the elements; numbers are cast to it.
        array: any shape; for BYTES an object array of `bytes`.

    >>> encode_raw("BYTES", np.array([b"ab", b""], dtype=object))
    b'\x02\x00\x00\x00ab\x00\x00\x00\x00'
    """
    if datatype == BYTES:
        return b"".join(part for element in array.flat for part in (_LENGTH.pack(len(element)), element))
    return array.astype(DTYPES[datatype], copy=False).tobytes()


def _elements(raw: bytes, count: int, field: str) -> list[bytes]:
    """Return the elements of BYTES; every length is checked before it is believed."""
    offset, end = 0, len(raw)
    if count * _LENGTH.size > end:
        raise InvalidInput(field, f"{end} raw bytes are too few for the lengths of {count} elements")
    elements = []
    for index in range(count):
        start = offset + _LENGTH.size
        if start > end:
            raise InvalidInput(field, f"the raw bytes end inside the length of element {index}")
        offset = start + _LENGTH.unpack_from(raw, offset)[0]
        if offset > end:
            raise InvalidInput(field, f"element {index} claims {offset - start} bytes; {end - start} are left")
        elements.append(raw[start:offset])
    if offset != end:
        raise InvalidInput(field, f"{end - offset} raw bytes are left after {count} elements")
    return elements


def _objects(elements: Sequence[bytes], shape: Sequence[int]) -> NDArray[Any]:
    """Return the elements as an object array; assigned one by one, since numpy must not look into them."""
    array = np.empty(len(elements), dtype=object)
    for index, element in enumerate(elements):
        array[index] = element
    return array.reshape(shape)
