"""How calls and pictures fail: `CallFailed` is raised for a call, `ItemError` stands for one picture among others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY = "grpc-status-details-bin"
_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class CallFailed(Exception):
    """A call that got no answer.

    Args:
        code: the gRPC status code.
        message: what was wrong and what is allowed, for people.
        reason: what was wrong, for programs, such as ``MODEL_NOT_FOUND``; empty where the failure is gRPC's own.
        metadata: the facts of the message, such as ``field`` or ``limit``.
        retry_after_s: how long to wait before asking again, seconds; None where the service gave no hint.
        request_id: what the call is called in the service's logs.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        # All of them, so that the exception survives pickling between processes.
        super().__init__(code, message, reason, metadata, retry_after_s, request_id)
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s
        self.request_id = request_id

    def __str__(self) -> str:
        kind = f"{self.code.name} ({self.reason})" if self.reason else self.code.name
        return f"{kind}: {self.message} [request {self.request_id}]"


class Overloaded(CallFailed):
    """The service has no room; wait about ``retry_after_s`` before asking again."""


class DeadlinePassed(CallFailed):
    """There was no answer within the time allowed."""


class ServiceUnavailable(CallFailed):
    """No replica could be reached or was ready, also after the channel's own retries."""


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why one picture of a batch or stream has no answer; its neighbours have theirs.

    A picture that could not be sent has the reason ``PICTURE_UNREADABLE`` or ``PICTURE_INVALID``; all other reasons are
    the service's. The fields are those of `CallFailed`.
    """

    image_id: str
    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    retry_after_s: float | None = None
    request_id: str = ""


def call_failed(error: grpc.RpcError, request_id: str) -> CallFailed:
    """Return what a failed call, blocking or not, tells; details that cannot be read count as absent."""
    call: Any = error  # code(), details() and trailing_metadata() are there, but grpc.RpcError does not declare them
    code: grpc.StatusCode = call.code() or grpc.StatusCode.UNKNOWN
    reason, metadata, retry_after_s = "", dict[str, str](), None
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            reason, metadata, retry_after_s = _read_details(_parse_status(value).details)
    kind = CallFailed
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        kind = DeadlinePassed
    elif code is grpc.StatusCode.UNAVAILABLE:
        kind = ServiceUnavailable
    elif code is grpc.StatusCode.RESOURCE_EXHAUSTED and (reason == "OVERLOADED" or retry_after_s is not None):
        kind = Overloaded  # the code alone may also mean a message above gRPC's own size limit
    return kind(code, call.details() or "", reason, metadata, retry_after_s, request_id)


def item_error(image_id: str, status: status_pb2.Status, request_id: str) -> ItemError:
    """Return what the status of one picture tells; a code that gRPC does not know, or OK, becomes UNKNOWN."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    message = status.message
    if code is grpc.StatusCode.OK:
        code, message = grpc.StatusCode.UNKNOWN, message or "the service gave neither an answer nor an error"
    reason, metadata, retry_after_s = _read_details(status.details)
    return ItemError(image_id, code, message, reason, metadata, retry_after_s, request_id)


def picture_refused(image_id: str, error: OSError | ValueError, request_id: str) -> ItemError:
    """Return the error of a picture that was not sent."""
    if isinstance(error, OSError):
        message, reason = error.strerror or type(error).__name__, "PICTURE_UNREADABLE"
    else:
        message, reason = str(error), "PICTURE_INVALID"
    return ItemError(image_id, grpc.StatusCode.INVALID_ARGUMENT, message, reason, request_id=request_id)


def _parse_status(data: Any) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(data)
    except (DecodeError, TypeError):  # TypeError: a proxy sent the header as text
        return status_pb2.Status()


def _read_details(details: Iterable[Any]) -> tuple[str, dict[str, str], float | None]:
    """Return reason, metadata and seconds to wait; of several details of one kind the first counts."""
    details = list(details)
    info = _first(details, error_details_pb2.ErrorInfo)
    retry = _first(details, error_details_pb2.RetryInfo)
    reason, metadata = ("", {}) if info is None else (info.reason, dict(info.metadata))
    retry_after_s = None if retry is None else retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return reason, metadata, None if retry_after_s is None or retry_after_s < 0 else retry_after_s


def _first(details: Iterable[Any], kind: Any) -> Any:
    for detail in details:
        message = kind()
        try:
            if detail.Unpack(message):
                return message
        except DecodeError:
            continue
    return None
