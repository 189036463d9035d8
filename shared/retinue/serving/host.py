"""The host of a service: it listens, makes ready, says so, and on SIGTERM drains without losing an answer."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from retinue.oip import open_inference_pb2_grpc
from retinue.runtime.caller import Priority
from retinue.runtime.errors import ModelNotFound
from retinue.serving.bell import Bell, heed_signals
from retinue.serving.door import Door
from retinue.serving.health import Health
from retinue.serving.interceptor import RpcInterceptor
from retinue.serving.logs import configure_logs, log_settings
from retinue.serving.metrics import Load, Metrics
from retinue.serving.model_keeper import ModelKeeper
from retinue.serving.oip import OpenInferenceServicer
from retinue.serving.pool import HandlerPool
from retinue.serving.seat import Seat
from retinue.serving.settings import HostSettings
from retinue.serving.side_port import SidePort
from retinue.serving.tensor_model import TensorModels
from retinue.serving.tracing import Tracing, TracingMissing, tracing_of

Settings_contra = TypeVar("Settings_contra", bound=HostSettings, contravariant=True)
Settings = TypeVar("Settings", bound=HostSettings)

OIP_SERVICE = "inference.GRPCInferenceService"
_KEEPALIVE_FLOOR_MS = 5_000  # clients may ping this often, idle or not, and are not sent away for it
_POLL_S = 0.02
_SWITCH_INTERVAL_S = 0.0005  # a worker that wants the interpreter back waited Python's 5 ms when many were turned away
_FAREWELL_S = 1.0  # a caller that still comes after this long does not listen
_log = structlog.get_logger(__name__)


class Work(Protocol):
    """What stands behind a service's calls and has to be made ready for them: models, or a pool of solvers."""

    @property
    def is_ready(self) -> bool:
        """Whether it can answer."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """What is ready, as ``name@version``, for the log."""
        ...

    @property
    def tensor_models(self) -> TensorModels:
        """What it can do, as the Open Inference Protocol sees it."""
        ...

    @property
    def keeper(self) -> ModelKeeper | None:
        """What changes its models while they are served; None where there are none to change."""
        ...

    def add_to_server(self, server: grpc.Server) -> None:
        """Add the servicer that asks it to a server."""
        ...

    def load(self) -> bool:
        """Make it ready; where that fails, log why. Called once, in a thread of its own.

        Returns:
            Whether it is ready or may yet become so.
        """
        ...

    def loads(self) -> Sequence[Load]:
        """Return what waits at this instant."""
        ...

    def late_s(self, patience_s: float, priority: Priority) -> float:
        """Return how much too late a call would be answered that can wait so long, 0 or less if in time."""
        ...

    def close(self, *, timeout_s: float) -> None:
        """End its threads."""
        ...


class Service(Protocol[Settings_contra]):
    """What a service brings to its host."""

    @property
    def task(self) -> str:
        """Its name, which is that of its folder."""
        ...

    @property
    def full_name(self) -> str:
        """Full name of its gRPC service."""
        ...

    @property
    def asking_methods(self) -> tuple[str, ...]:
        """Its unary methods that ask a model, by name; under overload they are refused at the door."""
        ...

    def work(self, settings: Settings_contra, metrics: Metrics) -> Work:
        """Return the work behind it, not ready yet.

        Raises:
            ModelNotFound: the settings name a model that is in no repository.
        """
        ...


class Host(Generic[Settings]):
    """One service in one process.

    Args:
        service: what is served.
        settings: how.
        on_loaded: called when the work is ready to be done, before the service says so.
        seat: of this process, where it is one of several; its supervisor then has the side port.

    Raises:
        OSError: a port is taken.
        ModelNotFound: the settings name a model that is in no repository.
        TracingMissing: traces are wanted and their packages are not installed.
    """

    def __init__(
        self,
        service: Service[Settings],
        settings: Settings,
        on_loaded: Callable[[], None] = lambda: None,
        seat: Seat | None = None,
    ) -> None:
        self._service = service
        self._on_loaded = on_loaded
        self._settings = settings
        self._seat = seat
        registry = process_registry()
        self.metrics = Metrics(registry)
        self._work = service.work(settings, self.metrics)
        self._control_pool = ThreadPoolExecutor(4, thread_name_prefix="control")
        self._pool = HandlerPool(settings.grpc.max_in_flight_calls)
        self.health = Health((service.full_name, OIP_SERVICE), self._control_pool)
        self.metrics.observe_load(self._work.loads, lambda: self._pool.in_flight)
        self._tracing: Tracing | None = tracing_of(settings.tracing, service.task)
        self._interceptor = RpcInterceptor(self.metrics, self._pool, self._door(), self._tracing)
        self._server = grpc.server(
            self._pool, interceptors=[self._interceptor], options=_options(settings, is_port_shared=seat is not None)
        )
        self._work.add_to_server(self._server)
        open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            OpenInferenceServicer(_WhileReady(self._work.tensor_models, self.health), self._work.keeper), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        names = (service.full_name, OIP_SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.grpc_port = self._bind() if seat is None or not seat.start.is_replacement else 0
        self._side_port: SidePort | None = None
        if seat is None:
            host, port = host_and_port(settings.http.address)
            self._side_port = SidePort(host, port, registry, lambda: self.health.is_ready)
        self.bell = Bell()
        self._is_stop_asked = False
        self._has_failed = False
        self._telling = threading.Lock()
        if self._work.keeper is not None:
            self._work.keeper.watch(self._tell_readiness)
        if seat is not None:
            seat.take(registry, self._work.keeper, self.ask_to_stop)

    @property
    def http_port(self) -> int:
        """The side port; 0 where there is none."""
        return 0 if self._side_port is None else self._side_port.port

    def ask_to_refresh(self, *_: object) -> None:
        """Have models brought in line with their repositories; safe to call from a signal handler."""
        if self._work.keeper is not None:
            self._work.keeper.ask_refresh()

    def ask_to_stop(self, *_: object) -> None:
        """Begin the drain; safe to call from a signal handler."""
        self._is_stop_asked = True
        self.bell.ring()

    def run(self) -> int:
        """Serve until asked to stop; return the exit code of the process.

        The work is made ready in a thread of its own, which a process that is told to end does not wait for.

        Returns:
            0 after a drain, 1 where the work did not become ready.
        """
        if self.grpc_port:
            self._listen()
        threading.Thread(target=self._keep, name="keeper", daemon=True).start()
        while not self._is_stop_asked:
            self.bell.wait()
        self._drain()
        return int(self._has_failed)

    def _listen(self) -> None:
        self._server.start()
        if self._side_port is not None:
            self._side_port.start()
        event = "listening" if self._seat is None else "worker_listening"
        _log.info(event, grpc_port=self.grpc_port, http_port=self.http_port, service=self._service.full_name)

    def _keep(self) -> None:
        """Make the work ready, then keep it up to date."""
        self._load()
        keeper = self._work.keeper
        if keeper is not None and not self._has_failed:
            keeper.run()

    def _load(self) -> None:
        """Make the work ready and say so, or ask the server to stop where it is not and nothing can make it so."""
        is_hopeful = False
        try:
            is_hopeful = self._work.load()
        finally:  # also where a fault of ours ends this thread, with its traceback on stderr
            if self._work.is_ready or is_hopeful:
                self._on_loaded()
                self._begin_to_serve()
            else:
                self._fail()

    def _begin_to_serve(self) -> None:
        """Say that the work is ready, after the other processes of the service have come so far."""
        if self._seat is not None:
            self._seat.wait_to_serve(self._work.names)
        if not self.grpc_port:  # others have served so far
            try:
                self.grpc_port = self._bind()
            except OSError as error:
                _log.error("port_taken", problem=str(error))
                self._fail()
                return
            self._listen()
        self._tell_readiness()
        if self._work.is_ready and not self.health.is_ready:
            _log.info("loaded_too_late", models=self._work.names)

    def _fail(self) -> None:
        self._has_failed = True
        self.ask_to_stop()

    def _tell_readiness(self) -> None:
        with self._telling:  # or what was true first might be said last
            was_ready = self.health.is_ready
            self.health.set_ready(is_ready=self._work.is_ready)
            if self.health.is_ready is not was_ready:
                prefix = "" if self._seat is None else "worker_"
                _log.info(f"{prefix}not_ready" if was_ready else f"{prefix}ready", models=self._work.names)
                if self._seat is not None:
                    self._seat.tell_readiness(is_ready=self.health.is_ready)

    def _drain(self) -> None:
        """Say NOT_SERVING, let clients see it, then let what is under way end."""
        _log.info("draining", delay_s=self._settings.grpc.drain_delay_s, grace_s=self._settings.grpc.grace_s)
        was_ready = self.health.is_ready
        self.health.end()
        if was_ready:
            time.sleep(self._settings.grpc.drain_delay_s)
        # Calls that come now are told UNAVAILABLE by us. gRPC's own stop would cancel those that come in that instant,
        # and a caller may not take CANCELLED for a reason to try elsewhere; so it comes when callers have gone, or have
        # been told often enough.
        self._interceptor.refuse_all()
        begin_s = time.monotonic()
        end_s = begin_s + self._settings.grpc.grace_s
        while time.monotonic() < end_s:
            has_told_enough = self._interceptor.is_quiet or time.monotonic() > begin_s + _FAREWELL_S
            if has_told_enough and not self._pool.in_flight:
                break
            time.sleep(_POLL_S)
        stopped = self._server.stop(max(0.0, end_s - time.monotonic()))
        self.health.close()
        stopped.wait()
        self._work.close(timeout_s=1.0)
        if self._side_port is not None:
            self._side_port.stop()
        if self._tracing is not None:
            self._tracing.close()
        _log.info("stopped")

    def _door(self) -> Door:
        names = [f"/{self._service.full_name}/{method}" for method in self._service.asking_methods]
        return Door(self._pool, [*names, f"/{OIP_SERVICE}/ModelInfer"], self._work.late_s)

    def _bind(self) -> int:
        host, port = host_and_port(self._settings.grpc.address)
        port = port if self._seat is None else self._seat.start.grpc_port
        try:
            return self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:  # gRPC's way to say that the port is taken
            raise OSError(f"grpc.address {host}:{port} cannot be bound") from error


class _WhileReady:
    """Tensor models that are ready while the server says so: not before they are loaded, not while it drains."""

    def __init__(self, models: TensorModels, health: Health) -> None:
        self._health = health
        self.get = models.get
        self.index = models.index

    @property
    def is_ready(self) -> bool:
        return self._health.is_ready


def _settle_heap() -> None:
    """Take what start-up made out of the garbage collector's sight, and let it run less often.

    Modules, models and messages' classes live as long as the process; walking through them again and again cost 3 % of
    the CPU of a small model's answers. Requests leave no cycles behind, so reference counts free what they use.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def process_registry() -> CollectorRegistry:
    """Return a registry that holds what there is to say of this process itself."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def serve(service: Service[Settings], settings: Settings, seat: Seat | None = None) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code of the process.

    Args:
        service: what is served.
        settings: how.
        seat: of this process, where it is one of several.
    """
    if seat is None:
        configure_logs(settings.log)
        log_settings(settings)
    else:
        configure_logs(settings.log, worker=seat.start.number)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        host = Host(service, settings, _settle_heap, seat)
    except OSError as error:
        _log.error("port_taken", problem=str(error))
        return 1
    except ModelNotFound as error:
        _log.error("model_not_found", problem=error.message)
        return 1
    except TracingMissing as error:
        _log.error("tracing_missing", problem=str(error))
        return 1
    heed_signals(host.bell, stop=host.ask_to_stop, refresh=host.ask_to_refresh)
    return host.run()


def _options(settings: HostSettings, *, is_port_shared: bool) -> list[tuple[str, int]]:
    grpc_settings = settings.grpc
    return [
        ("grpc.max_receive_message_length", grpc_settings.max_message_bytes),
        ("grpc.max_send_message_length", grpc_settings.max_message_bytes),
        ("grpc.max_connection_age_ms", round(grpc_settings.max_connection_age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", round(grpc_settings.grace_s * 1000)),
        ("grpc.so_reuseport", int(is_port_shared)),  # a second service must fail, not share the port unseen
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _KEEPALIVE_FLOOR_MS),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _KEEPALIVE_FLOOR_MS),
    ]


def host_and_port(address: str) -> tuple[str, int]:
    """Return the two parts of an address."""
    host, _, port = address.rpartition(":")
    return host, int(port)
