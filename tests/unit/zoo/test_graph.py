import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from retinue.zoo.graph import tidy


def _traced() -> onnx.ModelProto:
    """Return what tracing writes for ``x.reshape(batch, -1) * weight``: computed shape, copied weight, dead node."""
    nodes = [
        helper.make_node("Identity", ["weight"], ["copy"]),
        helper.make_node("Identity", ["copy"], ["copy of copy"]),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
        helper.make_node("Concat", ["batch", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["flat"]),
        helper.make_node("Mul", ["flat", "copy of copy"], ["y"]),
        helper.make_node("Relu", ["flat"], ["dead"]),
    ]
    weights = [
        numpy_helper.from_array(np.arange(6, dtype=np.float32), "weight"),
        numpy_helper.from_array(np.array([0]), "zero"),
        numpy_helper.from_array(np.array([6]), "rest"),
        numpy_helper.from_array(np.zeros(100, np.float32), "unused"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "unknown"])
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _run(model: onnx.ModelProto, x: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    return np.asarray(y)


def test_copies_computed_shapes_and_dead_nodes_go() -> None:
    model = tidy(_traced())
    assert [node.op_type for node in model.graph.node] == ["Reshape", "Mul"]
    assert model.graph.node[1].input[1] == "weight"
    assert len(model.graph.initializer) == 2
    onnx.checker.check_model(model, full_check=True)


def test_answers_stay_the_same_at_any_batch() -> None:
    before, after = _traced(), tidy(_traced())
    for batch in (1, 4):
        x = np.random.default_rng(0).random((batch, 2, 3), np.float32)
        assert np.array_equal(_run(before, x), _run(after, x))


def test_tidying_twice_changes_nothing() -> None:
    once = tidy(_traced())
    before = [node.op_type for node in once.graph.node]
    assert [node.op_type for node in tidy(once).graph.node] == before
