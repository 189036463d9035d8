"""A graph's file becomes a backend: ONNX Runtime's or OpenVINO's, as is asked for and installed."""

import dataclasses
from pathlib import Path

import structlog

from retinue.runtime.backend import Backend
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.execution import Execution
from retinue.runtime.providers import usable_providers

_log = structlog.get_logger(__name__)


def load_graph(path: Path, execution: Execution) -> Backend:
    """Return a loaded graph.

    Args:
        path: the `.onnx` file.
        execution: how it is to be run. Where a fallback is allowed, a graph that OpenVINO cannot load falls to what is
            named next.

    Raises:
        ProviderMissing: a provider is missing and no fallback is allowed, or none is left.
        PackageInvalid: the file is no graph that can be loaded.
    """
    execution = _with_cache(execution)
    usable = usable_providers(execution.providers, is_fallback_allowed=execution.is_fallback_allowed)
    others = [provider for provider in usable if provider != "openvino"]
    if usable[0] == "openvino":
        try:
            return _in_openvino(path, execution)
        except PackageInvalid as error:
            if not (others and execution.is_fallback_allowed):
                raise
            _log.warning("graph_not_for_openvino", file=path.name, problem=error.message, used=others)
    from retinue.runtime.onnx_backend import OnnxBackend  # noqa: PLC0415 - each runtime is an extra, loaded if needed

    return OnnxBackend(
        path,
        providers=others,
        threads=execution.threads,
        is_fallback_allowed=execution.is_fallback_allowed,
        workers=execution.workers,
        is_session_shared=execution.is_session_shared,
        batch_sizes=execution.batch_sizes,
        precision=execution.precision,
        cache=execution.cache,
        is_capture_allowed=execution.is_capture_allowed,
    )


def _with_cache(execution: Execution) -> Execution:
    """Return an execution whose cache is there; one that cannot be made is done without, since it only saves time."""
    if execution.cache is None:
        return execution
    try:
        execution.cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _log.warning("cache_unusable", cache=str(execution.cache), problem=error.strerror)
        return dataclasses.replace(execution, cache=None)
    return execution


def _in_openvino(path: Path, execution: Execution) -> Backend:
    from retinue.runtime.openvino_backend import OpenVinoBackend  # noqa: PLC0415 - an extra

    return OpenVinoBackend(
        path,
        workers=execution.workers,
        threads=execution.threads,
        batch_sizes=execution.batch_sizes,
        precision=execution.precision,
        cache=execution.cache,
    )
