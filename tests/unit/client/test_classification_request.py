from typing import Any

import pytest

from retinue.client.classification_request import ClassifyKeywords, plan_classification


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("top_k", 0),
        ("top_k", -1),
        ("top_k", 2**31),
        ("score_threshold", -0.1),
        ("score_threshold", 1.1),
        ("score_threshold", float("nan")),
        ("activation", "relu"),
        ("model", ""),
        ("timeout_s", -1),
        ("request_id", "a b"),
    ],
)
def test_a_keyword_out_of_range_is_named(keyword: str, value: Any) -> None:
    keywords: Any = {keyword: value}
    with pytest.raises(ValueError, match=keyword):
        plan_classification(10.0, 10_000, keywords)


def test_none_is_the_default_of_every_keyword() -> None:
    given = plan_classification(
        10.0,
        10_000,
        ClassifyKeywords(
            model=None, top_k=None, score_threshold=None, activation=None, timeout_s=None, request_id=None
        ),
    )
    absent = plan_classification(10.0, 10_000, ClassifyKeywords())
    assert (given.model, given.options) == (absent.model, absent.options)
