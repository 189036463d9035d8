"""How the graphs of a model are run: by what, how many at a time, ready for which batches."""

from dataclasses import dataclass
from pathlib import Path

from retinue.runtime.batch_sizes import warmed_sizes
from retinue.runtime.manifest import Precision
from retinue.runtime.provider import Provider


@dataclass(frozen=True, slots=True)
class Execution:
    """What every graph of one model is loaded with.

    Args:
        providers: what may run it, the most wanted first. Operators that one of ONNX Runtime's cannot run fall to
            the next; OpenVINO runs whole graphs, so what is named after it counts only where it is missing.
        is_fallback_allowed: whether a provider that is missing is passed over with a warning.
        workers: how many runs there are at a time, at least 1.
        threads: how many threads one run may take, at least 1.
        is_session_shared: whether all workers run one session of ONNX Runtime, whose weights then lie in memory once.
        max_batch_size: most rows of a batch, at least 1; the powers of two up to it, and itself, are made ready.
        precision: arithmetic that the model stands: ``float16`` lets TensorRT and OpenVINO use it where it is faster.
        cache: a folder for what is compiled ahead (TensorRT's engines, OpenVINO's graphs); None keeps nothing.
        is_capture_allowed: whether a graph of fixed shapes is recorded once on a GPU and replayed (CUDA graphs).
    """

    providers: tuple[Provider, ...] = ("cpu",)
    is_fallback_allowed: bool = False
    workers: int = 1
    threads: int = 1
    is_session_shared: bool = True
    max_batch_size: int = 1
    precision: Precision = "float32"
    cache: Path | None = None
    is_capture_allowed: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not run."""
        if not self.providers or min(self.workers, self.threads, self.max_batch_size) < 1:
            raise ValueError("a provider is needed; workers, threads and max_batch_size must be at least 1")

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The sizes of batches to be ready for, ascending.

        >>> Execution(max_batch_size=6).batch_sizes
        (1, 2, 4, 6)
        """
        return warmed_sizes(self.max_batch_size)
