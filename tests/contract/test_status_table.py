"""The table of statuses as callers see it: complete, as docs/errors.md says, and silent about what is inside."""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status

from retinue.classification.v1 import classification_pb2
from retinue.detection.v1 import detection_pb2
from retinue.matching.v1 import matching_pb2
from retinue.oip import open_inference_pb2
from retinue.runtime import errors
from retinue.runtime.errors import (
    BackendFailed,
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
    PackageInvalid,
    ProviderMissing,
    RetinueError,
)
from retinue.runtime.ticket import Ticket
from retinue.segmentation.v1 import segmentation_pb2
from retinue.serving.call import current_call
from retinue.serving.item import Begun
from retinue.serving.oip import OpenInferenceServicer
from retinue.serving.status import CODES, INTERNAL_REASON, failure_of
from services.classification.servicer import ClassificationServicer
from services.detection.servicer import DetectionServicer
from services.matching.servicer import MatchingServicer
from services.segmentation.servicer import SegmentationServicer
from tests.unit.serving.in_process import Running, error_info_of, retry_delay_s, running, status_of

HOUSE = Path(__file__).parents[2]
PAGE = (HOUSE / "docs" / "errors.md").read_text(encoding="utf-8")
FAULTS = {BackendFailed, PackageInvalid, ProviderMissing}
"""Conditions of the machine or the model, which are no caller's business: INTERNAL on purpose."""
CLASSES = [
    one
    for _, one in inspect.getmembers(errors, inspect.isclass)
    if issubclass(one, RetinueError) and one is not RetinueError
]
CONDITIONS: dict[bytes, RetinueError] = {
    error.reason.encode(): error
    for error in (
        InvalidInput("options.top_k", "is 0; at least 1 is allowed"),
        InvalidImage("image.encoded", "is no picture"),
        ImageTooLarge("image.encoded", "is too large", limit="1", actual="2"),
        ModelNotFound("no model x", model="x", version=""),
        ModelNotReady("model x is loading", model="x", version=""),
        LoadFailed("model x@2 cannot be loaded", model="x", version="2"),
        NotAllowed("the metadata must hold a token"),
        NotSupported("model x has no embedding", model="x"),
        Overloaded("the queue is full", retry_after_s=0.5, cause="queue_full"),
        LimitExceeded("too many tracks", field="options.max_tracks", limit="1"),
        DeadlineExceeded("late"),
    )
}
SECRET = "s3cr3t-of-/srv/models"  # noqa: S105 - what must not get out


def faults() -> Iterator[tuple[bytes, Exception]]:
    """Yield exceptions that hold a secret, each under a name."""
    yield b"plain", ValueError(SECRET)
    yield b"key", KeyError(SECRET)
    yield b"system", OSError(2, SECRET, SECRET)
    yield b"noted", RuntimeError("harmless")
    yield b"chained", RuntimeError("harmless")
    for fault in (BackendFailed, PackageInvalid, ProviderMissing):
        yield fault.__name__.encode(), fault(SECRET, path=SECRET)
    yield b"base", RetinueError(SECRET, path=SECRET)


FAULT_BY_NAME = dict(faults())
FAULT_BY_NAME[b"noted"].add_note(SECRET)
FAULT_BY_NAME[b"chained"].__cause__ = ValueError(SECRET)


def fail(name: bytes) -> bytes:
    raise CONDITIONS[name] if name in CONDITIONS else FAULT_BY_NAME[name]


