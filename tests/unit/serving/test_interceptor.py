"""The interceptor around real handlers of all four kinds, over a real channel."""

# ruff: noqa: ARG002 - gRPC's signatures
import itertools
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from retinue.runtime.errors import Cancelled, InvalidInput, ModelNotFound, Overloaded
from retinue.serving.call import REQUEST_ID_KEY, current_call
from retinue.serving.interceptor import RpcInterceptor
from retinue.serving.metrics import Metrics
from retinue.serving.pool import HandlerPool
from tests.unit.serving.in_process import PATIENCE_S, SERVICE, Running, error_info_of, retry_delay_s, running, status_of

SECRET = "postgres://admin:hunter2@db"  # noqa: S105 - what must not get out
ERRORS = {
    b"invalid": InvalidInput("image", "is no picture"),
    b"missing": ModelNotFound("no model x"),
    b"full": Overloaded("the queue is full", retry_after_s=0.25, cause="queue_full"),
    b"fault": ValueError(SECRET),
    b"gone": grpc.RpcError(),  # what gRPC's iterator of requests raises when the caller is gone
    b"long": ModelNotFound("no model " + "é" * 100_000, model="x" * 100_000),
}
KINDS = ("unary", "server_stream", "client_stream", "bidi_stream")
METHODS = dict(zip(KINDS, ("Unary", "ServerStream", "ClientStream", "BidiStream"), strict=True))


