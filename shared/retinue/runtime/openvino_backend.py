"""The OpenVINO backend: graphs compiled for batches of fixed sizes, on a CPU.

With the batch left open OpenVINO is slower than ONNX Runtime, with fixed sizes mostly faster. So where only the batch
is open, the graph is compiled once for each size asked for, when it is first needed (the engine's warm-up needs all),
and a batch of any other size is put together of those. Where other sides are open as well, it is compiled as it is.
"""

import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from retinue.runtime.backend import TensorInfo
from retinue.runtime.errors import BackendFailed, PackageInvalid
from retinue.runtime.manifest import Precision

_DTYPES = {
    "boolean": "bool",
    "f16": "float16",
    "f32": "float",
    "f64": "double",
    **{f"{sign}{bits}": f"{word}{bits}" for sign, word in (("i", "int"), ("u", "uint")) for bits in (8, 16, 32, 64)},
}
_RUN_ROWS = 0.5  # what a run costs besides its rows, in rows: measured 0.2 to 1 on MobileNets
_ERRORS = (RuntimeError, ValueError, TypeError)  # what OpenVINO's Python face raises
_log = structlog.get_logger(__name__)


class OpenVinoBackend:
    """A graph that OpenVINO runs on the CPU; `run` may be called from several threads at once.

    Args:
        path: the `.onnx` file.
        workers: runs at a time, each in a stream of its own, at least 1.
        threads: threads of one run, at least 1.
        batch_sizes: sizes to compile for, ascending, at least one.
        precision: ``float16`` lets it reckon in 16 bits where the CPU is faster so.
        cache: a folder for compiled graphs, so that the next start is quicker; None keeps none.

    Raises:
        PackageInvalid: the file is no graph that OpenVINO can load.
    """

    provider = "openvino"

    def __init__(
        self,
        path: Path,
        *,
        workers: int = 1,
        threads: int = 1,
        batch_sizes: Sequence[int] = (1, 2, 4),
        precision: Precision = "float32",
        cache: Path | None = None,
    ) -> None:
        self._core = _core()
        if cache is not None:
            self._core.set_property({"CACHE_DIR": str(cache)})
        self._options = {
            "NUM_STREAMS": workers,
            "INFERENCE_NUM_THREADS": workers * threads,
            "ENABLE_CPU_PINNING": False,  # cores are shared with what decodes, and with the neighbours
            # By default a CPU that can would reckon in bfloat16, and answers would differ from one machine to another.
            "INFERENCE_PRECISION_HINT": "f16" if precision == "float16" else "f32",
        }
        self._file = path.name
        self._lock = threading.Lock()
        self._compiled: dict[int | None, _Compiled] = {}
        try:
            if not path.is_file():  # a folder would be looked at as another framework's model
                raise PackageInvalid(f"{path.name} cannot be loaded by OpenVINO: no such file")
            self._model = self._core.read_model(path)
            self.inputs = {port.get_any_name(): _info(port, port.get_any_name()) for port in self._model.inputs}
            # A tensor that is several outputs has the names of all.
            self.outputs = {name: _info(port, name) for port in self._model.outputs for name in port.get_names()}
            self._sizes = tuple(batch_sizes) if _is_by_rows(self._model) else None
            self._ready(None if self._sizes is None else self._sizes[0])
        except _ERRORS as error:
            problem = str(error).replace(str(path), path.name)  # where models lie is nobody's business outside
            raise PackageInvalid(f"{path.name} cannot be loaded by OpenVINO: {problem}") from error
        _log.info("graph_loaded", file=path.name, provider=self.provider, streams=workers, threads=threads)

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Return the named outputs for these inputs, as fresh arrays.

        Raises:
            BackendFailed: OpenVINO could not run the graph on them.
        """
        self._check(feeds, outputs)
        if self._sizes is None:
            return self._run(None, feeds, outputs)
        [(name, rows)] = feeds.items()
        parts: list[list[NDArray[Any]]] = []
        begin = 0
        for size in parts_of(len(rows), self._sizes):
            part = rows[begin : begin + size]
            count = len(part)
            if count < size:
                part = np.concatenate([part, np.zeros((size - count, *part.shape[1:]), part.dtype)])
            found = self._run(size, {name: part}, outputs)
            parts.append(found if count == size else [output[:count] for output in found])
            begin += count
        return parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]

    def run_kept(
        self,
        feeds: Mapping[str, Any],
        outputs: Sequence[str],
        kept: Collection[str],  # noqa: ARG002 - the protocol's: all lies in the host's memory
    ) -> list[Any]:
        """Return the named outputs for these inputs; an output that is kept is an array as well.

        Args:
            feeds: arrays, and values that the run of an ONNX Runtime backend has kept.
            outputs: names of the outputs wanted.
            kept: which of those are fed to another graph.

        Raises:
            BackendFailed: OpenVINO could not run the graph on them.
        """
        arrays = {name: feed if isinstance(feed, np.ndarray) else feed.numpy() for name, feed in feeds.items()}
        return self.run(arrays, outputs)

    def _check(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> None:
        """Refuse what OpenVINO would convert, or leave as it was in the run before."""
        problems = [f"no input {name}" for name in feeds if name not in self.inputs]
        problems += [f"no output {name}" for name in outputs if name not in self.outputs]
        for name, info in self.inputs.items():
            feed = feeds.get(name)
            if feed is None:
                problems.append(f"input {name} is missing")
                continue
            is_like = feed.ndim == len(info.shape) and all(
                side in {None, there} for side, there in zip(info.shape, feed.shape, strict=True)
            )
            if not is_like or feed.dtype != info.numpy_dtype:
                problems.append(f"input {name} is {feed.dtype}{list(feed.shape)}, not {info.dtype}{list(info.shape)}")
        if problems:
            raise BackendFailed(f"the graph failed: {'; '.join(problems)}")

    def _run(self, size: int | None, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        try:
            compiled = self._compiled.get(size) or self._ready(size)
            return compiled.run(feeds, outputs)
        except _ERRORS as error:
            raise BackendFailed(f"the graph failed: {error}") from error

    def _ready(self, size: int | None) -> "_Compiled":
        """Return the graph compiled for a batch of one size, or with open sides; compiled once, whoever asks first."""
        with self._lock:
            compiled = self._compiled.get(size)
            if compiled is None:
                model = self._model if size is None else _fixed(self._model, size)
                compiled = _Compiled(self._core.compile_model(model, "CPU", self._options))
                self._compiled[size] = compiled
                _log.debug("graph_compiled", file=self._file, batch_size=size)
        return compiled


def _core() -> Any:
    """Return an OpenVINO whose part for CPUs is loaded, by a thread that has ended.

    Where a CPU has wide registers, that part gives the thread that loads it a stack for signals, and frees it with
    itself, from whatever thread: the next signal that the first one got, such as SIGTERM, would end the process.
    """
    with ThreadPoolExecutor(1) as thread:

        def load() -> Any:
            core = _openvino().Core()
            core.get_versions("CPU")
            return core

        return thread.submit(load).result()


def _openvino() -> Any:
    """Return OpenVINO, an extra.

    Its package reports its use over the network, from a process that it forks for that; in a server neither may be.
    Where the package that does so is absent, it does not.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None stands for what is absent
    import openvino  # noqa: PLC0415

    return openvino


