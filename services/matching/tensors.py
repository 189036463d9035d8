"""What the Open Inference Protocol gives: one model, `assign`, a cost matrix in and pairs out."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.caller import Caller
from retinue.runtime.errors import InvalidInput, ModelNotFound, ModelNotReady, RetinueError
from retinue.runtime.statistics import Snapshot, Statistics
from retinue.serving.metrics import Metrics
from retinue.serving.tensor_model import (
    ComputeTime,
    CountedTime,
    ModelIndexEntry,
    ModelStatistics,
    TensorSpec,
)
from services.matching.assignment import AssignmentProblem, worst_fault
from services.matching.solver import Solver

NAME: Final = "assign"
VERSION: Final = "1"
COST: Final = TensorSpec("cost", "FP32", (-1, -1))


class AssignModel:
    """The assignment as a `TensorModel`.

    Args:
        solver: solves it.
        metrics: where problems are counted.
        max_cell_count: the largest matrix that is taken.
    """

    name = NAME
    version = VERSION
    platform = "retinue_ops"
    max_batch_size = 0
    inputs = (COST,)
    outputs = (TensorSpec("pairs", "INT64", (-1, 2)), TensorSpec("total_cost", "FP32", (1,)))

    def __init__(self, solver: Solver, metrics: Metrics, max_cell_count: int) -> None:
        self._solver = solver
        self._observer = metrics.solve_observer(NAME)
        self._max_cell_count = max_cell_count
        self._statistics = Statistics()

    def labels(self, output: str) -> None:
        """Return None: no output has classes."""

    def infer(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Collection[str], caller: Caller
    ) -> Mapping[str, NDArray[Any]]:
        """Return the outputs asked for: pairs of row and column, rows ascending, and the sum of their costs."""
        try:
            solved = self._solver.solve(self._problem(inputs[COST.name]), caller)
        except RetinueError:
            self._statistics.on_failure()
            raise
        pairing = solved.outcome.pairing
        self._statistics.on_batch(1, solved.timings.infer_s)
        self._statistics.on_answer(solved.timings)
        self._observer.on_solved(solved.timings.infer_s, len(pairing), len(pairing.unpaired_a), len(pairing.unpaired_b))
        tensors: dict[str, NDArray[Any]] = {
            "pairs": np.stack((pairing.index_a, pairing.index_b), axis=1),
            "total_cost": np.array([solved.outcome.total]),
        }
        return {name: tensors[name] for name in outputs}

    def statistics(self) -> ModelStatistics:
        """Return the totals of this instant."""
        return _statistics_of(self._statistics.snapshot())

    def _problem(self, costs: NDArray[Any]) -> AssignmentProblem:
        most = self._max_cell_count
        if costs.size > most:
            problem = f"{costs.shape[0]} x {costs.shape[1]} costs are above the limit of {most} cells"
            raise InvalidInput(COST.name, problem, limit=str(most))
        if fault := worst_fault(costs, is_maximized=False):
            raise InvalidInput(COST.name, fault)
        return AssignmentProblem(costs, None, is_maximized=False)


class AssignModels:
    """The one model as `TensorModels`.

    Args:
        model: the model.
    """

    def __init__(self, model: AssignModel) -> None:
        self._model = model
        self.is_ready = False

    def get(self, name: str, version: str) -> AssignModel:
        """Return the model.

        Raises:
            ModelNotFound: another is asked for.
            ModelNotReady: the service is not ready yet.
        """
        if name != NAME or version not in ("", VERSION):
            asked = f"{name}@{version}" if version else name
            raise ModelNotFound(f"no model {asked}; known models: {NAME}", model=name, version=version)
        if not self.is_ready:
            raise ModelNotReady(f"model {NAME} is loading", model=NAME, version=VERSION)
        return self._model

    def index(self) -> Sequence[ModelIndexEntry]:
        """Return the one model."""
        return [ModelIndexEntry(NAME, VERSION, self.is_ready, "" if self.is_ready else "loading")]


def _statistics_of(totals: Snapshot) -> ModelStatistics:
    count = totals.success.count
    infer_ns = round(totals.infer.seconds * 1e9)
    return ModelStatistics(
        success=CountedTime(count, round(totals.success.seconds * 1e9)),
        fail=CountedTime(totals.failure.count, round(totals.failure.seconds * 1e9)),
        queue=CountedTime(totals.queue.count, round(totals.queue.seconds * 1e9)),
        compute=ComputeTime(count, infer_ns=infer_ns),
        inference_count=totals.inference_count,
        execution_count=totals.execution_count,
        last_inference_ms=round(totals.last_inference_s * 1e3),
        batches={1: ComputeTime(count, infer_ns=infer_ns)} if count else {},
    )