class Echo:
    """Answers with what it is given; some requests fail, and one waits until it is let go or its caller leaves."""

    def __init__(self) -> None:
        self.is_holding = threading.Event()
        self.let_go = threading.Event()

    def answer(self, request: bytes) -> bytes:
        if request in ERRORS:
            raise ERRORS[request]
        if request == b"hold":
            caller = current_call().caller
            caller.on_cancel(self.let_go.set)
            self.is_holding.set()
            assert self.let_go.wait(PATIENCE_S)
            if caller.is_cancelled:
                raise Cancelled("the caller went away")
        if request == b"facts":
            current_call().facts.update(model="double@1", batch_size=3)
        return request

    def unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return self.answer(request)

    def server_stream(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        for part in itertools.repeat(b"x") if request == b"endless" else request.split(b","):
            yield self.answer(part)

    def client_stream(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        return b",".join(map(self.answer, requests))

    def bidi_stream(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from map(self.answer, requests)

    def handlers(self) -> dict[str, Any]:
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "ServerStream": grpc.unary_stream_rpc_method_handler(self.server_stream),
            "ClientStream": grpc.stream_unary_rpc_method_handler(self.client_stream),
            "BidiStream": grpc.stream_stream_rpc_method_handler(self.bidi_stream),
        }


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def served(echo: Echo) -> Iterator[Running]:
    with running(echo.handlers()) as one:
        yield one


def ask(served: Running, kind: str, *requests: bytes, **options: Any) -> list[bytes]:
    """Return the answers of a call of any kind."""
    call = getattr(served, kind)(METHODS[kind])
    request = iter(requests) if kind in ("client_stream", "bidi_stream") else b",".join(requests)
    response = call(request, **options)
    return response.split(b",") if kind in ("unary", "client_stream") else list(response)


def failure(served: Running, kind: str, *requests: bytes, **options: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        ask(served, kind, *requests, **options)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_call_is_answered_and_counted(served: Running, kind: str) -> None:
    assert ask(served, kind, b"a", b"b") == [b"a", b"b"]
    labels = {"grpc_type": kind, "grpc_service": SERVICE, "grpc_method": METHODS[kind]}
    assert served.sample("grpc_server_started_total", **labels) == 1
    assert served.handled(METHODS[kind], kind) == {"OK": 1}
    assert served.sample("grpc_server_handling_seconds_count", **labels) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_condition_becomes_its_status(served: Running, kind: str) -> None:
    error = failure(served, kind, b"invalid")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "image: is no picture"
    assert error_info_of(status_of(error)).reason == "INVALID_INPUT"
    assert served.handled(METHODS[kind], kind) == {"INVALID_ARGUMENT": 1}


@pytest.mark.parametrize("kind", ["server_stream", "bidi_stream"])
def test_a_stream_that_fails_midway_keeps_what_was_answered(served: Running, kind: str) -> None:
    call = getattr(served, kind)(METHODS[kind])
    responses = call(b"a,missing") if kind == "server_stream" else call(iter([b"a", b"missing"]))
    assert next(responses) == b"a"
    with pytest.raises(grpc.RpcError) as caught:
        next(responses)
    assert error_info_of(status_of(caught.value)).reason == "MODEL_NOT_FOUND"
    assert served.handled(METHODS[kind], kind) == {"NOT_FOUND": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_told_as_internal_and_logged_with_its_exception(served: Running, kind: str) -> None:
    with capture_logs() as logs:
        error = failure(served, kind, b"fault")
    assert error.code() is grpc.StatusCode.INTERNAL
    assert SECRET not in f"{error.details()}{error.trailing_metadata()}{error}"
    (failed,) = [line for line in logs if line["event"] == "rpc_failed"]
    assert failed["exc_info"] is ERRORS[b"fault"]
    assert error.details() == f"internal error; quote request id {failed['request_id']}"


def test_a_message_of_any_length_keeps_its_status(served: Running) -> None:
    """Trailing metadata above the client's limit would turn the status into another one."""
    assert failure(served, "unary", b"long").code() is grpc.StatusCode.NOT_FOUND


def test_overload_of_a_model_is_counted_by_its_queue_and_not_again(served: Running) -> None:
    error = failure(served, "unary", b"full")
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry_delay_s(status_of(error)) == 0.25
    assert served.sample("retinue_rejected_total", reason="queue_full") == 0


def test_an_unknown_method_makes_no_label(served: Running) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        served.unary("Nothing")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert not served.started()


# --- callers who leave


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_cancelled_by_its_caller_is_cancelled_and_no_failure(served: Running, echo: Echo, kind: str) -> None:
    with capture_logs() as logs:
        call = getattr(served, kind)(METHODS[kind])
        is_many = kind in ("client_stream", "bidi_stream")
        method = call if kind.endswith(("server_stream", "bidi_stream")) else call.future
        under_way = method(iter([b"hold"]) if is_many else b"hold")
        assert echo.is_holding.wait(PATIENCE_S)
        under_way.cancel()
        served.pool.wait_ended()
    assert served.handled(METHODS[kind], kind) == {"CANCELLED": 1}
    (line,) = [line for line in logs if line["event"] == "rpc_ended"]
    assert (line["code"], line["log_level"]) == ("CANCELLED", "debug")
    assert not [line for line in logs if line["event"] == "rpc_failed"]


def test_a_caller_who_leaves_between_two_answers_is_cancelled(served: Running) -> None:
    """The generator waits for more to send when gRPC lets go of it."""
    with capture_logs() as logs:
        responses = served.server_stream("ServerStream")(b"endless")
        next(responses)
        responses.cancel()
        served.pool.wait_ended()
    assert served.handled("ServerStream", "server_stream") == {"CANCELLED": 1}
    assert not [line for line in logs if line["event"] == "rpc_failed"]


def test_a_caller_who_leaves_while_requests_are_awaited_is_no_fault(served: Running) -> None:
    """The iterator of requests raises then; a handler that reads it straight lets that through."""
    is_over = threading.Event()

    def requests() -> Iterator[bytes]:
        yield b"a"
        is_over.wait(PATIENCE_S)

    with capture_logs() as logs:
        responses = served.bidi_stream("BidiStream")(requests())
        assert next(responses) == b"a"
        responses.cancel()
        is_over.set()
        served.pool.wait_ended()
    # gRPC may tell the end of the requests a moment before it tells that the caller is gone.
    assert set(served.handled("BidiStream", "bidi_stream")) < {"CANCELLED", "OK"}
    assert not [line for line in logs if line["event"] == "rpc_failed"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_a_call_is_no_fault_of_the_one_who_reads_its_requests(served: Running, kind: str) -> None:
    with capture_logs() as logs:
        assert failure(served, kind, b"gone").code() is grpc.StatusCode.CANCELLED
    assert served.handled(METHODS[kind], kind) == {"CANCELLED": 1}
    assert [line["event"] for line in logs] == ["rpc_ended"]


def test_a_deadline_that_passes_is_counted_as_such(served: Running) -> None:
    """The caller's own clock ends the call: on the wire that looks like a cancel."""
    error = failure(served, "unary", b"hold", timeout=0.06)
    served.pool.wait_ended()
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert served.handled("Unary") == {"DEADLINE_EXCEEDED": 1}


# --- admission


@pytest.fixture
def full(echo: Echo) -> Iterator[Running]:
    """A server with one place, and a call that holds it."""
    with running(echo.handlers(), thread_count=1) as one:
        holding = one.unary("Unary").future(b"hold")
        assert echo.is_holding.wait(PATIENCE_S)
        yield one
        echo.let_go.set()
        assert holding.result(PATIENCE_S) == b"hold"


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_server_refuses_at_once(full: Running, kind: str) -> None:
    error = failure(full, kind, b"a")
    status = status_of(error)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (retry_delay_s(status) or 0) > 0
    assert error_info_of(status).metadata["cause"] == "in_flight"
    assert full.sample("retinue_rejected_total", reason="in_flight") == 1
    assert full.handled(METHODS[kind], kind) == {"RESOURCE_EXHAUSTED": 1}


def test_a_full_server_still_tells_its_health(full: Running) -> None:
    full.health.set_ready(is_ready=True)
    health = health_pb2_grpc.HealthStub(full.channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S).status == 1


def test_a_place_that_is_free_again_is_given_again(full: Running, echo: Echo) -> None:
    failure(full, "unary", b"a")
    echo.let_go.set()
    full.pool.wait_ended()
    assert ask(full, "unary", b"a") == [b"a"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_drains_refuses_as_unavailable(served: Running, kind: str) -> None:
    """Another replica may answer, so a client does well to try again."""
    served.interceptor.refuse_all()
    error = failure(served, kind, b"a")
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error_info_of(status_of(error)).reason == "MODEL_NOT_READY"
    assert served.sample("retinue_rejected_total", reason="draining") == 1


def test_a_call_under_way_is_answered_while_the_server_drains(served: Running, echo: Echo) -> None:
    holding = served.unary("Unary").future(b"hold")
    assert echo.is_holding.wait(PATIENCE_S)
    served.interceptor.refuse_all()
    assert not served.interceptor.is_quiet
    echo.let_go.set()
    assert holding.result(PATIENCE_S) == b"hold"


def test_a_full_server_that_drains_is_unavailable(full: Running) -> None:
    full.interceptor.refuse_all()
    assert failure(full, "unary", b"a").code() is grpc.StatusCode.UNAVAILABLE


def test_a_server_is_not_quiet_right_after_a_call(served: Running) -> None:
    served.interceptor.refuse_all()
    failure(served, "unary", b"a")
    assert not served.interceptor.is_quiet


def test_health_is_neither_counted_nor_logged(served: Running) -> None:
    with capture_logs() as logs:
        health_pb2_grpc.HealthStub(served.channel).Check(health_pb2.HealthCheckRequest())
    assert not logs
    assert not served.started()


# --- request ids and the log


def request_id_of(metadata: Any) -> list[str]:
    return [value for key, value in metadata if key == REQUEST_ID_KEY]


def test_a_request_id_is_echoed_with_an_answer(served: Running) -> None:
    _, call = served.unary("Unary").with_call(b"a", metadata=[(REQUEST_ID_KEY, "trace-7/a=1")])
    assert request_id_of(call.trailing_metadata()) == ["trace-7/a=1"]


def test_a_request_id_is_echoed_with_an_error(served: Running) -> None:
    error = failure(served, "unary", b"invalid", metadata=[(REQUEST_ID_KEY, "trace-7")])
    assert request_id_of(error.trailing_metadata()) == ["trace-7"]
    assert error_info_of(status_of(error)).metadata["request_id"] == "trace-7"


@pytest.mark.parametrize("garbage", ["", "two words", "x" * 129, None])
def test_a_request_id_that_cannot_be_used_is_replaced(served: Running, garbage: str | None) -> None:
    metadata = [] if garbage is None else [(REQUEST_ID_KEY, garbage)]
    _, call = served.unary("Unary").with_call(b"a", metadata=metadata)
    (made,) = request_id_of(call.trailing_metadata())
    assert made != garbage
    assert len(made) == 32
    assert int(made, 16) >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_each_call_has_one_line_in_the_log_with_its_facts(served: Running, kind: str) -> None:
    with capture_logs() as logs:
        ask(served, kind, b"facts", metadata=[(REQUEST_ID_KEY, "r1")])
    (line,) = logs
    assert line.pop("duration_s") >= 0
    assert line == {
        "event": "rpc_ended",
        "log_level": "info",
        "method": f"/{SERVICE}/{METHODS[kind]}",
        "code": "OK",
        "request_id": "r1",
        "model": "double@1",
        "batch_size": 3,
    }


def test_a_failed_call_says_why_in_its_line(served: Running) -> None:
    with capture_logs() as logs:
        failure(served, "unary", b"missing")
    (line,) = logs
    assert (line["code"], line["reason"]) == ("NOT_FOUND", "no model x")


# --- wrapping


def test_a_handler_is_wrapped_once_per_method() -> None:
    asked: list[str] = []

    def find(details: Any) -> Any:
        asked.append(details.method)
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)

    with HandlerPool(1) as pool:
        interceptor = RpcInterceptor(Metrics(CollectorRegistry()), pool)
        details: Any = SimpleNamespace(method=f"/{SERVICE}/Unary")
        wrapped = [interceptor.intercept_service(find, details) for _ in range(3)]
    assert wrapped[0] is wrapped[1] is wrapped[2]
    assert asked == [details.method]


def test_message_types_survive_the_wrapping(served: Running) -> None:
    def read(data: bytes) -> int:
        return int(data)

    def write(number: int) -> bytes:
        return str(number).encode()

    plain = grpc.unary_unary_rpc_method_handler(lambda number, _: number + 1, read, write)
    with running({"Next": plain}) as one:
        assert one.unary("Next")(b"41") == b"42"