class Failing:
    """Fails as it is asked to: as a call of every kind, and as an item that is told inside an answer."""

    def item(self, name: bytes) -> bytes:
        """Return the status of an item that failed, as batches and streams hold it."""
        begun: Begun[Ticket[Any, Any]] = Begun(image_id="", ticket=None, refusal=_any(name))
        status = begun.wait_failure(current_call())
        return b"" if status is None else status.SerializeToString()

    def handlers(self) -> dict[str, Any]:
        def server_stream(name: bytes, _: grpc.ServicerContext) -> Iterator[bytes]:
            yield b"first"
            yield fail(name)

        def bidi_stream(names: Iterable[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
            for name in names:
                yield fail(name)

        def item_stream(names: Iterable[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
            yield from map(self.item, names)

        return {
            "unary": grpc.unary_unary_rpc_method_handler(lambda name, _: fail(name)),
            "server_stream": grpc.unary_stream_rpc_method_handler(server_stream),
            "client_stream": grpc.stream_unary_rpc_method_handler(lambda names, _: fail(next(names))),
            "bidi_stream": grpc.stream_stream_rpc_method_handler(bidi_stream),
            "item_stream": grpc.stream_stream_rpc_method_handler(item_stream),
        }


def _any(name: bytes) -> Any:
    return CONDITIONS[name] if name in CONDITIONS else FAULT_BY_NAME[name]


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    with running(Failing().handlers()) as one:
        yield one


KINDS = ("unary", "server_stream", "client_stream", "bidi_stream")


def failure(served: Running, kind: str, name: bytes) -> grpc.RpcError:
    call = getattr(served, kind)(kind)
    with pytest.raises(grpc.RpcError) as caught:
        list(call(iter([name]) if kind in ("client_stream", "bidi_stream") else name))
    return caught.value


# --- the table is complete


def test_every_condition_is_in_the_table_or_internal_on_purpose() -> None:
    assert set(CLASSES) == set(CODES) | FAULTS
    assert not set(CODES) & FAULTS


def test_reasons_are_upper_snake_and_distinct() -> None:
    reasons = [one.reason for one in CLASSES]
    assert [reason for reason in reasons if not re.fullmatch(r"[A-Z][A-Z_]{1,61}[A-Z]", reason)] == []
    assert len(set(reasons)) == len(reasons)


def test_overload_is_never_unavailable() -> None:
    """Clients and proxies retry UNAVAILABLE at once: a storm over a service that is full already."""
    assert CODES[Overloaded] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert [one for one, code in CODES.items() if code is grpc.StatusCode.UNAVAILABLE] == [ModelNotReady]


@pytest.mark.parametrize(
    ("servicer", "service"),
    [
        (ClassificationServicer, classification_pb2.DESCRIPTOR.services_by_name["ClassificationService"]),
        (DetectionServicer, detection_pb2.DESCRIPTOR.services_by_name["DetectionService"]),
        (MatchingServicer, matching_pb2.DESCRIPTOR.services_by_name["MatchingService"]),
        (SegmentationServicer, segmentation_pb2.DESCRIPTOR.services_by_name["SegmentationService"]),
        (OpenInferenceServicer, open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]),
    ],
)
def test_every_method_of_a_service_is_written(servicer: type, service: Any) -> None:
    """What the generated class does for a method that is not would be told as a fault."""
    assert [method.name for method in service.methods if method.name not in vars(servicer)] == []


# --- the page is what the code is


def documented() -> dict[str, tuple[str, set[str]]]:
    """Return the code and metadata keys of each reason on the page."""
    table = PAGE.split("## Reasons", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|[^|]*\|([^|]*)\|", table, re.MULTILINE)
    return {reason: (code, set(re.findall(r"`(\w+)`", keys))) for reason, code, keys in rows}


def test_every_reason_is_on_the_page_with_its_code() -> None:
    expected = {one.reason: code.name for one, code in CODES.items()} | {INTERNAL_REASON: "INTERNAL"}
    assert {reason: code for reason, (code, _) in documented().items()} == expected


def test_every_reason_has_an_example() -> None:
    table = PAGE.split("## Each reason, by example", 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(documented())


def raised_metadata() -> Iterator[tuple[str, str]]:
    """Yield the reason and each metadata key of every condition that is raised anywhere in the product."""
    by_name = {one.__name__: one for one in CODES}
    sources = [*(HOUSE / "shared/retinue/runtime").rglob("*.py"), *(HOUSE / "shared/retinue/serving").rglob("*.py")]
    for path in (*sources, *(HOUSE / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in by_name:
                for keyword in node.keywords:
                    if keyword.arg not in (None, "retry_after_s"):
                        yield by_name[node.func.id].reason, str(keyword.arg)


def test_every_key_of_metadata_is_on_the_page() -> None:
    found = set(raised_metadata()) | {(error.reason, key) for error in CONDITIONS.values() for key in error.metadata}
    assert found == {(reason, key) for reason, (_, keys) in documented().items() for key in keys}


# --- what travels


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CONDITIONS)
def test_every_error_of_a_call_says_its_reason(served: Running, kind: str, name: bytes) -> None:
    error = failure(served, kind, name)
    status = status_of(error)
    info = error_info_of(status)
    condition = CONDITIONS[name]
    assert error.code() is CODES[type(condition)]
    assert (info.domain, info.reason) == ("retinue", condition.reason)
    assert dict(info.metadata).items() >= condition.metadata.items()
    assert info.metadata["request_id"]
    assert status.message == error.details() == condition.message
    assert (retry_delay_s(status) is not None) == isinstance(condition, Overloaded)


@pytest.mark.parametrize("name", [name for name, one in CONDITIONS.items() if not isinstance(one, DeadlineExceeded)])
def test_every_error_of_an_item_says_the_same(served: Running, name: bytes) -> None:
    (answer,) = served.bidi_stream("item_stream")(iter([name]))
    status = Status.FromString(answer)
    expected = failure_of(CONDITIONS[name], error_info_of(status).metadata["request_id"]).status
    assert status == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FAULT_BY_NAME)
def test_no_secret_of_a_fault_reaches_the_caller(served: Running, kind: str, name: bytes) -> None:
    error: Any = failure(served, kind, name)
    request_id = error_info_of(status_of(error)).metadata["request_id"]
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == f"internal error; quote request id {request_id}"
    assert dict(error_info_of(status_of(error)).metadata) == {"request_id": request_id}
    assert error_info_of(status_of(error)).reason == INTERNAL_REASON
    assert len(status_of(error).details) == 1
    heard = repr([error.details(), error.debug_error_string(), *error.initial_metadata(), *error.trailing_metadata()])
    assert not re.search(r"s3cr3t|srv/models|harmless|Error\(|Traceback", heard)


@pytest.mark.parametrize("name", FAULT_BY_NAME)
def test_no_secret_of_a_fault_is_in_an_item(served: Running, name: bytes) -> None:
    (answer,) = served.bidi_stream("item_stream")(iter([name]))
    status = Status.FromString(answer)
    request_id = error_info_of(status).metadata["request_id"]
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert status.message == f"internal error; quote request id {request_id}"
    assert not re.search(rb"s3cr3t|srv/models|harmless|Traceback", answer)


def test_a_caller_who_left_is_cancelled() -> None:
    """It never travels, since nobody is there; the table has it for the metrics and the log."""
    assert CODES[Cancelled] is grpc.StatusCode.CANCELLED
