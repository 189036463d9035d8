import struct

import numpy as np
import pytest

from retinue.oip.open_inference_pb2 import InferTensorContents
from retinue.runtime.errors import InvalidInput
from retinue.serving.tensors import DTYPES, decode_contents, decode_raw, element_count, encode_raw

FIELD = "inputs[0]"
NUMERIC = [datatype for datatype in DTYPES if datatype != "BYTES"]


def elements(*values: bytes) -> bytes:
    """Return BYTES elements as they travel."""
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


@pytest.mark.parametrize("datatype", NUMERIC)
def test_raw_numbers_survive_the_round_trip(datatype: str) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype=DTYPES[datatype])
    raw = encode_raw(datatype, array)
    back = decode_raw(datatype, (2, 3), raw, FIELD)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_raw_numbers_are_little_endian_and_row_major() -> None:
    array = np.asfortranarray(np.array([[1, 2], [3, 4]], dtype=">u2"))
    assert encode_raw("UINT16", array) == struct.pack("<4H", 1, 2, 3, 4)


def test_raw_numbers_are_read_without_a_copy() -> None:
    raw = bytes(64)
    assert not decode_raw("FP32", (4, 4), raw, FIELD).flags.owndata


def test_scalar_has_one_element() -> None:
    assert decode_raw("INT32", (), struct.pack("<i", 7), FIELD).item() == 7


def test_any_byte_but_zero_is_true() -> None:
    array = decode_raw("BOOL", (3,), b"\x00\x01\x02", FIELD)
    assert array.view(np.uint8).tolist() == [0, 1, 1]  # numpy takes every bool for 0 or 1


def test_byte_elements_keep_their_trailing_zeros() -> None:
    values = [b"\xff\xd8\x00\x00", b"", b"\x00"]
    array = decode_raw("BYTES", (3, 1), elements(*values), FIELD)
    assert array.shape == (3, 1)
    assert array.ravel().tolist() == values
    assert encode_raw("BYTES", array) == elements(*values)


@pytest.mark.parametrize(
    ("raw", "shape", "problem"),
    [
        (b"", (1,), "too few"),
        (b"\x01\x00\x00", (1,), "too few"),
        (elements(b"abc")[:-1], (1,), "element 0 claims 3 bytes; 2 are left"),
        (b"\xff\xff\xff\xff" + b"abc", (1,), "element 0 claims 4294967295 bytes; 3 are left"),
        (elements(b"abcdef") + b"\x01\x00", (2,), "inside the length of element 1"),
        (elements(b"ab", b"c"), (1,), "5 raw bytes are left after 1 element"),
        (elements(b"ab"), (0,), "6 raw bytes are left after 0 elements"),
        (elements(b"ab"), (2**29 - 1,), "too few"),
    ],
)
def test_lying_lengths_are_refused(raw: bytes, shape: tuple[int, ...], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        decode_raw("BYTES", shape, raw, FIELD)
    assert caught.value.field == FIELD


@pytest.mark.parametrize("byte_count", [0, 23, 25])
def test_raw_bytes_that_do_not_fit_the_shape_are_refused(byte_count: int) -> None:
    with pytest.raises(InvalidInput, match=rf"{byte_count} raw bytes, but FP32 \[2, 3\] takes 24"):
        decode_raw("FP32", (2, 3), bytes(byte_count), FIELD)


@pytest.mark.parametrize(
    ("datatype", "shape", "field"),
    [
        ("FP32", (2, -1), "inputs[0].shape"),
        ("FP32", (-2, -3), "inputs[0].shape"),
        ("FP32", (2**40,), "inputs[0].shape"),
        ("FP32", (0, 2**62, 2**62), "inputs[0].shape"),
        ("BYTES", (2**40,), "inputs[0].shape"),
        ("UINT8", (1,) * 33, "inputs[0].shape"),
        ("BF16", (1,), "inputs[0].datatype"),
        ("fp32", (1,), "inputs[0].datatype"),
        ("", (1,), "inputs[0].datatype"),
    ],
)
def test_shape_or_datatype_that_cannot_be_is_refused(datatype: str, shape: tuple[int, ...], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        element_count(datatype, shape, FIELD)
    assert caught.value.field == field


def test_empty_shape_takes_no_bytes() -> None:
    assert decode_raw("FP64", (0, 5), b"", FIELD).shape == (0, 5)
    assert decode_raw("BYTES", (0, 5), b"", FIELD).shape == (0, 5)


@pytest.mark.parametrize(
    ("datatype", "contents"),
    [
        ("BOOL", InferTensorContents(bool_contents=[False, True])),
        ("UINT8", InferTensorContents(uint_contents=[0, 255])),
        ("UINT16", InferTensorContents(uint_contents=[0, 65535])),
        ("UINT32", InferTensorContents(uint_contents=[0, 2**32 - 1])),
        ("UINT64", InferTensorContents(uint64_contents=[0, 2**64 - 1])),
        ("INT8", InferTensorContents(int_contents=[-128, 127])),
        ("INT16", InferTensorContents(int_contents=[-(2**15), 2**15 - 1])),
        ("INT32", InferTensorContents(int_contents=[-(2**31), 2**31 - 1])),
        ("INT64", InferTensorContents(int64_contents=[-(2**63), 2**63 - 1])),
        ("FP32", InferTensorContents(fp32_contents=[0.5, -1.0])),
        ("FP64", InferTensorContents(fp64_contents=[0.1, -1e300])),
        ("BYTES", InferTensorContents(bytes_contents=[b"\x00", b"ab\x00"])),
    ],
)
def test_typed_contents_become_an_array_of_their_datatype(datatype: str, contents: InferTensorContents) -> None:
    array = decode_contents(datatype, (1, 2), contents, FIELD)
    (_, values), *_ = contents.ListFields()
    assert array.shape == (1, 2)
    assert array.dtype == DTYPES[datatype]
    assert array.ravel().tolist() == list(values)


@pytest.mark.parametrize(
    ("datatype", "contents", "field"),
    [
        ("UINT8", InferTensorContents(uint_contents=[0, 256]), "inputs[0].contents.uint_contents"),
        ("INT8", InferTensorContents(int_contents=[-129, 0]), "inputs[0].contents.int_contents"),
        ("INT64", InferTensorContents(int_contents=[1, 2]), "inputs[0].contents.int_contents"),
        (
            "FP32",
            InferTensorContents(fp32_contents=[1, 2], fp64_contents=[1, 2]),
            "inputs[0].contents.fp64_contents",
        ),
        ("FP32", InferTensorContents(fp32_contents=[1]), "inputs[0].contents.fp32_contents"),
        ("FP32", InferTensorContents(fp32_contents=[1, 2, 3]), "inputs[0].contents.fp32_contents"),
        ("FP32", InferTensorContents(), "inputs[0].contents.fp32_contents"),
        ("FP16", InferTensorContents(fp32_contents=[1, 2]), "inputs[0].contents"),
    ],
)
def test_typed_contents_that_do_not_fit_are_refused(datatype: str, contents: InferTensorContents, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_contents(datatype, (2,), contents, FIELD)
    assert caught.value.field == field
