"""What stands behind the matching service: solvers, ready as soon as their kernels are."""

from collections.abc import Sequence

import grpc

from retinue.matching.v1 import matching_pb2_grpc
from retinue.runtime.caller import Priority
from retinue.runtime.cores import available_cores
from retinue.serving.metrics import Load, Metrics
from services.matching.pool import SolverPool
from services.matching.servicer import MatchingServicer
from services.matching.settings import MatchingSettings
from services.matching.solver import Solver
from services.matching.tensors import NAME, VERSION, AssignModel, AssignModels
from services.matching.warm_up import warm_up


class MatchingService:
    """What the matching service brings to its host."""

    task = "matching"
    full_name = "retinue.matching.v1.MatchingService"
    asking_methods = ()

    @staticmethod
    def work(settings: MatchingSettings, metrics: Metrics) -> "MatchingWork":
        """Return its solvers, not warm yet."""
        return MatchingWork(settings, metrics)


class MatchingWork:
    """The solvers.

    Args:
        settings: how large problems may be, and where they are solved.
        metrics: where problems are counted.
    """

    def __init__(self, settings: MatchingSettings, metrics: Metrics) -> None:
        solving = settings.solving
        self._pool = SolverPool(
            solving.workers or max(1, available_cores() // settings.workers),
            solving.max_queue_count,
            lambda reason: metrics.rejected.labels(reason).inc(),
        )
        solver = Solver(self._pool, solving.max_inline_cells)
        self._servicer = MatchingServicer(solver, metrics, settings.limits)
        self.tensor_models = AssignModels(AssignModel(solver, metrics, settings.limits.max_cell_count))

    keeper = None  # nothing to load or unload

    @property
    def is_ready(self) -> bool:
        """Whether the kernels are warm."""
        return self.tensor_models.is_ready

    @property
    def names(self) -> Sequence[str]:
        """The one model of the Open Inference Protocol."""
        return [f"{NAME}@{VERSION}"] if self.is_ready else []

    def add_to_server(self, server: grpc.Server) -> None:
        """Add the servicer to a server."""
        matching_pb2_grpc.add_MatchingServiceServicer_to_server(self._servicer, server)

    def load(self) -> bool:
        """Load or compile the kernels."""
        warm_up()
        self.tensor_models.is_ready = True
        return True

    def loads(self) -> Sequence[Load]:
        """Return how many large problems wait, of any kind."""
        return [Load(NAME, VERSION, "cpu", self._pool.queue_length)] if self.is_ready else []

    @staticmethod
    def late_s(patience_s: float, priority: Priority) -> float:  # noqa: ARG004 - the protocol's signature
        """Return 0: what a problem costs is known only when it has been read."""
        return 0.0

    def close(self, *, timeout_s: float) -> None:
        """End the pool."""
        self._pool.close(timeout_s=timeout_s)
