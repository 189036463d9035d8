"""The one table from conditions to gRPC statuses, for calls, batch items and streams alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from retinue.runtime.errors import (
    Cancelled,
    DeadlineExceeded,
    ImageTooLarge,
    InvalidImage,
    InvalidInput,
    LimitExceeded,
    LoadFailed,
    ModelNotFound,
    ModelNotReady,
    NotAllowed,
    NotSupported,
    Overloaded,
    RetinueError,
)

DOMAIN = "retinue"
INTERNAL_REASON = "INTERNAL"
# A status travels in trailing metadata, of which clients take 8 KiB by default, and a message stands there three times,
# once with up to three characters per byte. What callers name, models and tensors, is quoted in messages.
_MAX_MESSAGE_BYTES = 512
_MAX_FACT_BYTES = 256

CODES: Mapping[type[RetinueError], grpc.StatusCode] = {
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    InvalidImage: grpc.StatusCode.INVALID_ARGUMENT,
    ImageTooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    ModelNotFound: grpc.StatusCode.NOT_FOUND,
    ModelNotReady: grpc.StatusCode.UNAVAILABLE,
    LoadFailed: grpc.StatusCode.FAILED_PRECONDITION,
    NotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    NotSupported: grpc.StatusCode.UNIMPLEMENTED,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,  # never UNAVAILABLE: clients retry that at once
    LimitExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    Cancelled: grpc.StatusCode.CANCELLED,
}
"""A condition that is not here is told as INTERNAL."""

POSSIBLE_CODES = (grpc.StatusCode.OK, *dict.fromkeys(CODES.values()), grpc.StatusCode.INTERNAL)
"""Every code that a call can end with."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a caller is told of an error."""

    code: grpc.StatusCode
    status: Status

    @property
    def is_ours(self) -> bool:
        """Whether it is a fault of the service, to be logged with its traceback."""
        return self.code is grpc.StatusCode.INTERNAL


def failure_of(error: BaseException, request_id: str) -> Failure:
    """Return what the caller is told: everything about a condition, nothing about a fault but the request id."""
    code = CODES.get(cast("type[RetinueError]", type(error)))
    if code is None or not isinstance(error, RetinueError):
        message = f"internal error; quote request id {request_id}"
        info = ErrorInfo(reason=INTERNAL_REASON, domain=DOMAIN, metadata={"request_id": request_id})
        return Failure(grpc.StatusCode.INTERNAL, _status(grpc.StatusCode.INTERNAL, message, info))
    facts = {key: _shortened(value, _MAX_FACT_BYTES) for key, value in error.metadata.items()}
    details: list[Message] = [
        ErrorInfo(reason=error.reason, domain=DOMAIN, metadata={**facts, "request_id": request_id})
    ]
    if isinstance(error, InvalidInput):
        violation = BadRequest.FieldViolation(
            field=_shortened(error.field, _MAX_FACT_BYTES), description=_shortened(error.problem, _MAX_MESSAGE_BYTES)
        )
        details.append(BadRequest(field_violations=[violation]))
    if isinstance(error, Overloaded):
        delay = Duration()
        delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        details.append(RetryInfo(retry_delay=delay))
    return Failure(code, _status(code, _shortened(error.message, _MAX_MESSAGE_BYTES), *details))


def _status(code: grpc.StatusCode, message: str, *details: Message) -> Status:
    status = Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _shortened(text: str, max_bytes: int) -> str:
    """Return the text, cut where its UTF-8 form is longer than that."""
    encoded = str(text).encode(errors="replace")
    return encoded.decode() if len(encoded) <= max_bytes else encoded[: max_bytes - 3].decode(errors="ignore") + "…"
