"""Detector packages of each family, with manifests as small as they may be and graphs that are run in no time."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from retinue.runtime.manifest import Manifest
from retinue.runtime.manifest_file import validate_manifest, write_manifest

DIGEST = "0123456789abcdef" * 4
LABELS = ("background", "cat", "dog")
STRIDE_PX, ANCHORS_A_CELL, QUERY_COUNT, CELL_COUNT = 16, 2, 5, 9
_COMMON: dict[str, Any] = {
    "manifest_version": 1,
    "version": "1",
    "task": "detection",
    "labels": list(LABELS),
    "provenance": {"source": "a test"},
    "licence": "CC0-1.0",
}
CONTENTS: Mapping[str, Mapping[str, Any]] = {
    "faster_rcnn": {
        "name": "two-stage",
        "family": "faster_rcnn",
        "input": {"short_side": 96, "long_side": 160},
        "output": {
            "levels": ["p4"],
            "anchors": {"sizes": [[32]], "aspect_ratios": [0.5, 1.0], "strides": [STRIDE_PX]},
        },
        "files": {"rpn.onnx": DIGEST, "head.onnx": DIGEST},
    },
    "detr": {
        "name": "transformer",
        "family": "detr",
        "input": {"rounding": "detr", "pixels": "uint8", "antialias": True},
        "files": {"model.onnx": DIGEST},
    },
    "yolo": {
        "name": "one-stage",
        "family": "yolo",
        "input": {"height": 64, "width": 96},
        "output": {"form": "anchor_free"},
        "files": {"model.onnx": DIGEST},
    },
}


def content_of(family: str, **changes: Any) -> dict[str, Any]:
    """Return the content of a family's smallest manifest; ``changes`` replace its keys."""
    return {**_COMMON, **CONTENTS[family], **changes}


def detector_manifest(family: str, **changes: Any) -> Any:
    """Return the manifest with that content."""
    return validate_manifest(content_of(family, **changes))


def write_detector(root: Path, family: str, *, graphs: Mapping[str, bytes] | None = None, **changes: Any) -> Manifest:
    """Write a package under a repository's root and return its manifest; ``graphs`` replace those that answer."""
    files = {**GRAPHS[family](), **(graphs or {})}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest: Manifest = detector_manifest(family, **{"files": digests} | changes)
    folder = root / manifest.name / manifest.version
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    write_manifest(manifest, folder)
    return manifest


def rpn_graph(
    *,
    stride: int = STRIDE_PX,
    first_anchor: int = 0,
    level: str = "p4",
    pixels: str = "float32",
    scale: float = 0.01,
    more_inputs: Sequence[str] = (),
) -> bytes:
    """Return a first graph: the feature is the picture's mean in each cell, and each anchor scores that.

    Args:
        stride: pixels from cell to cell.
        first_anchor: where the anchors' numbers begin.
        level: name of the feature.
        pixels: type of the pictures.
        scale: of the scores; infinite is an answer that is not finite.
        more_inputs: names of numbers that it wants besides.
    """
    cell = [stride, stride]
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], [level], kernel_shape=cell, strides=cell, ceil_mode=1),
        helper.make_node("Conv", [level, "weights"], ["maps"]),
        helper.make_node("Transpose", ["maps"], ["cells"], perm=[0, 2, 3, 1]),
        helper.make_node("Flatten", ["cells"], ["objectness"], axis=1),
        helper.make_node("Mul", ["objectness", "zero"], ["zeros"]),
        helper.make_node("Cast", ["zeros"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Add", ["whole", "one"], ["ones"]),
        helper.make_node("CumSum", ["ones", "axis"], ["counted"]),
        helper.make_node("Add", ["counted", "offset"], ["anchor"]),
        helper.make_node("Unsqueeze", ["zeros", "last"], ["column"]),
        helper.make_node("Concat", ["column"] * 4, ["anchor_deltas"], axis=2),
    ]
    constants = {
        "weights": np.full((ANCHORS_A_CELL, 3, 1, 1), scale, np.float32),
        "zero": np.float32(0),
        "one": np.int64(1),
        "axis": np.int64(1),
        "offset": np.int64(first_anchor - 1),
        "last": np.array([2]),
    }
    outputs = [
        _float(level, ["batch", 3, "rows", "columns"]),
        _float("objectness", ["batch", "anchors"]),
        helper.make_tensor_value_info("anchor", TensorProto.INT64, ["batch", "anchors"]),
        _float("anchor_deltas", ["batch", "anchors", 4]),
    ]
    return _model(nodes, [*_pictures(pixels), *_numbers(more_inputs)], outputs, constants)


def head_graph(
    *,
    classes: int | None = None,
    level: str = "p4",
    is_open: bool = False,
    scale: float = 1.0,
    more_inputs: Sequence[str] = (),
) -> bytes:
    """Return a second graph: scores follow from the boxes' corners, deltas are 0.

    Args:
        classes: how many it tells apart; those of `LABELS` by default.
        level: name of the feature.
        is_open: whether it leaves open how many classes it has.
        scale: of what goes into the scores; infinite is an answer that is not finite.
        more_inputs: names of numbers that it wants besides.
    """
    count = classes or len(LABELS)
    nodes = [
        helper.make_node("MatMul", ["boxes", "weights"], ["logits"]),
        helper.make_node("Mul", ["logits", "scale"], ["scaled"]),
        helper.make_node("Softmax", ["scaled"], ["shares"], axis=1),
        *_reshape("shares", "score_shape", "scores", is_open=is_open),
        helper.make_node("MatMul", ["boxes", "nothing"], ["flat"]),
        *_reshape("flat", "shape", "box_deltas", is_open=is_open),
    ]
    constants = {
        "weights": np.linspace(-0.01, 0.01, 4 * count, dtype=np.float32).reshape(4, count),
        "scale": np.float32(scale),
        "nothing": np.zeros((4, 4 * count), np.float32),
        "score_shape": np.array([-1, count]),
        "shape": np.array([-1, count, 4]),
    }
    inputs = [
        _float(level, ["batch", 3, "rows", "columns"]),
        _float("boxes", ["n", 4]),
        helper.make_tensor_value_info("picture", TensorProto.INT64, ["n"]),
        *_numbers(more_inputs),
    ]
    side = "classes" if is_open else count
    return _model(nodes, inputs, [_float("scores", ["n", side]), _float("box_deltas", ["n", side, 4])], constants)


def detr_graph(
    *,
    classes: int | None = None,
    pixels: str = "uint8",
    is_open: bool = False,
    box_queries: int = QUERY_COUNT,
    scale: float = 0.01,
    more_inputs: Sequence[str] = (),
) -> bytes:
    """Return a graph whose logits follow from the picture's mean and whose boxes are its middle.

    Args:
        classes: how many it tells apart, besides none; those of `LABELS` by default.
        pixels: type of the pictures.
        is_open: whether it leaves open what its outputs are like.
        box_queries: how many boxes it gives.
        scale: of the logits; infinite is an answer that is not finite.
        more_inputs: names of numbers that it wants besides.
    """
    count = len(LABELS) + 1 if classes is None else classes + 1
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["flat"]),
        *_reshape("flat", "shape", "logits", is_open=is_open),
        helper.make_node("MatMul", ["mean", "nothing"], ["zeros"]),
        helper.make_node("Sigmoid", ["zeros"], ["halves"]),
        helper.make_node("Reshape", ["halves", "box_shape"], ["boxes"]),
    ]
    constants = {
        "weights": np.full((3, QUERY_COUNT * count), scale, np.float32),
        "shape": np.array([-1, QUERY_COUNT, count]),
        "nothing": np.zeros((3, box_queries * 4), np.float32),
        "box_shape": np.array([-1, box_queries, 4]),
    }
    sides = ["queries", "classes"] if is_open else [QUERY_COUNT, count]
    outputs = [_float("logits", ["batch", *sides]), _float("boxes", ["batch", "box_queries", 4])]
    return _model(nodes, [*_pictures(pixels), *_numbers(more_inputs)], outputs, constants)


