"""The ONNX Runtime backend: one session on CPU, CUDA or TensorRT, run by all workers at once.

A session's weights lie in memory once, however many workers call it; where that costs more than it saves, each worker
may have its own. On a CPU each call computes in the calling thread (`threads=1`) and the workers are the parallelism;
threads of ONNX Runtime's own would fight them for the cores.
"""

import itertools
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from numpy.typing import NDArray

from retinue.runtime.backend import TensorInfo
from retinue.runtime.captured_runs import NOT_CAPTURED, CapturedRuns, run_options
from retinue.runtime.errors import BackendFailed, PackageInvalid, ProviderMissing
from retinue.runtime.manifest import Precision
from retinue.runtime.onnx_runtime import onnxruntime, ort_errors
from retinue.runtime.provider import ONNX_RUNTIME_NAMES, Provider
from retinue.runtime.provider_options import is_batch_alone_open, provider_options
from retinue.runtime.providers import usable_providers

_ERRORS: tuple[type[Exception], ...] = (
    # ONNX Runtime's own have no common base, and there are more with each version.
    *(kind for kind in vars(ort_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    ValueError,  # a graph that wants more inputs than it is fed
    RuntimeError,  # whatever goes wrong where inputs and outputs are bound
)
_log = structlog.get_logger(__name__)


class OnnxBackend:
    """A graph in an ONNX Runtime session, or in one for each worker.

    Args:
        path: the `.onnx` file.
        providers: what may run it, the most wanted first; operators that one cannot run fall to the next.
        threads: threads of ONNX Runtime's own for one call, at least 1.
        is_fallback_allowed: whether a provider that is not available is passed over with a warning.
        workers: threads that call it, at least 1.
        is_session_shared: whether they all run one session; only on a CPU is there another way.
        batch_sizes: sizes of batches to be ready for on a GPU, ascending, at least one.
        precision: ``float16`` lets TensorRT reckon in 16 bits.
        cache: a folder for TensorRT's engines; None keeps none.
        is_capture_allowed: whether a GPU records runs of a graph of which only the batch is open, and replays them.

    Raises:
        ProviderMissing: a provider is not available and no fallback is allowed, or none is left.
        PackageInvalid: the file is no graph that ONNX Runtime can load.
    """

    def __init__(  # noqa: PLR0913 - each is named
        self,
        path: Path,
        *,
        providers: Sequence[Provider] = ("cpu",),
        threads: int = 1,
        is_fallback_allowed: bool = False,
        workers: int = 1,
        is_session_shared: bool = True,
        batch_sizes: Sequence[int] = (1, 2, 4),
        precision: Precision = "float32",
        cache: Path | None = None,
        is_capture_allowed: bool = False,
    ) -> None:
        usable = usable_providers(providers, is_fallback_allowed=is_fallback_allowed)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin between the parts of a graph save their waking, and take a core from whoever else needs it:
        # worth it only where one worker has the machine's cores to itself.
        is_spinning = workers == 1 and threads > 1
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(is_spinning)))
        options.log_severity_level = 3  # errors only: they come back as exceptions as well
        if any(provider != "cpu" for provider in usable):
            onnxruntime.preload_dlls()
        self._captured: CapturedRuns | None = None
        try:
            inputs = {} if usable == ["cpu"] else _inputs_of(path)
            is_captured = is_capture_allowed and usable[0] != "cpu" and is_batch_alone_open(inputs)
            facts: dict[str, Any] = {
                "inputs": inputs,
                "batch_sizes": batch_sizes,
                "precision": precision,
                "cache": cache,
            }
            chosen = [
                (
                    ONNX_RUNTIME_NAMES[name],
                    provider_options(name, is_captured=is_captured and name == usable[0], **facts),
                )
                for name in usable
            ]
            self._sessions = [
                onnxruntime.InferenceSession(path, options, providers=chosen)
                for _ in range(1 if is_session_shared or usable != ["cpu"] else workers)
            ]
        except _ERRORS as error:
            problem = str(error).replace(str(path), path.name)  # where models lie is nobody's business outside
            raise PackageInvalid(f"{path.name} cannot be loaded: {problem}") from error
        self._options = run_options(NOT_CAPTURED) if is_captured else None
        self._own = threading.local()
        self._turns = itertools.count()  # whose `next` is atomic
        active = self._sessions[0].get_providers()
        # ONNX Runtime drops a provider whose libraries fail to load without raising; that must not pass unseen.
        lost = [name for name in usable if ONNX_RUNTIME_NAMES[name] not in active]
        if lost and not is_fallback_allowed:
            raise ProviderMissing(f"the {', '.join(lost)} provider failed to start; see ONNX Runtime's log above")
        if lost:
            _log.warning("provider_lost", lost=lost, used=active)
        self.provider: str = next(name for name in (*usable, "cpu") if ONNX_RUNTIME_NAMES[name] in active)
        self.inputs = {node.name: _info(node) for node in self._sessions[0].get_inputs()}
        self.outputs = {node.name: _info(node) for node in self._sessions[0].get_outputs()}
        if is_captured and self.provider != "cpu":
            self._captured = CapturedRuns(self._sessions[0], next(iter(self.inputs.values())), batch_sizes, "cuda")
        _log.info("graph_loaded", file=path.name, provider=self.provider, asked=list(providers), threads=threads)

    def _session(self) -> Any:
        """Return the session of the calling thread: the only one, or the one whose turn it was when it first called."""
        if len(self._sessions) == 1:
            return self._sessions[0]
        try:
            return self._own.session
        except AttributeError:
            self._own.session = self._sessions[next(self._turns) % len(self._sessions)]
            return self._own.session

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Return the named outputs for these inputs, as fresh arrays.

        Raises:
            BackendFailed: ONNX Runtime could not run the graph on them.
        """
        try:
            if self._captured is not None and self._captured.takes(feeds):
                return self._captured.run(next(iter(feeds.values())), outputs)
            results: list[NDArray[Any]] = self._session().run(outputs, feeds, self._options)
        except _ERRORS as error:
            raise BackendFailed(f"the graph failed: {error}") from error
        return results

    def run_kept(self, feeds: Mapping[str, Any], outputs: Sequence[str], kept: Collection[str]) -> list[Any]:
        """Return the named outputs for these inputs; those that are kept as values on the device that made them.

        What goes from one graph to the next is copied neither to the host nor, on a CPU, at all.

        Args:
            feeds: arrays, C-contiguous, and values that another backend's run has kept.
            outputs: names of the outputs wanted.
            kept: which of those stay where they are.

        Raises:
            BackendFailed: ONNX Runtime could not run the graph on them.
        """
        session = self._session()
        binding = session.io_binding()
        try:
            for name, feed in feeds.items():
                if isinstance(feed, onnxruntime.OrtValue):
                    binding.bind_ortvalue_input(name, feed)
                else:
                    binding.bind_cpu_input(name, feed)
            for name in outputs:
                # TensorRT's graphs lie in CUDA's memory too.
                binding.bind_output(name, "cuda" if name in kept and self.provider != "cpu" else "cpu")
            session.run_with_iobinding(binding, self._options)
        except _ERRORS as error:
            raise BackendFailed(f"the graph failed: {error}") from error
        values = binding.get_outputs()
        return [value if name in kept else value.numpy() for name, value in zip(outputs, values, strict=True)]


def _inputs_of(path: Path) -> dict[str, TensorInfo]:
    """Return the inputs of a graph before it is loaded for good: what is built for shapes has to know them."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=[ONNX_RUNTIME_NAMES["cpu"]])
    return {node.name: _info(node) for node in session.get_inputs()}


def _info(node: Any) -> TensorInfo:
    return TensorInfo(node.name, node.type, tuple(side if isinstance(side, int) else None for side in node.shape))