class _Compiled:
    """A compiled graph and its idle requests; each run takes one for itself, so as many are made as run at a time."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._idle: list[Any] = []  # its pop and append are atomic

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        request.infer(dict(feeds), share_inputs=True, share_outputs=True)
        # What a request has given is overwritten by its next run. One that failed is not used again.
        results = [np.array(request.get_tensor(name).data) for name in outputs]
        self._idle.append(request)
        return results


@lru_cache(maxsize=1024)
def parts_of(count: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes of the runs that a batch is put together of, the last of which may have rows to spare.

    Args:
        count: rows of the batch, at least 0.
        sizes: what there is, ascending.

    >>> parts_of(3, (1, 2, 4, 8)), parts_of(15, (1, 2, 4, 8)), parts_of(0, (1, 2)), parts_of(3, (4,))
    ((2, 1), (8, 8), (1,), (4,))
    """
    largest = sizes[-1]
    whole = max(0, count // largest - 1)
    return (largest,) * whole + _cheapest(count - whole * largest, sizes)


def _cheapest(count: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return one run with rows to spare, or the largest that is filled and the cheapest for the rest."""
    enough = next((size for size in sizes if size >= count), None)
    fitting = [size for size in sizes if size < count]
    options: list[tuple[int, ...]] = [] if enough is None else [(enough,)]
    if fitting and enough != count:
        options.append((fitting[-1], *_cheapest(count - fitting[-1], sizes)))
    return min(options, key=lambda parts: sum(parts) + _RUN_ROWS * len(parts))


def _is_by_rows(model: Any) -> bool:
    """Say whether a graph makes of each row of its one input one row of each output, and nothing but the batch is open.

    Several inputs may have batches of different kinds, such as pictures and the boxes on them: those are not cut.
    """
    if len(model.inputs) != 1:
        return False
    shape = model.inputs[0].get_partial_shape()
    if shape.rank.is_dynamic or not len(shape) or not shape[0].is_dynamic:
        return False
    if any(side.is_dynamic for side in list(shape)[1:]):
        return False
    try:
        fixed = [(size, _fixed(model, size)) for size in (2, 3)]
    except _ERRORS:
        # It is for one size of batch and does not say so. Left open, OpenVINO would not notice and answer from whatever
        # lies in memory; fixed, it refuses every size but that.
        fixed = [(1, _fixed(model, 1))]
    return all(
        port.get_partial_shape().is_static and len(port.get_shape()) and port.get_shape()[0] == size
        for size, copy in fixed
        for port in copy.outputs
    )


def _fixed(model: Any, size: int) -> Any:
    copy = model.clone()
    shape = copy.inputs[0].get_partial_shape()
    shape[0] = size
    copy.reshape({copy.inputs[0].get_any_name(): shape})
    return copy


def _info(port: Any, name: str) -> TensorInfo:
    sides = port.get_partial_shape()
    shape = () if sides.rank.is_dynamic else tuple(None if side.is_dynamic else side.get_length() for side in sides)
    dtype = port.get_element_type().to_string()
    return TensorInfo(name, f"tensor({_DTYPES.get(dtype, dtype)})", shape)
