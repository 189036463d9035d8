"""Whatever the bytes are, a tensor is read exactly or refused as invalid."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from retinue.runtime.errors import InvalidInput
from retinue.serving.tensors import DTYPES, decode_raw, encode_raw

NUMERIC = [datatype for datatype in DTYPES if datatype != "BYTES"]
SHAPES = stn.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@given(st.data(), st.sampled_from(NUMERIC), SHAPES)
def test_numbers_survive_the_round_trip(data: st.DataObject, datatype: str, shape: tuple[int, ...]) -> None:
    array = data.draw(stn.arrays(DTYPES[datatype], shape))
    raw = encode_raw(datatype, array)
    back = decode_raw(datatype, shape, raw, "inputs[0]")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    assert encode_raw(datatype, back) == raw


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_byte_elements_survive_the_round_trip(values: list[bytes]) -> None:
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    back = decode_raw("BYTES", (len(values), 1), encode_raw("BYTES", array), "inputs[0]")
    assert back.ravel().tolist() == values


@given(
    st.sampled_from([*DTYPES, "BF16", "STRING", ""]),
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 9), max_size=40),
    st.binary(max_size=80),
)
def test_hostile_tensor_is_read_or_refused(datatype: str, shape: list[int], raw: bytes) -> None:
    try:
        array = decode_raw(datatype, shape, raw, "inputs[0]")
    except InvalidInput:
        return
    assert array.shape == tuple(shape)
    assert datatype == "BOOL" or encode_raw(datatype, array) == raw


@given(st.integers(0, 6), st.binary(max_size=60))
def test_hostile_byte_elements_are_read_exactly_or_refused(count: int, raw: bytes) -> None:
    try:
        array = decode_raw("BYTES", (count,), raw, "inputs[0]")
    except InvalidInput:
        return
    assert encode_raw("BYTES", array) == raw
