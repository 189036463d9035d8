"""A real gRPC server in this process, with the real interceptor, for tests of what stands around a handler."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry

from retinue.serving.door import Door
from retinue.serving.health import Health
from retinue.serving.interceptor import RpcInterceptor
from retinue.serving.metrics import Metrics
from retinue.serving.pool import HandlerPool
from retinue.serving.tracing import Tracing

SERVICE = "test.Echo"
PATIENCE_S = 20  # how long a test waits for what must come; it is never waited out


class EndedPool(HandlerPool):
    """Handler threads that tell when the handler of a call has ended and its place is free."""

    def __init__(self, thread_count: int) -> None:
        super().__init__(thread_count)
        self._ended = threading.Semaphore(0)

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(*args, **kwargs)
        future.add_done_callback(lambda _: self._ended.release())
        return future

    def wait_ended(self, count: int = 1) -> None:
        """Wait until that many more handlers have ended."""
        for _ in range(count):
            assert self._ended.acquire(timeout=PATIENCE_S)


@dataclass(frozen=True)
class Running:
    """A server that runs, and a channel to it."""

    channel: grpc.Channel
    metrics: Metrics
    pool: EndedPool
    health: Health
    interceptor: RpcInterceptor
    address: str

    def unary(self, method: str) -> Any:
        return self.channel.unary_unary(f"/{SERVICE}/{method}")

    def server_stream(self, method: str) -> Any:
        return self.channel.unary_stream(f"/{SERVICE}/{method}")

    def client_stream(self, method: str) -> Any:
        return self.channel.stream_unary(f"/{SERVICE}/{method}")

    def bidi_stream(self, method: str) -> Any:
        return self.channel.stream_stream(f"/{SERVICE}/{method}")

    def sample(self, name: str, **labels: str) -> float | None:
        value: float | None = self.metrics.registry.get_sample_value(name, labels)
        return value

    def started(self) -> list[dict[str, str]]:
        """Return the labels of every method that was called."""
        return [sample.labels for family in self.metrics.started.collect() for sample in family.samples]

    def handled(self, method: str, kind: str = "unary") -> dict[str, float]:
        """Return how many calls of a method ended with each code, zeros left out."""
        labels = {"grpc_type": kind, "grpc_service": SERVICE, "grpc_method": method}
        return {
            sample.labels["grpc_code"]: sample.value
            for family in self.metrics.handled.collect()
            for sample in family.samples
            if sample.labels.items() >= labels.items() and sample.value
        }


@contextmanager
def running(
    handlers: dict[str, Any],
    *,
    thread_count: int = 8,
    door: Callable[[HandlerPool], Door] | None = None,
    tracing: Tracing | None = None,
) -> Iterator[Running]:
    """Serve handlers by their method's name on a free port."""
    with EndedPool(thread_count) as pool, ThreadPoolExecutor(4) as control_pool:
        metrics, health = Metrics(CollectorRegistry()), Health((SERVICE,), control_pool)
        interceptor = RpcInterceptor(metrics, pool, None if door is None else door(pool), tracing)
        server = grpc.server(pool, interceptors=[interceptor])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            yield Running(channel, metrics, pool, health, interceptor, address)
        server.stop(None).wait()


def status_of(error: Any) -> Status:
    """Return the rich status of a call that failed; it must carry one."""
    status = rpc_status.from_call(error)
    assert status is not None
    return status


def detail_of(status: Status, kind: type[Any]) -> Any:
    """Return the one detail of that kind; None if there is none."""
    found = [detail for detail in status.details if detail.Is(kind.DESCRIPTOR)]
    assert len(found) <= 1
    if not found:
        return None
    message = kind()
    found[0].Unpack(message)
    return message


def error_info_of(status: Status) -> ErrorInfo:
    info = detail_of(status, ErrorInfo)
    assert info is not None
    return info


def retry_delay_s(status: Status) -> float | None:
    info = detail_of(status, RetryInfo)
    return None if info is None else info.retry_delay.ToNanoseconds() / 1e9


def violations_of(status: Status) -> list[tuple[str, str]]:
    details = detail_of(status, BadRequest)
    return [] if details is None else [(one.field, one.description) for one in details.field_violations]
