import grpc
import pytest

from retinue.client.errors import CallFailed, DeadlinePassed
from retinue.client.slide_answer import SlideEvent, SlideInstances, SlideSummary
from retinue.client.slide_order import Asked, SlideOrder
from retinue.client.stream_order import Answered, Ended, Exhausted, Sent
from retinue.client.timings import Timings

THINGS = SlideInstances(())
SUMMARY = SlideSummary("", (), 0, 0, "rounds", "1", Timings(0.0, 0.0, 0.0, 0.0, 0.0, 1))


def order() -> SlideOrder:
    return SlideOrder(timeout_s=10.0, request_id="r-1", now_s=100.0)


def answered(event: SlideEvent, at_s: float) -> Answered[SlideEvent]:
    return Answered(event, at_s)


def test_events_are_given_out_and_the_summary_ends_them() -> None:
    one = order()
    assert one.take(answered(THINGS, 101.0)) is THINGS
    assert one.take(answered(SUMMARY, 102.0)) is SUMMARY
    assert not one.is_over
    assert one.take(Ended()) is None
    assert one.is_over


def test_an_end_without_a_summary_is_a_failure() -> None:
    one = order()
    one.take(answered(THINGS, 101.0))
    with pytest.raises(CallFailed, match=r"before its summary \[request r-1\]"):
        one.take(Ended())


def test_failures_of_service_and_source_are_raised() -> None:
    failure = CallFailed(grpc.StatusCode.INTERNAL, "no")
    with pytest.raises(CallFailed) as raised:
        order().take(Ended(failure))
    assert raised.value is failure
    with pytest.raises(FileNotFoundError):
        order().take(Exhausted(FileNotFoundError()))


def test_patience_counts_from_the_last_sign_of_life() -> None:
    one = order()
    assert one.patience_s(104.0) == 6.0
    one.take(Sent(105.0))
    assert one.patience_s(106.0) == 9.0
    one.take(answered(THINGS, 107.0))
    assert one.patience_s(116.0) == 1.0
    assert one.patience_s(200.0) == 0.0


def test_the_callers_own_tiles_may_take_any_time() -> None:
    one = order()
    one.take(Asked())
    assert one.patience_s(1e9) is None
    one.take(Sent(1000.0))
    assert one.patience_s(1001.0) == 9.0
    one.take(Asked())
    one.take(Exhausted())
    assert one.patience_s(1002.0) == 8.0


def test_a_caller_that_was_busy_waits_anew() -> None:
    one = order()
    one.resume(500.0)
    assert one.patience_s(501.0) == 9.0


def test_lateness_says_how_long() -> None:
    late = order().late()
    assert isinstance(late, DeadlinePassed)
    assert "no answer for 10 s" in str(late)
