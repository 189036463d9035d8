import pickle
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from retinue.client.errors import CallFailed, DeadlinePassed, Overloaded, ServiceUnavailable, call_failed, item_error
from tests.unit.client.scripted_service import error_status


class Failure(grpc.RpcError):
    """What gRPC raises, as far as it is read."""

    def __init__(self, code: grpc.StatusCode | None, trailing: Any = ()) -> None:
        super().__init__()
        self._code, self._trailing = code, trailing

    def code(self) -> Any:
        return self._code

    def details(self) -> str | None:
        return None

    def trailing_metadata(self) -> Any:
        return self._trailing


def with_details(*messages: Any) -> status_pb2.Status:
    details = [any_pb2.Any() for _ in messages]
    for detail, message in zip(details, messages, strict=True):
        detail.Pack(message)
    return status_pb2.Status(code=8, details=details)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlinePassed),
        (grpc.StatusCode.UNAVAILABLE, ServiceUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, CallFailed),
        (grpc.StatusCode.INTERNAL, CallFailed),
    ],
)
def test_the_code_decides_the_kind(code: grpc.StatusCode, kind: type[CallFailed]) -> None:
    assert type(call_failed(Failure(code), "r")) is kind


@pytest.mark.parametrize("trailing", [None, (), (("other", "x"),), (("grpc-status-details-bin", "text"),)])
def test_absent_details_leave_the_rest(trailing: Any) -> None:
    failure = call_failed(Failure(None, trailing), "r")
    assert (failure.code, failure.message, failure.reason) == (grpc.StatusCode.UNKNOWN, "", "")


def test_an_overload_is_told_by_its_reason_or_its_hint() -> None:
    for status in (error_status(8, "OVERLOADED"), error_status(8, "OTHER", retry_after_s=0.5)):
        trailing = (("grpc-status-details-bin", status.SerializeToString()),)
        assert type(call_failed(Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, trailing), "r")) is Overloaded


def test_of_details_the_first_that_can_be_read_counts() -> None:
    broken = any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    foreign = any_pb2.Any(type_url="type.example/unknown.Kind", value=b"\xff")
    status = with_details(error_details_pb2.ErrorInfo(reason="FIRST"), error_details_pb2.ErrorInfo(reason="SECOND"))
    status.details.insert(0, broken)
    status.details.insert(0, foreign)
    assert item_error("x", status, "r").reason == "FIRST"


def test_a_negative_hint_is_no_hint() -> None:
    status = with_details(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=-5)))
    assert item_error("x", status, "r").retry_after_s is None


@pytest.mark.parametrize("code", [0, 17, 999, -1])
def test_a_code_that_is_none_of_an_error_is_unknown(code: int) -> None:
    error = item_error("x", status_pb2.Status(code=code, message="odd"), "r")
    assert (error.code, error.message) == (grpc.StatusCode.UNKNOWN, "odd")


def test_a_failure_survives_the_way_between_processes() -> None:
    failure = Overloaded(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "OVERLOADED", {"limit": "5"}, 0.5, "r-1")
    copy = pickle.loads(pickle.dumps(failure))  # noqa: S301 - our own bytes
    assert type(copy) is Overloaded
    assert vars(copy) == vars(failure)
    assert str(copy) == "RESOURCE_EXHAUSTED (OVERLOADED): full [request r-1]"
