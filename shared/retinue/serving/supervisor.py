"""Several worker processes as one service: one port, one readiness, one page of metrics, one end."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from retinue.serving.bell import Bell, heed_signals
from retinue.serving.host import host_and_port, process_registry
from retinue.serving.logs import configure_logs, log_settings
from retinue.serving.merged_metrics import Families, MergedMetrics, snapshot
from retinue.serving.metrics import WorkerMetrics
from retinue.serving.model_keeper import Change
from retinue.serving.seat import Condition, Start
from retinue.serving.settings import HostSettings
from retinue.serving.shared_port import hold_port
from retinue.serving.side_port import SidePort
from retinue.serving.worker_process import WorkerProcess

_FIRST_WAIT_S = 0.1  # before a worker that has ended is replaced; twice as long each time it ends soon
_LONGEST_WAIT_S = 30.0
_STEADY_S = 60.0  # who has lived for so long did not end soon
_LEEWAY_S = 10.0  # what a worker may take to end beyond what the settings give it
_log = structlog.get_logger(__name__)


class Supervisor:
    """Starts workers, replaces those that end, and speaks for all.

    Args:
        settings: of the service.
        command: the program of a worker; that of this process where it is None.

    Raises:
        OSError: a port is taken.
    """

    def __init__(self, settings: HostSettings, command: Sequence[str] | None = None) -> None:
        self._settings = settings
        self._command = command
        self._port, self.grpc_port = hold_port(*host_and_port(settings.grpc.address))
        registry = CollectorRegistry()
        self._own = process_registry()
        self._counts = WorkerMetrics(self._own, lambda: sum(worker.is_ready for worker in self._living()))
        self._merged = MergedMetrics(self._sources)
        registry.register(self._merged)
        self._side_port = SidePort(*host_and_port(settings.http.address), registry, lambda: self.is_ready)
        self.http_port = self._side_port.port
        self.bell = Bell()
        self._is_stop_asked = False
        self._is_refresh_asked = False
        self._may_serve = False  # all were loaded once
        self._was_ready = False  # all were ready once
        self._is_told = False  # the log says that the service is ready
        self._names: list[str] = []
        self._has_failed = False
        self._table = threading.Lock()
        self._workers: dict[int, WorkerProcess] = {}
        self._changes: dict[str, Change] = {}
        self._changing = threading.Lock()
        self._waits_s = dict.fromkeys(range(settings.workers), _FIRST_WAIT_S)
        self._due_s: dict[int, float] = {}

    @property
    def is_ready(self) -> bool:
        """Whether the service can answer: all workers could at the start, and one can now."""
        return self._was_ready and not self._is_stop_asked and any(worker.is_ready for worker in self._living())

    def ask_to_stop(self, *_: object) -> None:
        """Begin the drain of all; safe to call from a signal handler."""
        self._is_stop_asked = True
        self.bell.ring()

    def ask_to_refresh(self, *_: object) -> None:
        """Have all bring their models in line with the repositories; safe to call from a signal handler."""
        self._is_refresh_asked = True
        self.bell.ring()

    def run(self) -> int:
        """Serve until asked to stop; return the exit code of the process.

        Returns:
            0 after a drain of all, 1 where one could not be loaded at the start or had to be killed.
        """
        self._side_port.start()
        _log.info("listening", grpc_port=self.grpc_port, http_port=self.http_port, workers=self._settings.workers)
        for number in range(self._settings.workers):
            self._start(number)
        while not self._is_stop_asked:
            self._look_after()
            wait_s = min(self._due_s.values(), default=float("inf")) - time.monotonic()
            self.bell.wait(None if wait_s == float("inf") else max(0.0, wait_s))
        return self._drain()

    def _start(self, number: int) -> None:
        try:
            with self._table:  # so that it begins with every change that it is not told of
                start = Start(number, self._settings, self.grpc_port, self._may_serve, dict(self._changes))
                worker = self._workers[number] = WorkerProcess(start, self._hear, self.bell.ring, self._command)
        except OSError as error:  # no room for another process or another file
            self._fail(number, "worker_not_started", problem=str(error))
        else:
            self._counts.restarts.inc(start.is_replacement)
            _log.info("worker_started", worker=number, pid=worker.pid)

    def _look_after(self) -> None:
        """Pass on what was asked, and replace whoever has ended when the time has come."""
        if self._is_refresh_asked:
            self._is_refresh_asked = False
            for worker in self._living():
                worker.tell("refresh")
        for worker in self._living():
            if worker.is_gone:
                self._bury(worker, worker.wait(_LEEWAY_S))
        now_s = time.monotonic()
        for number in [number for number, due_s in self._due_s.items() if due_s <= now_s]:
            del self._due_s[number]
            self._start(number)

    def _bury(self, worker: WorkerProcess, exit_code: int) -> None:
        def forget() -> None:
            with self._table:
                del self._workers[worker.number]

        self._merged.bury(lambda: worker.last_metrics, forget)
        if self._may_serve:
            self._note_readiness()
        if time.monotonic() - worker.started_s > _STEADY_S:
            self._waits_s[worker.number] = _FIRST_WAIT_S
        event = "worker_ended" if self._may_serve else "worker_failed"
        self._fail(worker.number, event, pid=worker.pid, exit_code=exit_code)

    def _fail(self, number: int, event: str, **facts: object) -> None:
        """Have a worker started again later; at the start end instead, since no other could begin either."""
        if not self._may_serve:
            _log.error(event, worker=number, **facts)
            self._has_failed = True
            self.ask_to_stop()
            return
        wait_s = self._waits_s[number]
        self._waits_s[number] = min(2 * wait_s, _LONGEST_WAIT_S)
        self._due_s[number] = time.monotonic() + wait_s
        _log.error(event, worker=number, **facts, replaced_in_s=wait_s)

    def _hear(self, worker: WorkerProcess, what: str, content: Any) -> Any:
        if what == "loaded":
            worker.is_loaded = True
            self._names = content
            self._let_serve(worker)
        elif what == "ready":
            worker.is_ready = content
            self._note_readiness()
        elif what == "change":
            return self._change(*content)
        return None

    def _let_serve(self, worker: WorkerProcess) -> None:
        """Let a worker say that it is ready: at the start when all are loaded, a replacement at once."""
        with self._table:
            workers = list(self._workers.values())
            is_first_time = not self._may_serve
            if is_first_time and (len(workers) < self._settings.workers or not all(one.is_loaded for one in workers)):
                return
            self._may_serve = True
        for one in workers if is_first_time else [worker]:
            one.tell("serve")

    def _note_readiness(self) -> None:
        """Log when the service becomes ready, and when it is so no more."""
        with self._table:
            workers = self._workers.values()
            self._was_ready = self._was_ready or all(worker.is_ready for worker in workers)
            before = self._is_told
            is_ready = self._is_told = self._was_ready and any(worker.is_ready for worker in workers)
        if is_ready is not before:
            _log.info("ready" if is_ready else "not_ready", models=self._names)

    def _change(self, change: Change, name: str) -> Condition | None:
        """Have all workers load or unload a model; return what is to be told of it to the caller.

        Raises:
            LinkFailed: one of them met with a fault of ours; its log says which.
        """
        with self._changing:
            with self._table:
                before = self._changes.get(name)
                self._changes[name] = change
                workers = list(self._workers.values())
            with ThreadPoolExecutor(len(workers)) as pool:
                answers = list(pool.map(lambda worker: worker.ask("change", (change, name)), workers))
            conditions = [answer for answer in answers if isinstance(answer, Condition)]
            if conditions and all(one.kind == "ModelNotFound" for one in conditions):
                with self._table:  # nothing to begin with
                    del self._changes[name]
                    if before is not None:
                        self._changes[name] = before
            return conditions[0] if conditions else None

    def _sources(self) -> list[Families]:
        workers = self._living()
        with ThreadPoolExecutor(max(1, len(workers))) as pool:
            families = list(pool.map(WorkerProcess.metrics, workers))
        return [*families, snapshot(self._own)]

    def _living(self) -> list[WorkerProcess]:
        with self._table:
            return list(self._workers.values())

    def _drain(self) -> int:
        """Tell all to drain, and wait until they have."""
        _log.info("draining", workers=len(self._living()))
        grpc = self._settings.grpc
        for worker in self._living():
            worker.terminate()
        end_s = time.monotonic() + grpc.drain_delay_s + grpc.grace_s + _LEEWAY_S
        codes = {worker: worker.wait(max(0.0, end_s - time.monotonic())) for worker in self._living()}
        self._side_port.stop()
        self._port.close()
        _log.info("stopped", exit_codes=list(codes.values()))
        # One that was still starting knew no better than to end at once.
        return int(self._has_failed or any(code for worker, code in codes.items() if worker.is_loaded))


def supervise(settings: HostSettings) -> int:
    """Serve with several processes until SIGTERM or SIGINT, and return the exit code of this one."""
    configure_logs(settings.log)
    log_settings(settings)
    try:
        supervisor = Supervisor(settings)
    except OSError as error:
        _log.error("port_taken", problem=str(error))
        return 1
    heed_signals(supervisor.bell, stop=supervisor.ask_to_stop, refresh=supervisor.ask_to_refresh)
    return supervisor.run()
