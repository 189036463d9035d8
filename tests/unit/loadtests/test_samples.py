import doctest
import math

import pytest

from loadtests.load import samples
from loadtests.load.samples import Sample, quantile, summary_of


def sample(latency_s: float, code: str = "OK", items: int = 1) -> Sample:
    return Sample("classification.unary", 0.0, latency_s, latency_s, code, items)


def test_examples_hold() -> None:
    assert doctest.testmod(samples).failed == 0


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_quantile_is_a_value_that_was_seen(share: float, wanted: float) -> None:
    assert quantile([float(value) for value in range(100, 0, -1)], share) == wanted


def test_nothing_has_no_quantile() -> None:
    assert math.isnan(quantile([], 0.5))


def test_an_answer_after_the_deadline_is_no_goodput_and_no_error() -> None:
    summary = summary_of(
        [sample(0.5), sample(1.5), sample(0.1, "UNAVAILABLE", 0), sample(0.2, "INCOMPLETE", 3)], 1.0, 2.0
    )
    assert (summary.call_count, summary.good_count, summary.answered_item_count) == (4, 1, 5)
    assert (summary.error_ratio, summary.goodput_ratio) == (0.5, 0.25)
    assert (summary.rate_hz, summary.items_hz, summary.max_s) == (1.0, 2.5, 1.5)
