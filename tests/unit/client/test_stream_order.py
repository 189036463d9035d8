import grpc
import pytest

from retinue.client.errors import CallFailed, ItemError
from retinue.client.stream_order import Answered, Ended, Exhausted, Refused, Sent, StreamOrder

BAD = ItemError("bad", grpc.StatusCode.INVALID_ARGUMENT, "no picture")
FAILURE = CallFailed(grpc.StatusCode.INTERNAL, "internal error")


@pytest.fixture
def order() -> StreamOrder[str]:
    return StreamOrder(timeout_s=5.0, request_id="r")


def test_a_refused_picture_waits_for_those_before_it(order: StreamOrder[str]) -> None:
    assert order.take(Refused(BAD)) == [BAD]
    assert order.take(Sent(0.0)) == []
    assert order.take(Refused(BAD)) == []
    assert order.take(Refused(BAD)) == []
    assert order.take(Answered("first", 1.0)) == ["first", BAD, BAD]


def test_it_is_over_when_all_is_answered(order: StreamOrder[str]) -> None:
    for event in (Sent(0.0), Exhausted(), Answered("only", 1.0)):
        order.take(event)
        assert not order.is_over
    order.take(Ended())
    assert order.is_over


def test_a_failure_after_the_last_answer_harms_nobody(order: StreamOrder[str]) -> None:
    for event in (Sent(0.0), Exhausted(), Answered("only", 1.0), Ended(FAILURE)):
        order.take(event)
    assert order.is_over


def test_a_failure_with_pictures_unanswered_is_raised(order: StreamOrder[str]) -> None:
    order.take(Sent(0.0))
    order.take(Exhausted())
    with pytest.raises(CallFailed, match="internal error"):
        order.take(Ended(FAILURE))


def test_an_end_while_pictures_are_still_coming_is_a_failure(order: StreamOrder[str]) -> None:
    with pytest.raises(CallFailed, match="before all pictures were answered"):
        order.take(Ended())


def test_an_answer_to_nothing_is_a_failure(order: StreamOrder[str]) -> None:
    with pytest.raises(CallFailed, match="more pictures than it was sent"):
        order.take(Answered("whose", 0.0))


def test_patience_runs_from_the_later_of_sending_and_the_last_answer(order: StreamOrder[str]) -> None:
    assert order.patience_s(0.0) is None, "nothing is due"
    order.take(Sent(10.0))
    order.take(Sent(11.0))
    assert order.patience_s(12.0) == 3.0
    order.take(Answered("first", 14.0))
    assert order.patience_s(15.0) == 4.0
    assert order.patience_s(100.0) == 0.0
    order.take(Answered("second", 100.0))
    assert order.patience_s(101.0) is None
