"""One tensor of a graph against what a manifest needs of it."""

from typing import Any, Literal

import pytest

from retinue.runtime.backend import TensorInfo
from retinue.runtime.contract import FREE, check_tensor
from retinue.runtime.errors import PackageInvalid
from tests.unit.runtime.numbers_read import manifest_of

Shape = tuple[int | None, ...]


def check(
    there: Shape, wanted: Shape, *, dtype: str = "tensor(float)", kind: Literal["input", "output"] = "output"
) -> Any:
    """Return what is said of a tensor ``x`` of that shape, where a float of another is wanted."""
    info = TensorInfo("x", dtype, there)
    return check_tensor(manifest_of(), kind, {"x": info, "y": info}, "x", "float", wanted)


def problem(there: Shape, wanted: Shape, **changes: Any) -> str:
    with pytest.raises(PackageInvalid) as raised:
        check(there, wanted, **changes)
    message: str = raised.value.message
    return message


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ((), ()),
        ((4,), (4,)),
        ((None,), (4,)),  # may turn out to be 4
        ((None,), (None,)),
        ((7,), (None,)),
        ((0,), (None,)),
        ((None,), (FREE,)),
        ((None, 3, 5), (FREE, 3, None)),
    ],
)
def test_sides_that_may_be_as_wanted_are_good(there: Shape, wanted: Shape) -> None:
    assert check(there, wanted) == TensorInfo("x", "tensor(float)", there)


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ((5,), (4,)),
        ((4,), ()),
        ((), (4,)),
        ((4, 4), (4,)),
        ((None,), (None, None)),
        ((1,), (FREE,)),  # would not take another batch
        ((0,), (FREE,)),
        ((None, 4), (FREE, FREE)),
        ((None, 3, 4), (FREE, 4, 3)),
    ],
)
def test_sides_that_cannot_be_as_wanted_are_refused(there: Shape, wanted: Shape) -> None:
    assert "output x is tensor(float)" in problem(there, wanted)


@pytest.mark.parametrize("dtype", ["tensor(double)", "tensor(float16)", "float", "seq(tensor(float))", ""])
def test_another_type_is_refused(dtype: str) -> None:
    assert problem((4,), (4,), dtype=dtype) == f"digits@1: output x is {dtype}[4], the manifest needs tensor(float)[4]"


def test_the_message_says_what_is_there_and_what_is_needed() -> None:
    assert problem((1, None, 3), (FREE, None, 4), kind="input") == (
        "digits@1: input x is tensor(float)[1, None, 3], the manifest needs tensor(float)[batch, any, 4]"
    )


@pytest.mark.parametrize("kind", ["input", "output"])
def test_a_tensor_that_is_not_there_is_named(kind: Literal["input", "output"]) -> None:
    with pytest.raises(PackageInvalid) as raised:
        check_tensor(manifest_of(), kind, {}, "logits", "float", (None,))
    assert raised.value.message == f"digits@1: the graph has no {kind} logits"
