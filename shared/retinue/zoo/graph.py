"""Tidying of exported graphs: fixed shapes where they are known, weights where they are used, nothing left over.

Tracing writes down how every shape was computed. With only the batch free most of it is known beforehand, and runtimes
fuse attention, plan memory and compile for accelerators only where shapes are plain constants.
"""

import numpy as np
import onnx
from onnx import numpy_helper

# Initializers up to this many elements may be shapes, whose values inference needs; larger ones are weights.
_SHAPE_ELEMENTS = 64


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same graph, changed in place, without copies of weights, computed shapes and unused nodes.

    Args:
        model: an ONNX model whose inputs have at most one free dimension each.

    Notes:
        The answers stay bit for bit the same: no arithmetic is touched.
    """
    _drop_identities(model.graph)
    _fix_shapes(model)
    _drop_unused(model.graph)
    del model.graph.value_info[:]
    return model


def _drop_identities(graph: onnx.GraphProto) -> None:
    """Let every node that reads a weight by way of Identity read the weight itself."""
    weights = {weight.name for weight in graph.initializer}
    source: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == "Identity" and source.get(node.input[0], node.input[0]) in weights:
            source[node.output[0]] = source.get(node.input[0], node.input[0])
        else:
            for index, name in enumerate(node.input):
                node.input[index] = source.get(name, name)


def _fix_shapes(model: onnx.ModelProto) -> None:
    """Give every Reshape whose result has at most one free dimension a constant shape."""
    shapes = _inferred_shapes(model)
    for node in model.graph.node:
        shape = shapes.get(node.output[0]) if node.op_type == "Reshape" else None
        if shape is None or shape.count(None) > 1:
            continue
        name = f"{node.output[0]}_shape"
        fixed = np.array([-1 if size is None else size for size in shape], np.int64)
        model.graph.initializer.append(numpy_helper.from_array(fixed, name))
        node.input[1] = name


def _inferred_shapes(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """Return the shape of every value that has one, None for a free dimension."""
    light = onnx.ModelProto()
    light.CopyFrom(_without_weights(model))
    inferred = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    return {
        value.name: [dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.output)
        if value.type.tensor_type.HasField("shape")
    }


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of the same nodes in which weights are inputs, so that inference need not copy them."""
    graph = model.graph
    small = [weight for weight in graph.initializer if np.prod(weight.dims) <= _SHAPE_ELEMENTS]
    large = [weight for weight in graph.initializer if np.prod(weight.dims) > _SHAPE_ELEMENTS]
    inputs = [onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims) for weight in large]
    # Shapes that the tracer wrote down are left out: some are free where inference finds a number.
    outputs = [
        onnx.helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, None) for value in graph.output
    ]
    light = onnx.helper.make_graph(graph.node, graph.name, [*graph.input, *inputs], outputs, small)
    return onnx.helper.make_model(light, opset_imports=model.opset_import, ir_version=model.ir_version)


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Drop nodes and weights that no output depends on; nodes are in order of dependence."""
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    nodes, weights = list(reversed(kept)), [weight for weight in graph.initializer if weight.name in wanted]
    del graph.node[:]
    graph.node.extend(nodes)
    if len(weights) < len(graph.initializer):
        names = {weight.name for weight in weights}
        for index in reversed(range(len(graph.initializer))):
            if graph.initializer[index].name not in names:
                del graph.initializer[index]