def yolo_graph(
    *,
    sides: tuple[int, int] = (64, 96),
    layout: str = "nchw",
    pixels: str = "float32",
    width: int | None = None,
    is_anchor_free: bool = True,
    batch: int | str = "batch",
    more_inputs: Sequence[str] = (),
    is_open: bool = False,
    scale: float = 0.01,
) -> bytes:
    """Return a graph whose every number follows from the picture's mean.

    Args:
        sides: height and width of its input.
        layout: order of its input's dimensions.
        pixels: type of its input.
        width: numbers for each box; as `LABELS` need by default.
        is_anchor_free: whether the numbers of a box are a column, rather than a row.
        batch: how many pictures it wants.
        more_inputs: names of numbers that it wants besides.
        is_open: whether it leaves open what its output is like.
        scale: of the numbers; infinite is an answer that is not finite.
    """
    width = width or len(LABELS) + (4 if is_anchor_free else 5)
    is_planar = layout == "nchw"
    shape = [batch, 3, *sides] if is_planar else [batch, *sides, 3]
    form = (width, CELL_COUNT) if is_anchor_free else (CELL_COUNT, width)
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[2, 3] if is_planar else [1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["flat"]),
        *_reshape("flat", "shape", "output0", is_open=is_open),
    ]
    constants = {
        "weights": np.full((3, width * CELL_COUNT), scale, np.float32),
        "shape": np.array([-1, *form]),
    }
    sizes = ["rows", "columns"] if is_open else list(form)
    images = helper.make_tensor_value_info("images", _TYPES[pixels], shape)
    return _model(nodes, [images, *_numbers(more_inputs)], [_float("output0", [batch, *sizes])], constants)


GRAPHS: Mapping[str, Callable[[], Mapping[str, bytes]]] = {
    "faster_rcnn": lambda: {"rpn.onnx": rpn_graph(), "head.onnx": head_graph()},
    "detr": lambda: {"model.onnx": detr_graph()},
    "yolo": lambda: {"model.onnx": yolo_graph()},
}
_TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8}


def _reshape(source: str, shape: str, target: str, *, is_open: bool) -> list[onnx.NodeProto]:
    """Return what reshapes; where that is left open, to a shape that ONNX Runtime cannot foresee."""
    if not is_open:
        return [helper.make_node("Reshape", [source, shape], [target])]
    sum_, none, whole, found = (f"{target}_{step}" for step in ("sum", "none", "whole", "shape"))
    return [
        helper.make_node("ReduceSum", [source], [sum_], keepdims=0),
        helper.make_node("Sub", [sum_, sum_], [none]),
        helper.make_node("Cast", [none], [whole], to=TensorProto.INT64),
        helper.make_node("Add", [shape, whole], [found]),
        helper.make_node("Reshape", [source, found], [target]),
    ]


def _pictures(pixels: str) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info("image", _TYPES[pixels], ["batch", "height", "width", 3]),
        helper.make_tensor_value_info("size", TensorProto.INT64, ["batch", 2]),
    ]


def _numbers(names: Sequence[str]) -> list[onnx.ValueInfoProto]:
    return [_float(name, [1]) for name in names]


def _float(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Mapping[str, Any],
) -> bytes:
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    # The oldest versions that have what is needed, so that any runtime reads them.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return onnx.ModelProto.SerializeToString(model)
