import pytest

from retinue.client.call import plan_call


def test_a_call_has_the_default_deadline_unless_it_names_one() -> None:
    assert plan_call(10.0).timeout_s == 10.0
    assert plan_call(10.0, 2).timeout_s == 2.0


@pytest.mark.parametrize("request_id", ["", "a b", "ä", "a\nb", "x" * 129])
def test_an_id_that_cannot_be_a_header_is_refused(request_id: str) -> None:
    with pytest.raises(ValueError, match="request_id"):
        plan_call(10.0, request_id=request_id)
