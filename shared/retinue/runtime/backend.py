"""What a backend is: something that runs one graph on arrays."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_NUMPY = {"float": "float32", "double": "float64"}  # all other names are numpy's own


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output of a graph; ``shape`` holds None where a side may vary."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of its arrays.

        >>> TensorInfo("scores", "tensor(float)", (None, 3)).numpy_dtype
        dtype('float32')
        """
        name = self.dtype.removeprefix("tensor(").removesuffix(")")
        return np.dtype(_NUMPY.get(name, name))


class Backend(Protocol):
    """A loaded graph; `run` may be called from several threads at once."""

    @property
    def provider(self) -> str:
        """What runs it: ``cpu``, ``openvino``, ``cuda`` or ``tensorrt``."""
        ...

    @property
    def inputs(self) -> Mapping[str, TensorInfo]:
        """The graph's inputs by name."""
        ...

    @property
    def outputs(self) -> Mapping[str, TensorInfo]:
        """The graph's outputs by name."""
        ...

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Return the named outputs for these inputs."""
        ...

    def run_kept(self, feeds: Mapping[str, Any], outputs: Sequence[str], kept: Collection[str]) -> list[Any]:
        """Return the named outputs; those that are kept stay on the device, for the feeds of another graph."""
        ...


LoadGraph = Callable[[str], Backend]
"""Loads a graph of a package by its file name; raises PackageInvalid where it is not listed or cannot be loaded."""
