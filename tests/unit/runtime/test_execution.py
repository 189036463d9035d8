"""How graphs are run: which sizes of batches, and what could not run."""

from typing import Any

import pytest

from retinue.runtime.execution import Execution


@pytest.mark.parametrize(
    ("most", "sizes"), [(1, (1,)), (2, (1, 2)), (8, (1, 2, 4, 8)), (6, (1, 2, 4, 6)), (9, (1, 2, 4, 8, 9))]
)
def test_batches_are_of_powers_of_two_and_of_the_largest_size(most: int, sizes: tuple[int, ...]) -> None:
    assert Execution(max_batch_size=most).batch_sizes == sizes


@pytest.mark.parametrize("wrong", [{"providers": ()}, {"workers": 0}, {"threads": 0}, {"max_batch_size": 0}])
def test_what_could_not_run_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Execution(**wrong)
