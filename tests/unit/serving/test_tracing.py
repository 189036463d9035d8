"""Calls as spans: whose they are, when they were, and that there are none where nobody wants them."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from retinue.runtime.errors import ModelNotReady
from retinue.runtime.timings import Timings
from retinue.serving.call import Call, current_call
from retinue.serving.settings import TracingSettings
from retinue.serving.tracing import Tracing, TracingMissing, tracing_of
from tests.unit.serving.in_process import SERVICE, running

pytest.importorskip("opentelemetry.sdk", reason="the extra tracing is not installed")

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = ("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-01")
NOT_SAMPLED = ("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-00")


@contextmanager
def traced(
    behaviour: Callable[[Call], None] = lambda _call: None, sample_ratio: float = 1.0
) -> Iterator[tuple[Callable[..., None], Callable[[], Sequence[ReadableSpan]]]]:
    """Serve one method; give what calls it with metadata, and what ends the tracing and returns the spans."""
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter, "echo", sample_ratio)

    def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
        behaviour(current_call())
        return request

    with running({"Echo": grpc.unary_unary_rpc_method_handler(echo)}, tracing=tracing) as server:

        def call(*metadata: tuple[str, str | bytes]) -> None:
            server.unary("Echo")(b"x", metadata=metadata)

        def spans() -> Sequence[ReadableSpan]:
            server.pool.wait_ended()
            tracing.close()
            return exporter.get_finished_spans()

        yield call, spans


def hex_of(span: ReadableSpan) -> tuple[str, str | None]:
    """Return a span's trace and parent."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}", None if span.parent is None else f"{span.parent.span_id:016x}"


def test_a_call_is_a_span_of_the_server_with_what_the_conventions_want() -> None:
    with traced() as (call, spans):
        call(("x-request-id", "mine"))
        (span,) = spans()
    assert (span.name, span.kind.name, span.status.status_code.name) == (f"{SERVICE}/Echo", "SERVER", "UNSET")
    assert span.attributes == {
        "rpc.system": "grpc",
        "rpc.service": SERVICE,
        "rpc.method": "Echo",
        "rpc.grpc.status_code": 0,
        "retinue.request_id": "mine",
    }
    assert span.resource.attributes["service.name"] == "retinue.echo"
    assert hex_of(span)[1] is None


def test_a_call_is_part_of_its_callers_trace() -> None:
    with traced() as (call, spans):
        call(PARENT, ("tracestate", "vendor=1"))
        (span,) = spans()
    assert hex_of(span) == (TRACE_ID, PARENT_ID)
    assert span.context is not None
    assert span.context.trace_state.get("vendor") == "1"


@pytest.mark.parametrize("parent", ["", "00-0-0-01", f"00-{'0' * 32}-{PARENT_ID}-01", f"ff-{TRACE_ID}-{PARENT_ID}-01"])
def test_a_broken_parent_is_none(parent: str) -> None:
    with traced() as (call, spans):
        call(("traceparent", parent))
        (span,) = spans()
    assert hex_of(span)[1] is None


def test_who_is_not_sampled_is_not_followed_either() -> None:
    """Neither where the caller has decided it, nor where it is left to us; and the caller's decision goes first."""
    seen: list[Any] = []
    for metadata, ratio in ((NOT_SAMPLED, 1.0), (("nothing", "here"), 0.0)):
        with traced(lambda call: seen.append((call.trace, call.caller.followed, call.facts)), ratio) as (call, spans):
            call(metadata)
            assert spans() == ()
    assert seen == [(None, None, {})] * 2
    with traced(sample_ratio=0.0) as (call, spans):
        call(PARENT)
        assert len(spans()) == 1


def test_the_log_can_be_found_from_the_trace() -> None:
    facts: list[Any] = []
    with traced(lambda call: facts.append(call.facts["trace_id"])) as (call, spans):
        call(PARENT)
        spans()
    assert facts == [TRACE_ID]


def test_stages_are_spans_under_the_call_one_after_the_other() -> None:
    """The gap between an item's preprocessing and its run is that of the others of its batch."""
    begin_s = time.monotonic()
    timings = Timings(0.001, 0.002, 0.003, 0.010, 0.004, batch_size=3, infer_begin_s=begin_s + 0.050)

    def behaviour(call: Call) -> None:
        call.caller.follow(begin_s, timings)
        call.caller.follow(begin_s, Timings())  # dropped before a worker took it
        call.caller.follow(begin_s, Timings(queue_s=0.002, decode_s=0.001))  # could not be decoded to its end

    with traced(behaviour) as (call, spans):
        call()
        *stages, server = spans()
    assert [(span.name, (span.attributes or {})["retinue.item"]) for span in stages] == [
        ("queue", 0),
        ("decode", 0),
        ("preprocess", 0),
        ("infer", 0),
        ("postprocess", 0),
        ("queue", 2),
        ("decode", 2),
    ]
    assert server.context is not None
    assert all(span.parent is not None and span.parent.span_id == server.context.span_id for span in stages)
    epoch_offset_s = time.time() - time.monotonic()
    found_ms = [
        tuple(round((at / 1e9 - epoch_offset_s - begin_s) * 1e3) for at in (span.start_time or 0, span.end_time or 0))
        for span in stages[:5]
    ]
    assert found_ms == [(0, 1), (1, 3), (3, 6), (50, 60), (60, 64)]
    assert (stages[3].attributes or {})["retinue.batch_size"] == 3


def test_of_a_call_with_very_many_items_the_first_are_followed() -> None:
    def behaviour(call: Call) -> None:
        for _ in range(1000):
            call.caller.follow(time.monotonic(), Timings(queue_s=0.001))

    with traced(behaviour) as (call, spans):
        call()
        assert len(spans()) == 64 + 1


@pytest.mark.parametrize(
    ("error", "code", "status"), [(ModelNotReady("no"), 14, "ERROR"), (RuntimeError("ours"), 13, "ERROR")]
)
def test_a_failed_call_is_marked(error: Exception, code: int, status: str) -> None:
    def behaviour(_call: Call) -> None:
        raise error

    with traced(behaviour) as (call, spans):
        with pytest.raises(grpc.RpcError):
            call()
        (span,) = spans()
    assert (span.attributes or {})["rpc.grpc.status_code"] == code
    assert span.status.status_code.name == status
    assert span.events == ()  # no text of an exception, no stack


def test_without_an_endpoint_nothing_is_traced_and_nothing_imported() -> None:
    assert tracing_of(TracingSettings(), "echo") is None
    program = "import sys, retinue.serving.host; print([name for name in sys.modules if 'opentelemetry' in name])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    for name in [name for name in sys.modules if name.startswith("opentelemetry.exporter.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(TracingMissing, match=r"install retinue\[tracing\]"):
        tracing_of(TracingSettings(endpoint="127.0.0.1:4317"), "echo")
