"""The one interceptor: around every RPC, it admits, times, counts, logs and turns errors into statuses.

It is the only place on the way of an RPC that catches every exception. A condition (`RetinueError`) becomes the status
of `retinue.serving.status`; anything else is a fault of ours, told as INTERNAL with a fixed text and logged with its
traceback.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from grpc_status import rpc_status

from retinue.runtime.errors import Cancelled, DeadlineExceeded, ModelNotReady, Overloaded, late_answer
from retinue.serving.call import REQUEST_ID_KEY, Call
from retinue.serving.door import Door, Inline
from retinue.serving.early_reader import EarlyReader
from retinue.serving.metrics import Metrics
from retinue.serving.pool import HandlerPool
from retinue.serving.status import POSSIBLE_CODES, Failure, failure_of
from retinue.serving.tracing import Tracing

# Asked by machines every few seconds: they need no line in the log, and are answered to the last.
_UNWATCHED = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")
_RETRY_AFTER_S = 0.1
_QUIET_S = 0.1
_TOLD_EVERY_S = 1.0
_log = structlog.get_logger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in the stubs only
HandlerOrNone: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Behaviour = Callable[[Any, grpc.ServicerContext], Any]


class RpcInterceptor(grpc.ServerInterceptor):
    """Wraps every handler but those of health and reflection.

    Args:
        metrics: where RPCs are counted.
        pool: the threads that handlers run in; a call that finds none free is refused.
        door: turns away calls that would be answered too late; None where all are let in.
        tracing: what begins the traces of RPCs; None where there are none.
    """

    def __init__(
        self, metrics: Metrics, pool: HandlerPool, door: Door | None = None, tracing: Tracing | None = None
    ) -> None:
        self._metrics = metrics
        self._tracing = tracing
        self._pool = pool
        self._door = door
        self._inline = Inline()
        self._early_reader = EarlyReader(pool) if EarlyReader.is_possible() else None
        self._admitted: dict[str, Handler] = {}
        self._refused: dict[str, Handler] = {}
        self._is_draining = False
        self._last_arrival_s = 0.0
        self._turned_away = 0  # since the log was last told
        self._next_told_s = 0.0

    def refuse_all(self) -> None:
        """Refuse every call from now on, as UNAVAILABLE; those under way go on."""
        self._is_draining = True
        self._last_arrival_s = time.monotonic()

    @property
    def is_quiet(self) -> bool:
        """Whether callers have stopped coming since calls are refused."""
        return time.monotonic() - self._last_arrival_s > _QUIET_S

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], HandlerOrNone],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> HandlerOrNone:
        """Return the wrapped handler, made once per method; called in gRPC's polling thread, so it must be quick."""
        method = handler_call_details.method
        if self._is_draining and not method.startswith(_UNWATCHED):
            self._last_arrival_s = time.monotonic()
        kept = self._refused if self._is_draining or self._pool.is_full else self._admitted
        handler = kept.get(method)
        if handler is not None:
            return handler
        inner = continuation(handler_call_details)
        if inner is None or method.startswith(_UNWATCHED):
            return inner
        answer = self._watched(method, inner, _behaviour(inner))
        if self._door is not None and method in self._door.methods:
            turn_away = self._watched(method, inner, self._refuse_late, is_logged=False)
            answer = self._at_the_door(self._door, answer, turn_away)
            self._admitted[method] = _rewrapped(inner, answer, is_unread=True)
        else:
            if self._early_reader is not None and not inner.request_streaming:
                answer.experimental_thread_pool = self._early_reader  # type: ignore[attr-defined]  # read by gRPC
            self._admitted[method] = _rewrapped(inner, answer)
        refuse = self._watched(method, inner, self._refuse)
        refuse.experimental_thread_pool = self._inline  # type: ignore[attr-defined]  # read by gRPC
        self._refused[method] = _rewrapped(inner, refuse, is_unread=True)
        return kept[method]

    @staticmethod
    def _at_the_door(door: Door, answer: Behaviour, refuse: Behaviour) -> Behaviour:
        """Return the behaviour of a unary call whose message is read only once it is let in."""

        def behave(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            if door.late_s:
                return refuse(requests, context)
            try:
                request = next(requests)
            except StopIteration:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "a unary call has exactly one request message")
            return answer(request, context)

        behave.experimental_thread_pool = door  # type: ignore[attr-defined]  # read by gRPC
        return behave

    def _refuse_late(self, request: Any, context: grpc.ServicerContext) -> NoReturn:  # noqa: ARG002 - a handler's
        late_s = 0.0 if self._door is None else self._door.late_s
        is_over = math.isinf(late_s)
        self._metrics.rejected.labels("deadline" if is_over else "deadline_unmet").inc()
        self._turned_away += 1
        if time.monotonic() >= self._next_told_s:
            _log.warning("calls_turned_away", count=self._turned_away)
            self._turned_away, self._next_told_s = 0, time.monotonic() + _TOLD_EVERY_S
        raise DeadlineExceeded("the deadline passed before the call's turn came") if is_over else late_answer(late_s)

    def _refuse(self, request: Any, context: grpc.ServicerContext) -> NoReturn:  # noqa: ARG002 - a handler's signature
        if self._is_draining:
            self._metrics.rejected.labels("draining").inc()
            raise ModelNotReady("the server is stopping")
        self._metrics.rejected.labels("in_flight").inc()
        raise Overloaded("the server handles as many calls as it can", retry_after_s=_RETRY_AFTER_S, cause="in_flight")

    def _watched(self, method: str, handler: Handler, behaviour: Behaviour, *, is_logged: bool = True) -> Behaviour:
        """Return the behaviour with everything around it; a generator where the response is a stream."""
        watch = _Watch(self._metrics, method, handler, self._tracing, is_logged=is_logged)

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            call = watch.begin(context)
            try:
                response = behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - this is the one interceptor
                watch.abort(call, context, error)
            watch.end(call, "OK")
            return response

        def answer_stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            call = watch.begin(context)
            try:
                yield from behaviour(request, context)
            except GeneratorExit:  # gRPC lets go of the generator when the caller is gone
                watch.end(call, failure_of(call.departure(), call.request_id).code.name)
                raise
            except Exception as error:  # noqa: BLE001 - this is the one interceptor
                watch.abort(call, context, error)
            watch.end(call, "OK")

        return answer_stream if handler.response_streaming else answer


