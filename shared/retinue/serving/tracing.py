"""Traces of calls for OpenTelemetry: one span for the call, and under it one for each stage of each item.

The stages' spans are made when the call has ended, from the timings that every item has anyway. Without an endpoint in
the settings nothing of OpenTelemetry is imported.
"""

import importlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import grpc

from retinue.runtime.timings import Timings
from retinue.serving.call import Call
from retinue.serving.settings import TracingSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

_PARENT_KEYS = ("traceparent", "tracestate")  # W3C Trace Context
_EXPORT_TIMEOUT_S = 2
# Those that OpenTelemetry's conventions call errors of a server; the others are the caller's.
_ERRORS = ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
_FACTS = ("model", "item_count", "failed_items")


class TracingMissing(Exception):
    """Traces are wanted, and the packages of the extra `tracing` are not installed."""


def tracing_of(settings: TracingSettings, task: str) -> "Tracing | None":
    """Return what traces a service's calls as the settings say; None where they want no traces.

    Raises:
        TracingMissing: they want some, and the packages are not there.
    """
    if not settings.endpoint:
        return None
    try:
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    except ModuleNotFoundError as error:
        raise TracingMissing(
            f"tracing.endpoint is set and {error.name} is missing: install retinue[tracing]"
        ) from error
    exporter = otlp.OTLPSpanExporter(endpoint=settings.endpoint, insecure=True, timeout=_EXPORT_TIMEOUT_S)
    return Tracing(exporter, task, settings.sample_ratio)


class Tracing:
    """Begins the traces of a service's calls.

    Args:
        exporter: where finished spans go, from a thread of its own.
        task: the service, which the spans name ``retinue.<task>``.
        sample_ratio: share of the calls traced where their caller has not decided it, in [0, 1].
    """

    def __init__(self, exporter: "SpanExporter", task: str, sample_ratio: float = 1.0) -> None:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra, imported where it is wanted
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            resource=Resource.create({"service.name": f"retinue.{task}"}),
            shutdown_on_exit=False,  # the host closes it
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("retinue.serving")
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, call: Call, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Begin the trace of a call, as a part of its caller's if the metadata names one; or leave it untraced."""
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        carrier = {key: value for key, value in metadata if key in _PARENT_KEYS and isinstance(value, str)}
        # An empty context where the caller names none: what is current in this thread is nobody's parent.
        parent = self._propagator.extract(carrier, context={})  # type: ignore[arg-type]  # a Context is a dict
        service, _, method = call.method.lstrip("/").partition("/")
        epoch_offset_s = time.time() - time.monotonic()
        span = self._tracer.start_span(
            f"{service}/{method}",
            context=parent,
            kind=SpanKind.SERVER,
            start_time=_ns(epoch_offset_s + call.started_s),
            attributes={
                "rpc.system": "grpc",
                "rpc.service": service,
                "rpc.method": method,
                "retinue.request_id": call.request_id,
            },
        )
        if span.is_recording():
            call.trace = _CallTrace(self._tracer, span, epoch_offset_s)
            call.caller.followed = []
            call.facts["trace_id"] = f"{span.get_span_context().trace_id:032x}"

    def close(self) -> None:
        """Hand over the spans that wait and end the thread that does it."""
        self._provider.shutdown()


class _CallTrace:
    """A call that is traced."""

    def __init__(self, tracer: "Tracer", span: "Span", epoch_offset_s: float) -> None:
        self._tracer = tracer
        self._span = span
        self._epoch_offset_s = epoch_offset_s

    def end(self, code: str, items: Sequence[tuple[float, Timings]], facts: Mapping[str, Any]) -> None:
        """End the call's span, after those of its items' stages."""
        from opentelemetry.trace import StatusCode, set_span_in_context  # noqa: PLC0415

        parent = set_span_in_context(self._span)
        for index, (enqueued_s, timings) in enumerate(items):
            for stage, begin_s, duration_s in _stages(enqueued_s, timings):
                attributes = {"retinue.item": index}
                if stage == "infer":
                    attributes["retinue.batch_size"] = timings.batch_size
                start_s = self._epoch_offset_s + begin_s
                child = self._tracer.start_span(stage, parent, attributes=attributes, start_time=_ns(start_s))
                child.end(_ns(start_s + duration_s))
        self._span.set_attribute("rpc.grpc.status_code", grpc.StatusCode[code].value[0])
        self._span.set_attributes({f"retinue.{name}": facts[name] for name in _FACTS if name in facts})
        if code in _ERRORS:
            self._span.set_status(StatusCode.ERROR, code)
        self._span.end()


def _stages(enqueued_s: float, timings: Timings) -> Iterator[tuple[str, float, float]]:
    """Yield the name, the beginning and the length of each stage that an item came to, in seconds."""
    if not timings.queue_s:
        return  # no worker took it
    begin_s = enqueued_s
    for stage, duration_s in (
        ("queue", timings.queue_s),
        ("decode", timings.decode_s),
        ("preprocess", timings.preprocess_s),
    ):
        if duration_s:
            yield stage, begin_s, duration_s
        begin_s += duration_s
    if timings.infer_begin_s:
        yield "infer", timings.infer_begin_s, timings.infer_s
        yield "postprocess", timings.infer_begin_s + timings.infer_s, timings.postprocess_s


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
