"""The ONNX Runtime backend: one session on CPU, CUDA or TensorRT, run by all workers at once.

A session's weights lie in memory once, however many workers call it. On a CPU each call computes in the calling thread
(`threads=1`) and the workers are the parallelism; threads of ONNX Runtime's own would fight them for the cores.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import structlog
from numpy.typing import NDArray

from retinue.runtime.backend import TensorInfo
from retinue.runtime.errors import BackendFailed, PackageInvalid, ProviderMissing
from retinue.runtime.onnx_runtime import onnxruntime, ort_errors

Provider = Literal["cpu", "cuda", "tensorrt"]

_NAMES: Mapping[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_ERRORS: tuple[type[Exception], ...] = (
    # ONNX Runtime's own have no common base, and there are more with each version.
    *(kind for kind in vars(ort_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    ValueError,  # a graph that wants more inputs than it is fed
    RuntimeError,  # whatever goes wrong where inputs and outputs are bound
)
_log = structlog.get_logger(__name__)


class OnnxBackend:
    """A graph in an ONNX Runtime session.

    Args:
        path: the `.onnx` file.
        providers: what may run it, the most wanted first; operators that one cannot run fall to the next.
        threads: threads of ONNX Runtime's own for one call, at least 1.
        is_fallback_allowed: whether a provider that is not available is passed over with a warning.

    Raises:
        ProviderMissing: a provider is not available and no fallback is allowed, or none is left.
        PackageInvalid: the file is no graph that ONNX Runtime can load.
    """

    def __init__(
        self,
        path: Path,
        *,
        providers: Sequence[Provider] = ("cpu",),
        threads: int = 1,
        is_fallback_allowed: bool = False,
    ) -> None:
        usable = usable_providers(providers, is_fallback_allowed=is_fallback_allowed)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle cores belong to the neighbours
        options.log_severity_level = 3  # errors only: they come back as exceptions as well
        if any(provider != "cpu" for provider in usable):
            onnxruntime.preload_dlls()
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=[_NAMES[name] for name in usable])
        except _ERRORS as error:
            problem = str(error).replace(str(path), path.name)  # where models lie is nobody's business outside
            raise PackageInvalid(f"{path.name} cannot be loaded: {problem}") from error
        active = self._session.get_providers()
        # ONNX Runtime drops a provider whose libraries fail to load without raising; that must not pass unseen.
        lost = [name for name in usable if _NAMES[name] not in active]
        if lost and not is_fallback_allowed:
            raise ProviderMissing(f"the {', '.join(lost)} provider failed to start; see ONNX Runtime's log above")
        if lost:
            _log.warning("provider_lost", lost=lost, used=active)
        self.provider: str = next(name for name in (*usable, "cpu") if _NAMES[name] in active)
        self.inputs = {node.name: _info(node) for node in self._session.get_inputs()}
        self.outputs = {node.name: _info(node) for node in self._session.get_outputs()}
        _log.info("graph_loaded", file=path.name, provider=self.provider, asked=list(providers), threads=threads)

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Return the named outputs for these inputs, as fresh arrays.

        Raises:
            BackendFailed: ONNX Runtime could not run the graph on them.
        """
        try:
            results: list[NDArray[Any]] = self._session.run(outputs, feeds)
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
        binding = self._session.io_binding()
        try:
            for name, feed in feeds.items():
                if isinstance(feed, onnxruntime.OrtValue):
                    binding.bind_ortvalue_input(name, feed)
                else:
                    binding.bind_cpu_input(name, feed)
            for name in outputs:
                # TensorRT's graphs lie in CUDA's memory too.
                binding.bind_output(name, "cuda" if name in kept and self.provider != "cpu" else "cpu")
            self._session.run_with_iobinding(binding)
        except _ERRORS as error:
            raise BackendFailed(f"the graph failed: {error}") from error
        values = binding.get_outputs()
        return [value if name in kept else value.numpy() for name, value in zip(outputs, values, strict=True)]


def usable_providers(
    wanted: Iterable[Provider], available: Iterable[str] | None = None, *, is_fallback_allowed: bool
) -> list[Provider]:
    """Return the wanted providers that this installation of ONNX Runtime has, in the order asked for.

    Args:
        wanted: what was asked for, the most wanted first.
        available: ONNX Runtime's names of what there is; asked of it by default.
        is_fallback_allowed: whether one that is missing is passed over with a warning.

    Raises:
        ProviderMissing: one is missing and no fallback is allowed, or none is left.

    >>> usable_providers(["cuda", "cpu"], ["CUDAExecutionProvider", "CPUExecutionProvider"], is_fallback_allowed=False)
    ['cuda', 'cpu']
    """
    wanted = list(wanted)
    there = set(onnxruntime.get_available_providers() if available is None else available)
    missing = [name for name in wanted if _NAMES[name] not in there]
    usable = [name for name in wanted if name not in missing]
    if missing and (not is_fallback_allowed or not usable):
        has = ", ".join(name for name, long_name in _NAMES.items() if long_name in there)
        raise ProviderMissing(
            f"ONNX Runtime here has no {', '.join(missing)} provider (it has: {has}); "
            "install retinue[gpu] for cuda and tensorrt, or allow a fallback"
        )
    if missing:
        _log.warning("provider_missing", missing=missing, used=usable)
    return usable


def _info(node: Any) -> TensorInfo:
    return TensorInfo(node.name, node.type, tuple(side if isinstance(side, int) else None for side in node.shape))
