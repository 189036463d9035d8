from typing import Any

import numpy as np
import pytest

from retinue.client.number_lists import doubles, flags_of, indices, integers_of, numbers_of, rows_of


def test_nothing_is_an_empty_list() -> None:
    assert rows_of(None, "x", 4) == rows_of([], "x", 4) == rows_of(np.zeros((0, 2)), "x", 4) == []
    assert numbers_of(None, "x") == integers_of(None, "x") == integers_of([], "x") == flags_of([], "x") == []


def test_every_real_dtype_is_taken() -> None:
    for dtype in (np.float16, np.float32, np.int8, np.uint64, np.bool_):
        assert numbers_of(np.array([0, 1], dtype), "x") == [0.0, 1.0]
    assert integers_of(np.array([7], np.uint8), "x") == [7]
    assert flags_of(np.array([0, 1]), "x") == flags_of([False, True], "x") == [False, True]


def test_the_layout_of_memory_does_not_matter() -> None:
    rows = np.arange(8.0).reshape(2, 4)
    assert rows_of(np.asfortranarray(rows), "x", 4) == rows_of(rows[::-1][::-1], "x", 4) == list(range(8))


@pytest.mark.parametrize("values", [[[1, 2]], 3, [["a", "b"]], [[1, 2], [3]], [object()]])
def test_what_is_no_vector_is_named(values: Any) -> None:
    for read in (numbers_of, integers_of, flags_of):
        with pytest.raises(ValueError, match=r"^here "):
            read(values, "here")


@pytest.mark.parametrize("values", [[0, 2], [0.0, 1.0], ["x"]])
def test_flags_are_true_or_false(values: Any) -> None:
    with pytest.raises(ValueError, match="must be booleans"):
        flags_of(values, "x")


def test_numbers_of_messages_become_arrays() -> None:
    assert doubles([1.5, 2.0]).tolist() == [1.5, 2.0]
    assert doubles([]).dtype == np.float64
    assert indices([]).dtype == np.int64
