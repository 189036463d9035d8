"""Every metric of a service, declared here and nowhere else; docs/metrics.md explains each to its reader.

RPC traffic keeps the ecosystem's names (`grpc_server_…`), so that existing dashboards work. Labels come from closed
sets.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from retinue.runtime.models import ModelState, ModelStatus
from retinue.runtime.timings import Timings

# Whole calls: 1 ms to 30 s. The lower end resolves a small model on an idle CPU, the upper a detector on a large
# picture.
CALL_BUCKETS_S = (
    0.001,
    0.0025,
    0.005,
    0.0075,
    0.01,
    0.015,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
# Stages: a decode or resize takes 0.05 to 50 ms, a run 1 ms to seconds.
STAGE_BUCKETS_S = (5e-5, 1e-4, 2.5e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# Batches are rounded to powers of two where that matters.
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
# Encoded pictures: a thumbnail to the default limit.
IMAGE_BUCKETS_BYTES = tuple(float(2**power) for power in range(10, 26))
# Problems of matching: a few things with a few others, to the default limit.
CELL_BUCKETS = tuple(float(4**power) for power in range(1, 14))
# From a few pairs to the largest matrices.
SOLVE_BUCKETS_S = (2.5e-5, *STAGE_BUCKETS_S, 10.0, 30.0)

REJECTION_REASONS = ("queue_full", "deadline_unmet", "in_flight", "deadline", "cancelled", "draining")

LOAD_OUTCOMES = ("loaded", "failed")

_RPC = ("grpc_type", "grpc_service", "grpc_method")
_MODEL = ("model", "version")


@dataclass(frozen=True, slots=True)
class Load:
    """What waits for one model at this instant, and what runs it."""

    model: str
    version: str
    provider: str
    queue_length: int


class Metrics:
    """The metrics of one service.

    Args:
        registry: where they are registered; tests give their own.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        # For the whole process: a `_created` series beside each counter and histogram, which nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves this one untyped
        self.registry = registry
        self.started = Counter("grpc_server_started_total", "RPCs begun.", _RPC, registry=registry)
        self.handled = Counter(
            "grpc_server_handled_total", "RPCs ended, by status code.", (*_RPC, "grpc_code"), registry=registry
        )
        self.handling = Histogram(
            "grpc_server_handling_seconds",
            "Time from the first byte of a request handled to its status.",
            _RPC,
            buckets=CALL_BUCKETS_S,
            registry=registry,
        )
        self.rejected = Counter(
            "retinue_rejected_total",
            f"Items and calls not answered, by reason: {', '.join(REJECTION_REASONS)}.",
            ("reason",),
            registry=registry,
        )
        self.image_bytes = Histogram(
            "retinue_image_bytes",
            "Size of the pictures received, encoded or raw.",
            buckets=IMAGE_BUCKETS_BYTES,
            registry=registry,
        )
        stages = (
            ("queue_wait", "Time that an item waited for a worker."),
            ("decode", "Time to read a picture's file into pixels."),
            ("preprocess", "Time to resize and crop a picture to the model's input."),
            ("inference", "Time of one run of a model on one batch."),
            ("postprocess", "Time to turn one item's raw output into its answer."),
        )
        self.queue_wait, self.decode, self.preprocess, self.inference, self.postprocess = (
            Histogram(f"retinue_{stage}_seconds", text, _MODEL, buckets=STAGE_BUCKETS_S, registry=registry)
            for stage, text in stages
        )
        self.batch_size = Histogram(
            "retinue_batch_size",
            "Items that shared one run of a model.",
            _MODEL,
            buckets=BATCH_BUCKETS,
            registry=registry,
        )
        self.failed = Counter(
            "retinue_failed_total", "Items that ended in an error of their own.", _MODEL, registry=registry
        )
        self.model_loads = Counter(
            "retinue_model_loads_total",
            f"Model packages that were to be loaded, by outcome: {', '.join(LOAD_OUTCOMES)}.",
            (*_MODEL, "outcome"),
            registry=registry,
        )
        kind = ("problem",)
        self.problem_cells = Histogram(
            "retinue_problem_cells",
            "Size of the matching problems solved, rows times columns.",
            kind,
            buckets=CELL_BUCKETS,
            registry=registry,
        )
        self.solve = Histogram(
            "retinue_solve_seconds",
            "Time to solve one matching problem.",
            kind,
            buckets=SOLVE_BUCKETS_S,
            registry=registry,
        )
        self.pairs = Counter("retinue_pairs_total", "Pairs found.", kind, registry=registry)
        self.unpaired = Counter("retinue_unpaired_total", "Things left without a partner.", kind, registry=registry)
        for reason in REJECTION_REASONS:
            self.rejected.labels(reason)  # a rate needs the zero

    def observe_load(self, loads: Callable[[], Iterable[Load]], in_flight_calls: Callable[[], int]) -> None:
        """Read queue lengths, calls in flight and loaded models whenever metrics are collected."""
        self.registry.register(_LoadCollector(loads, in_flight_calls))

    def observe_models(self, statuses: Callable[[], Iterable[ModelStatus]], draining_count: Callable[[], int]) -> None:
        """Read the states of models whenever metrics are collected."""
        self.registry.register(_ModelCollector(statuses, draining_count))

    def on_model_load(self, model: str, version: str, is_loaded: bool) -> None:  # noqa: FBT001 - a callback's signature
        """Count a package that was to be loaded."""
        for outcome in LOAD_OUTCOMES:
            self.model_loads.labels(model, version, outcome).inc(is_loaded is (outcome == "loaded"))

    def engine_observer(self, model: str, version: str) -> "EngineObserver":
        """Return the observer that an engine reports to."""
        return EngineObserver(self, model, version)

    def solve_observer(self, problem: str) -> "SolveObserver":
        """Return the observer that solvers of one kind of problem report to."""
        return SolveObserver(self, problem)


