"""A model as the Open Inference Protocol sees it: named tensors in, named tensors out, and totals of what it did.

Services implement these protocols on top of their engines; `retinue.serving.oip` serves whatever implements them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from retinue.runtime.caller import Caller


@dataclass(frozen=True, slots=True)
class TensorForm:
    """A datatype of the protocol and a shape, in which -1 stands for any length."""

    datatype: str
    shape: tuple[int, ...]

    def fits(self, datatype: str, shape: Sequence[int]) -> bool:
        """Return whether a tensor of this datatype and shape has the form.

        >>> TensorForm("FP32", (-1, 3)).fits("FP32", (8, 3))
        True
        """
        return (
            datatype == self.datatype
            and len(shape) == len(self.shape)
            and all(wanted in (-1, length) for wanted, length in zip(self.shape, shape, strict=True))
        )

    def __str__(self) -> str:
        return f"{self.datatype} {list(self.shape)}"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output tensor.

    Args:
        name: name of the tensor.
        datatype: type of its elements, such as ``FP32`` or ``BYTES``.
        shape: its shape, -1 where any length is accepted; the batch comes first if the model has a `max_batch_size`.
        also: other forms that an input is accepted in; they are not announced, and have no batch dimension to check.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    also: tuple[TensorForm, ...] = ()

    @property
    def form(self) -> TensorForm:
        """The form that is announced."""
        return TensorForm(self.datatype, self.shape)


@dataclass(frozen=True, slots=True)
class CountedTime:
    """How often something was done and how long it took in all, nanoseconds."""

    count: int = 0
    ns: int = 0


@dataclass(frozen=True, slots=True)
class ComputeTime:
    """How often a model was asked or run, and the nanoseconds of each stage.

    There is one count for the three stages because load generators refuse statistics whose counts differ.
    """

    count: int = 0
    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    """What a model has done since the server started; totals only ever grow.

    Args:
        success: requests that were answered, with their whole time.
        fail: requests that were not.
        queue: waiting for a worker.
        compute: preparing inputs, running the model, making answers; per request.
        inference_count: items answered.
        execution_count: runs of the model; `inference_count` over it is the mean batch size.
        last_inference_ms: when the last run ended, milliseconds since 1970-01-01 UTC; 0 if there was none.
        batches: the same per run of the model, by batch size.
    """

    success: CountedTime = CountedTime()
    fail: CountedTime = CountedTime()
    queue: CountedTime = CountedTime()
    compute: ComputeTime = ComputeTime()
    inference_count: int = 0
    execution_count: int = 0
    last_inference_ms: int = 0
    batches: Mapping[int, ComputeTime] = field(default_factory=dict)


class ModelIndexEntry(NamedTuple):
    """One version of a model; ``reason`` says why it is not ready or, if it is, why what lies on disk is not."""

    name: str
    version: str
    is_ready: bool
    reason: str = ""


class TensorModel(Protocol):
    """One version of a model that is ready."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def version(self) -> str:
        """Version of the model."""
        ...

    @property
    def platform(self) -> str:
        """What runs it, such as ``onnxruntime_onnx``."""
        ...

    @property
    def max_batch_size(self) -> int:
        """Most items of one request; 0 if the tensors have no batch dimension."""
        ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it takes, all of it required."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives."""
        ...

    def labels(self, output: str) -> tuple[str, ...] | None:
        """Return the names of an output's classes by index; None if it has none."""
        ...

    def infer(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Collection[str], caller: Caller
    ) -> Mapping[str, NDArray[Any]]:
        """Return the outputs asked for, as their specs say; BYTES are object arrays of bytes.

        Inputs have a form of their specs and may be read-only. Raises the conditions of `retinue.runtime.errors`.
        """
        ...

    def statistics(self) -> ModelStatistics:
        """Return the totals of this instant."""
        ...


class TensorModels(Protocol):
    """The models of one server."""

    @property
    def is_ready(self) -> bool:
        """Whether every model is ready and calls are welcome."""
        ...

    def get(self, name: str, version: str) -> TensorModel:
        """Return a model; its latest version where ``version`` is empty.

        Raises:
            ModelNotFound: no such model or version.
            ModelNotReady: it is known but cannot answer.
        """
        ...

    def index(self) -> Sequence[ModelIndexEntry]:
        """Return every known version of every model."""
        ...
