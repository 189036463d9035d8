"""Limits of an engine: at least one of everything."""

import pytest

from retinue.runtime.engine_size import EngineSize


def test_delay_and_pixels_need_not_be_limited() -> None:
    size = EngineSize(1, 2, 3, 4)
    assert (size.max_batch_pixels, size.max_delay_s) == (None, 0.0)


@pytest.mark.parametrize(
    "limits", [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0), (1, 1, 1, 1, 0), (1, 1, 1, 1, None, -0.1)]
)
def test_limit_that_lets_nothing_through_is_refused(limits: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        EngineSize(*limits)
