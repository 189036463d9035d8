import pytest

from retinue.client.keywords import CallKeywords, check_known, checked_count, checked_share, parse_model


@pytest.mark.parametrize("text", ["", "@", "@1", "pets@"])
def test_a_model_without_a_name_or_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name@version"):
        parse_model(text)


class Keywords(CallKeywords, total=False):
    top_k: int | None


def test_a_keyword_that_is_not_known_is_named_with_those_that_are() -> None:
    check_known({"model": "pets", "top_k": 3}, Keywords)
    with pytest.raises(TypeError, match="unknown keyword topk; known: timeout_s, request_id, model, top_k"):
        check_known({"topk": 3}, Keywords)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_what_is_no_share_is_named(value: float) -> None:
    with pytest.raises(ValueError, match="iou_threshold"):
        checked_share("iou_threshold", value)


@pytest.mark.parametrize("value", [0, -1, 2**31])
def test_what_is_no_count_is_named(value: int) -> None:
    with pytest.raises(ValueError, match="top_k"):
        checked_count("top_k", value)


def test_bounds_and_none_are_allowed() -> None:
    assert [checked_share("x", value) for value in (0, 1, None)] == [0, 1, None]
    assert [checked_count("x", value) for value in (1, 2**31 - 1, None)] == [1, 2**31 - 1, None]
