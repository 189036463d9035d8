from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from retinue.zoo.tracing import relative_difference, save_graph, session_of, traced


def test_free_dimensions_are_free(tmp_path: Path) -> None:
    graph = traced(
        nn.Linear(3, 2), (torch.zeros(4, 3),), inputs=("x",), outputs=("y",), free={"x": {0: "n"}, "y": {0: "n"}}
    )
    (path,) = save_graph(graph, tmp_path / "m.onnx")
    assert session_of(path).run(None, {"x": np.zeros((7, 3), np.float32)})[0].shape == (7, 2)


def test_large_weights_go_beside_the_graph(tmp_path: Path) -> None:
    graph = traced(nn.Linear(64, 64), (torch.zeros(1, 64),), inputs=("x",), outputs=("y",), free={})
    files = save_graph(graph, tmp_path / "m.onnx", external_data_bytes=1000)
    assert [path.name for path in files] == ["m.onnx", "m.onnx.data"]
    onnx.checker.check_model(tmp_path / "m.onnx")


def test_a_difference_is_a_share_of_the_spread_and_never_hides_what_is_not_finite() -> None:
    wanted = np.array([0.0, 10], np.float32)
    assert relative_difference(np.array([1.0, 10], np.float32), wanted) == 0.1
    assert relative_difference(np.array([np.nan, 10], np.float32), wanted) == np.inf