class _Watch:
    """Counts and logs the RPCs of one method; label lookups are done once.

    A line for each call that is turned away at the door would cost a seventh of turning it away, and drown all others.
    """

    def __init__(
        self, metrics: Metrics, method: str, handler: Handler, tracing: Tracing | None, *, is_logged: bool
    ) -> None:
        self._tracing = tracing
        service, _, name = method.lstrip("/").partition("/")
        labels = (_kind(handler), service, name)
        self._method = method
        self._metrics = metrics
        self._is_logged = is_logged
        self._started = metrics.started.labels(*labels)
        self._handling = metrics.handling.labels(*labels)
        self._handled = {code.name: metrics.handled.labels(*labels, code.name) for code in POSSIBLE_CODES}

    def begin(self, context: grpc.ServicerContext) -> Call:
        self._started.inc()
        call = Call(self._method, context)
        context.set_trailing_metadata(((REQUEST_ID_KEY, call.request_id),))
        if self._tracing is not None:
            self._tracing.begin(call, context.invocation_metadata())
        return call

    def end(self, call: Call, code: str, **facts: object) -> None:
        duration_s = call.duration_s
        self._handling.observe(duration_s)
        self._handled[code].inc()
        if call.trace is not None:
            call.trace.end(code, call.caller.followed or (), call.facts)
        if not self._is_logged:
            return
        log = _log.debug if code == grpc.StatusCode.CANCELLED.name else _log.info
        log(
            "rpc_ended",
            method=self._method,
            code=code,
            duration_s=round(duration_s, 6),
            request_id=call.request_id,
            **call.facts,
            **facts,
        )

    def abort(self, call: Call, context: grpc.ServicerContext, error: Exception) -> NoReturn:
        if isinstance(error, (Cancelled, grpc.RpcError)):  # the latter is how gRPC's request iterator says it
            error = call.departure()
        failure: Failure = failure_of(error, call.request_id)
        if failure.is_ours:
            _log.error("rpc_failed", method=self._method, request_id=call.request_id, exc_info=error)
        error.__traceback__ = None  # its frames hold the request and the ticket that holds the error: a cycle
        self.end(call, failure.code.name, reason=failure.status.message)
        status = rpc_status.to_status(failure.status)
        trailing = (*status.trailing_metadata, (REQUEST_ID_KEY, call.request_id))
        context.set_trailing_metadata(trailing)
        context.abort(failure.code, failure.status.message)


def _behaviour(handler: Handler) -> Behaviour:
    behaviours = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(behaviour for behaviour in behaviours if behaviour is not None)


def _rewrapped(handler: Handler, behaviour: Behaviour, *, is_unread: bool = False) -> Handler:
    """Return a handler of the same kind and message types with another behaviour.

    Args:
        handler: what it is to be like.
        behaviour: what it does.
        is_unread: whether the behaviour is given an iterator even where there is one message: nothing is read, and
            nobody waits for it, before the behaviour asks.
    """
    makers = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make = makers[handler.request_streaming or is_unread, handler.response_streaming]
    return make(behaviour, handler.request_deserializer, handler.response_serializer)


def _kind(handler: Handler) -> str:
    """Return the RPC's kind as the ecosystem's dashboards spell it."""
    kinds = {
        (False, False): "unary",
        (False, True): "server_stream",
        (True, False): "client_stream",
        (True, True): "bidi_stream",
    }
    return kinds[handler.request_streaming, handler.response_streaming]
