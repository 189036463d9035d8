"""ONNX graphs written node by node, small enough that every answer is known by arithmetic."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]
TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int64": TensorProto.INT64}


class GraphMaker:
    """Calls make nodes: ``make("Add", a, b)`` returns the name of the sum."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self.many(operator, 1, *inputs, **attributes)[0]

    def many(self, operator: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Return the names of so many outputs of a node."""
        outputs = [f"v{len(self._nodes)}_{index}" for index in range(count)]
        self._nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return outputs

    def constant(self, values: ArrayLike, dtype: Any = np.float32) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def named(self, name: str, value: str) -> None:
        """Give a value the name of an output."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))

    def model(self, inputs: Mapping[str, tuple[str, Shape]], outputs: Mapping[str, tuple[str, Shape]]) -> bytes:
        """Return the graph as a file; inputs and outputs are by name, each its type and its shape."""
        graph = helper.make_graph(self._nodes, "tiny", _infos(inputs), _infos(outputs), self._constants)
        # Versions that any runtime reads.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return onnx.ModelProto.SerializeToString(model)


def _infos(tensors: Mapping[str, tuple[str, Shape]]) -> list[Any]:
    return [helper.make_tensor_value_info(name, TYPES[dtype], shape) for name, (dtype, shape) in tensors.items()]


def masked_pixels(make: GraphMaker, image: str, size: str) -> str:
    """Return float32 [batch, 3, height, width], zero beyond the size of each picture."""
    pixels = make("Transpose", make("Cast", image, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    shape = make("Shape", pixels)
    zero, one = make.constant(0, np.int64), make.constant(1, np.int64)
    for axis, (dimension, form) in enumerate(((2, [1, 1, -1, 1]), (3, [1, 1, 1, -1]))):
        extent = make("Gather", shape, make.constant(dimension, np.int64))
        places = make("Reshape", make("Range", zero, extent, one), make.constant(form, np.int64))
        own = make("Gather", size, make.constant([axis], np.int64), axis=1)
        is_inside = make("Less", places, make("Reshape", own, make.constant([-1, 1, 1, 1], np.int64)))
        # Not a product: what lies beyond may be anything, NaN included.
        pixels = make("Where", is_inside, pixels, make.constant(0))
    return pixels
