"""Runs of fixed shapes into fixed buffers on a device, which a GPU records once and replays (CUDA graphs).

A recorded run reads and writes the very addresses that it was recorded with. So for each size of batch there is one set
of buffers, and one run at a time; a batch of another size is filled up to the next. On a CPU nothing is recorded, and
the same code runs: so it is tested.

Source:
    ONNX Runtime, CUDA execution provider, "Using CUDA Graphs": inputs and outputs bound to device memory, run by
    `run_with_iobinding`, one ``gpu_graph_id`` for each set of shapes.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.backend import TensorInfo
from retinue.runtime.onnx_runtime import onnxruntime
from retinue.runtime.provider_options import fixed_shape

NOT_CAPTURED = {"gpu_graph_id": "-1"}
"""Run options of what is not to be recorded."""


@dataclass(frozen=True, slots=True)
class _Bound:
    """The buffers of one size: input and outputs on the device, and rows on the host to fill the batch up in."""

    binding: Any
    options: Any
    value: Any
    staging: NDArray[Any]


class CapturedRuns:
    """A session with one input of which only the batch is open, run at fixed sizes.

    Args:
        session: of ONNX Runtime.
        info: of its input.
        sizes: of batches, ascending, at least one.
        device: where inputs and outputs lie: ``cuda``, or ``cpu`` in tests.
    """

    def __init__(self, session: Any, info: TensorInfo, sizes: Sequence[int], device: str) -> None:
        self._session = session
        self._info = info
        self._sizes = tuple(sizes)
        self._device = device
        self._lock = threading.Lock()
        self._bound: dict[tuple[int, tuple[str, ...]], _Bound] = {}

    def takes(self, feeds: Mapping[str, NDArray[Any]]) -> bool:
        """Say whether these are what there are buffers for; what is not is run as ever, and fails in words if wrong."""
        if list(feeds) != [self._info.name]:
            return False
        rows = feeds[self._info.name]
        is_shaped = rows.ndim == len(self._info.shape) and rows.shape[1:] == self._info.shape[1:]
        return is_shaped and rows.dtype == self._info.numpy_dtype and 0 < len(rows) <= self._sizes[-1]

    def run(self, rows: NDArray[Any], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Return the named outputs of these rows, as fresh arrays."""
        size = next(size for size in self._sizes if size >= len(rows))
        with self._lock:
            bound = self._bound.get((size, tuple(outputs)))
            if bound is None:
                bound = self._bound[size, tuple(outputs)] = self._bind(size, outputs)
            # Copied even where it is full: host memory that a GPU reaches is what it copies from without a detour.
            bound.staging[: len(rows)] = rows
            bound.value.update_inplace(bound.staging)
            self._session.run_with_iobinding(bound.binding, bound.options)
            return [np.array(value.numpy()[: len(rows)]) for value in bound.binding.get_outputs()]

    def _bind(self, size: int, outputs: Sequence[str]) -> _Bound:
        shape, dtype = fixed_shape(self._info, size), self._info.numpy_dtype
        value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, self._device)
        staging = pinned_zeros(shape, dtype) if self._device == "cuda" else np.zeros(shape, dtype)
        # What the outputs' shapes are is known once it has run; what is recorded then writes to the same place.
        first = self._session.io_binding()
        first.bind_ortvalue_input(self._info.name, value)
        for name in outputs:
            first.bind_output(name, self._device)
        self._session.run_with_iobinding(first, run_options(NOT_CAPTURED))
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._info.name, value)
        for name, made in zip(outputs, first.get_outputs(), strict=True):
            binding.bind_ortvalue_output(name, made)
        return _Bound(binding, run_options({"gpu_graph_id": str(len(self._bound) + 1)}), value, staging)


def pinned_zeros(shape: Sequence[int], dtype: Any) -> NDArray[Any]:
    """Return zeros in host memory that a GPU reaches by itself, or in ordinary memory where there is none to be had."""
    for device in onnxruntime.get_ep_devices() if hasattr(onnxruntime, "get_ep_devices") else ():
        if device.ep_name == "CUDAExecutionProvider":
            memory = device.memory_info(onnxruntime.OrtDeviceMemoryType.HOST_ACCESSIBLE)
            if memory is not None:
                value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, memory_info=memory)
                rows = np.asarray(value.numpy())
                rows[...] = 0
                return rows
    return np.zeros(shape, dtype)


def run_options(entries: Mapping[str, str]) -> Any:
    """Return options of one run."""
    options = onnxruntime.RunOptions()
    for key, entry in entries.items():
        options.add_run_config_entry(key, entry)
    return options