class WorkerMetrics:
    """The metrics of who supervises several worker processes.

    Args:
        registry: where they are registered.
        ready_count: how many of them can answer.
    """

    def __init__(self, registry: CollectorRegistry, ready_count: Callable[[], int]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # as in `Metrics`
        self.restarts = Counter(
            "retinue_worker_restarts_total", "Worker processes that ended and were replaced.", registry=registry
        )
        ready = Gauge("retinue_ready_workers", "Worker processes that can answer.", registry=registry)
        ready.set_function(ready_count)


class SolveObserver:
    """Turns what is said of solved problems into metrics; label lookups are done once, here."""

    def __init__(self, metrics: Metrics, problem: str) -> None:
        self._cells = metrics.problem_cells.labels(problem)
        self._solve = metrics.solve.labels(problem)
        self._pairs = metrics.pairs.labels(problem)
        self._unpaired = metrics.unpaired.labels(problem)

    def on_solved(self, solve_s: float, pair_count: int, unpaired_a_count: int, unpaired_b_count: int) -> None:
        """Count one problem of pairs."""
        self._cells.observe((pair_count + unpaired_a_count) * (pair_count + unpaired_b_count))
        self._solve.observe(solve_s)
        self._pairs.inc(pair_count)
        self._unpaired.inc(unpaired_a_count + unpaired_b_count)

    def on_scored(self, solve_s: float, cell_count: int) -> None:
        """Count one evaluation, which has no pairs of its own."""
        self._cells.observe(cell_count)
        self._solve.observe(solve_s)


class EngineObserver:
    """Turns what one engine reports into metrics; label lookups are done once, here."""

    def __init__(self, metrics: Metrics, model: str, version: str) -> None:
        labels = (model, version)
        self._batch_size = metrics.batch_size.labels(*labels)
        self._inference = metrics.inference.labels(*labels)
        self._queue_wait = metrics.queue_wait.labels(*labels)
        self._decode = metrics.decode.labels(*labels)
        self._preprocess = metrics.preprocess.labels(*labels)
        self._postprocess = metrics.postprocess.labels(*labels)
        self._failed = metrics.failed.labels(*labels)
        self._rejected = metrics.rejected

    def on_batch(self, batch_size: int, infer_s: float) -> None:
        """Count one run of the model."""
        self._batch_size.observe(batch_size)
        self._inference.observe(infer_s)

    def on_answer(self, timings: Timings) -> None:
        """Count one answer's stages."""
        self._queue_wait.observe(timings.queue_s)
        self._decode.observe(timings.decode_s)
        self._preprocess.observe(timings.preprocess_s)
        self._postprocess.observe(timings.postprocess_s)

    def on_failure(self) -> None:
        """Count one item that failed."""
        self._failed.inc()

    def on_drop(self, reason: str) -> None:
        """Count one item that was refused or dropped."""
        self._rejected.labels(reason).inc()


class _LoadCollector(Collector):
    """Gauges that are read when collected, so nothing on the way of a request keeps them."""

    def __init__(self, loads: Callable[[], Iterable[Load]], in_flight_calls: Callable[[], int]) -> None:
        self._loads = loads
        self._in_flight_calls = in_flight_calls

    def collect(self) -> Iterable[GaugeMetricFamily]:
        length = GaugeMetricFamily("retinue_queue_length", "Items waiting for a worker.", labels=_MODEL)
        info = GaugeMetricFamily("retinue_model_info", "1 for each model ready to answer.", labels=(*_MODEL, "backend"))
        for load in self._loads():
            length.add_metric((load.model, load.version), load.queue_length)
            info.add_metric((load.model, load.version, load.provider), 1)
        in_flight = GaugeMetricFamily("retinue_in_flight_calls", "RPCs being handled.", value=self._in_flight_calls())
        return [length, info, in_flight]


class _ModelCollector(Collector):
    """Where each model is on its way, read when collected."""

    def __init__(self, statuses: Callable[[], Iterable[ModelStatus]], draining_count: Callable[[], int]) -> None:
        self._statuses = statuses
        self._draining_count = draining_count

    def collect(self) -> Iterable[GaugeMetricFamily]:
        text = f"1 for the state that a model is in, 0 for the others: {', '.join(ModelState)}."
        states = GaugeMetricFamily("retinue_model_state", text, labels=(*_MODEL, "state"))
        for status in self._statuses():
            for state in ModelState:
                states.add_metric((status.name, status.version, state), status.state is state)
        text = "Engines that were replaced or unloaded and are still in use."
        draining = GaugeMetricFamily("retinue_draining_engines", text, value=self._draining_count())
        return [states, draining]
