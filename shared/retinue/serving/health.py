"""Health over gRPC: of the whole server, each service, `retinue.readiness` and `retinue.liveness`."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

READINESS: Final = "retinue.readiness"
LIVENESS: Final = "retinue.liveness"
_RESPONSE: Final = health_pb2.HealthCheckResponse
_SERVING: Final = _RESPONSE.SERVING
_NOT_SERVING: Final = _RESPONSE.NOT_SERVING

Send = Callable[[Any], object]


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # grpc_health ships no types
    """What the server says of itself. Liveness holds from the first moment to the last; the rest follows readiness.

    `Watch` holds no thread: gRPC hands it a function that sends. That function returns only when gRPC's polling thread
    has seen the message go, so it is never called under the lock that the polling thread takes when a watcher leaves
    (the stock servicer does so, and stands still for ever); one thread of its own tells all watchers, in order.

    Args:
        services: full names of the services that are ready when the models are.
        pool: threads of its own, so that a probe is answered while every handler is busy.
    """

    def __init__(self, services: Iterable[str], pool: ThreadPoolExecutor) -> None:
        self._lock = threading.Lock()
        self._statuses = dict.fromkeys(("", READINESS, *services), _NOT_SERVING) | {LIVENESS: _SERVING}
        self._watchers: set[_Watcher] = set()
        self._teller = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._is_ready = False
        self._is_ending = False
        self._is_closed = False
        marks = {"experimental_thread_pool": pool}
        self.Check = _marked(self.Check, **marks)  # type: ignore[method-assign]  # the same method, with a mark
        self.Watch = _marked(self.Watch, **marks, experimental_non_blocking=True)  # type: ignore[method-assign]  # likewise

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC names the methods
        """Return a service's status; NOT_FOUND for one that nobody knows, as the protocol says."""
        status = self._statuses.get(request.service)
        if status is None:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details("unknown service")
            return _RESPONSE()
        return _RESPONSE(status=status)

    def Watch(self, request: Any, context: grpc.ServicerContext, send: Send) -> None:  # noqa: N802 - gRPC names the methods
        """Send a service's status now and whenever it changes; SERVICE_UNKNOWN for one that nobody knows."""
        watcher = _Watcher(request.service, send)
        with self._lock:
            self._watchers.add(watcher)
        if not context.add_callback(lambda: self._forget(watcher)):
            self._forget(watcher)
        self._teller.submit(self._tell, watcher)

    @property
    def is_ready(self) -> bool:
        """Whether the server says that it is ready."""
        return self._is_ready

    def set_ready(self, *, is_ready: bool) -> None:
        """Say whether calls are welcome; once the server is ending they never are again."""
        with self._lock:
            self._is_ready = is_ready and not self._is_ending
            status = _SERVING if self._is_ready else _NOT_SERVING
            self._statuses |= dict.fromkeys(self._statuses.keys() - {LIVENESS}, status)
        self._tell_all()

    def end(self) -> None:
        """Say NOT_SERVING from now on; the process is alive while it drains."""
        self._is_ending = True
        self.set_ready(is_ready=False)

    def close(self) -> None:
        """End every watch: none has an end of its own, and a server that stops would wait for it."""
        self._is_closed = True
        self._tell_all()

    def _tell_all(self) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            self._teller.submit(self._tell, watcher)

    def _tell(self, watcher: "_Watcher") -> None:
        """Send what a watcher has not been told; runs in the teller's thread only."""
        status = self._statuses.get(watcher.service, _RESPONSE.SERVICE_UNKNOWN)
        if status != watcher.told and not watcher.is_ended:
            watcher.told = status
            watcher.send(_RESPONSE(status=status))
        if self._is_closed and not watcher.is_ended:
            watcher.is_ended = True
            watcher.send(None)  # gRPC ends the stream, with OK

    def _forget(self, watcher: "_Watcher") -> None:
        with self._lock:
            self._watchers.discard(watcher)


class _Watcher:
    """One `Watch` under way: of what, how to send, what was sent last, and whether the end was."""

    __slots__ = ("is_ended", "send", "service", "told")

    def __init__(self, service: str, send: Send) -> None:
        self.service = service
        self.send = send
        self.told: int | None = None
        self.is_ended = False


def _marked(behaviour: Callable[..., Any], **marks: object) -> Callable[..., Any]:
    """Return a behaviour with marks that gRPC reads from the function: which pool it runs in, and how."""

    def run(*arguments: Any) -> Any:
        return behaviour(*arguments)

    vars(run).update(marks)
    return run
