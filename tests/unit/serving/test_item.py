"""One item of a batch or stream: its answer, its own failure, or what voids the whole call."""

from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from retinue.runtime.caller import Caller
from retinue.runtime.errors import BackendFailed, Cancelled, DeadlineExceeded, InvalidImage, ModelNotFound, Overloaded
from retinue.runtime.ticket import Ticket
from retinue.serving.call import Call
from retinue.serving.item import Begun
from tests.unit.serving.in_process import error_info_of, retry_delay_s, violations_of
from tests.unit.serving.test_call import call_of

SECRET = "/srv/models/secret"  # noqa: S105 - what must not get out


@pytest.fixture
def call() -> Call:
    return call_of(("x-request-id", "r1"))


def ticket_of(caller: Caller | None = None) -> Ticket[str, str]:
    return Ticket("item", caller or Caller(), 0.0)


def begun_with(error: BaseException) -> Begun[Ticket[str, str]]:
    ticket = ticket_of()
    ticket.fail(error)
    return Begun.of("a", lambda: ticket)


def refused_with(error: Exception) -> Begun[Ticket[Any, Any]]:
    def submit() -> Ticket[Any, Any]:
        raise error

    return Begun.of("a", submit)


def test_an_item_that_is_answered_has_no_failure(call: Call) -> None:
    ticket = ticket_of()
    ticket.resolve("answer")
    begun = Begun.of("a", lambda: ticket)
    assert begun.wait_failure(call) is None
    assert begun.ticket is ticket
    assert begun.image_id == "a"
    assert call.facts == {}


@pytest.mark.parametrize("make", [begun_with, refused_with])
def test_a_condition_of_an_item_is_its_status(make: Any, call: Call) -> None:
    status = make(InvalidImage("images[1].encoded", "is no picture")).wait_failure(call)
    assert status is not None
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert (error_info_of(status).reason, error_info_of(status).domain) == ("INVALID_IMAGE", "retinue")
    assert violations_of(status) == [("images[1].encoded", "is no picture")]


@pytest.mark.parametrize("make", [begun_with, refused_with])
def test_an_item_without_room_says_when_to_come_back(make: Any, call: Call) -> None:
    status = make(Overloaded("full", retry_after_s=0.5, cause="queue_full")).wait_failure(call)
    assert status is not None
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert retry_delay_s(status) == 0.5


@pytest.mark.parametrize("error", [BackendFailed(SECRET), ValueError(SECRET)])
def test_a_fault_in_an_item_is_logged_and_told_without_its_text(error: Exception, call: Call) -> None:
    with capture_logs() as logs:
        status = begun_with(error).wait_failure(call)
    assert status is not None
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert SECRET not in str(status)
    assert [(line["event"], line["exc_info"], line["request_id"]) for line in logs] == [("item_failed", error, "r1")]


def test_a_condition_is_not_logged_by_itself(call: Call) -> None:
    with capture_logs() as logs:
        refused_with(ModelNotFound("no model x")).wait_failure(call)
    assert logs == []


def test_failed_items_are_counted_for_the_log_line_of_the_call(call: Call) -> None:
    for _ in range(3):
        refused_with(ModelNotFound("no model x")).wait_failure(call)
    assert call.facts == {"failed_items": 3}


@pytest.mark.parametrize("make", [begun_with, refused_with])
@pytest.mark.parametrize("error", [Cancelled("gone"), DeadlineExceeded("late")])
def test_a_call_that_is_void_is_no_failure_of_an_item(make: Any, error: Exception, call: Call) -> None:
    with pytest.raises(type(error)):
        make(error).wait_failure(call)
    assert call.facts == {}


def test_an_item_whose_deadline_passes_unanswered_voids_the_call(call: Call) -> None:
    late = ticket_of(Caller(deadline_s=0.0))
    with pytest.raises(DeadlineExceeded):
        Begun.of("a", lambda: late).wait_failure(call)


def test_a_fault_while_an_item_is_put_on_its_way_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        refused_with(ZeroDivisionError())


class Several:
    """Tickets that are one item, such as the tiles of a picture."""

    def __init__(self, *tickets: Ticket[str, str]) -> None:
        self.tickets = tickets

    def wait_error(self) -> BaseException | None:
        errors = [ticket.wait_error() for ticket in self.tickets]
        return next((error for error in errors if error is not None), None)


def test_an_item_may_be_anything_that_is_settled_at_some_time(call: Call) -> None:
    good, bad = ticket_of(), ticket_of()
    good.resolve("answer")
    bad.fail(InvalidImage("image", "is no picture"))

    assert Begun.of("a", lambda: Several(good, good)).wait_failure(call) is None
    status = Begun.of("a", lambda: Several(good, bad)).wait_failure(call)
    assert status is not None
    assert error_info_of(status).reason == "INVALID_IMAGE"
