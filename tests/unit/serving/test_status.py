"""What a caller is told of an error."""

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from retinue.runtime.errors import (
    BackendFailed,
    ImageTooLarge,
    InvalidInput,
    ModelNotFound,
    Overloaded,
    PackageInvalid,
    RetinueError,
)
from retinue.serving.status import DOMAIN, POSSIBLE_CODES, failure_of
from tests.unit.serving.in_process import detail_of, error_info_of, retry_delay_s, violations_of


def test_a_condition_is_told_with_its_reason_facts_and_request_id() -> None:
    failure = failure_of(ModelNotFound("no model x", model="x", version="2"), "r1")
    info = error_info_of(failure.status)
    assert failure.code is grpc.StatusCode.NOT_FOUND
    assert (failure.status.code, failure.status.message) == (5, "no model x")
    assert (info.domain, info.reason) == (DOMAIN, "MODEL_NOT_FOUND")
    assert dict(info.metadata) == {"model": "x", "version": "2", "request_id": "r1"}
    assert not failure.is_ours


def test_an_invalid_field_is_named_as_a_violation() -> None:
    failure = failure_of(ImageTooLarge("images[3].encoded", "has 9 bytes; 8 are allowed", limit="8"), "r1")
    assert violations_of(failure.status) == [("images[3].encoded", "has 9 bytes; 8 are allowed")]
    assert error_info_of(failure.status).metadata["field"] == "images[3].encoded"


def test_only_invalid_input_has_violations() -> None:
    assert detail_of(failure_of(ModelNotFound("no model x"), "r1").status, BadRequest) is None


def test_overload_says_when_to_come_back() -> None:
    failure = failure_of(Overloaded("full", retry_after_s=1.5, cause="in_flight"), "r1")
    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry_delay_s(failure.status) == 1.5


def test_only_overload_says_when_to_come_back() -> None:
    assert detail_of(failure_of(ModelNotFound("no model x"), "r1").status, RetryInfo) is None


class Unlisted(RetinueError):
    """A condition that the table does not know."""


@pytest.mark.parametrize(
    "error",
    [ValueError("secret"), BackendFailed("secret", path="secret"), PackageInvalid("secret"), Unlisted("secret")],
    ids=lambda error: type(error).__name__,
)
def test_a_fault_is_told_by_its_request_id_alone(error: Exception) -> None:
    failure = failure_of(error, "r1")
    assert failure.is_ours
    assert failure.code is grpc.StatusCode.INTERNAL
    assert failure.status.message == "internal error; quote request id r1"
    assert len(failure.status.details) == 1
    info = error_info_of(failure.status)
    assert info == ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"request_id": "r1"})


def test_texts_of_callers_are_cut_to_what_trailing_metadata_hold() -> None:
    """Three bytes per character on the wire for what is not ASCII, twice base64 of the rest, all within 8 KiB."""
    name = "ü" * 50_000
    failure = failure_of(InvalidInput(f"inputs[{name}]", f"no input {name}", limit=name), "r" * 128)
    assert len(failure.status.message.encode()) <= 512
    assert failure.status.message.endswith("…")
    encoded_bytes = 3 * len(failure.status.message.encode()) + 4 * failure.status.ByteSize() // 3
    assert encoded_bytes < 7000  # leaves room for the other headers


def test_a_text_that_fits_is_told_in_full() -> None:
    text = "x" * 512
    assert failure_of(ModelNotFound(text), "r1").status.message == text


def test_text_that_is_no_unicode_is_told_all_the_same() -> None:
    """A lone surrogate cannot be encoded, and must not turn a condition into a fault."""
    assert failure_of(ModelNotFound("no model \ud800"), "r1").status.message == "no model ?"


def test_a_call_can_end_with_these_codes_only() -> None:
    assert {code.name for code in POSSIBLE_CODES} == {
        "OK",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "UNAVAILABLE",
        "UNIMPLEMENTED",
        "RESOURCE_EXHAUSTED",
        "DEADLINE_EXCEEDED",
        "CANCELLED",
        "FAILED_PRECONDITION",
        "PERMISSION_DENIED",
        "INTERNAL",
    }
    assert len(set(POSSIBLE_CODES)) == len(POSSIBLE_CODES)
