"""Model packages on disk whose graph is small enough to know every answer by heart."""

import hashlib
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.manifest_file import write_manifest
from tests.unit.serving.tiny_engine import manifest_of

SIDE_PX = 2
LABELS = ("red", "green", "blue")


def graph(*, class_count: int = 3, embedding_size: int = 3, **changes: Any) -> bytes:
    """Return a graph: logits are the mean of each channel / 51 (0 to 5), features the same doubled.

    Args:
        class_count: what the graph says of its logits; other than 3 it cannot be run.
        embedding_size: what it says of its features.
        changes: ``input_name``, ``input_type``, ``batch`` or ``logits_type`` to be wrong on purpose.
    """
    batch = changes.get("batch", "batch")
    input_name = changes.get("input_name", "image")
    shape = [batch, SIDE_PX, SIDE_PX, 3]
    inputs = [helper.make_tensor_value_info(input_name, changes.get("input_type", TensorProto.UINT8), shape)]
    outputs = [
        helper.make_tensor_value_info("logits", changes.get("logits_type", TensorProto.FLOAT), [batch, class_count]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, embedding_size]),
    ]
    nodes = [
        helper.make_node("Cast", [input_name], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["scaled"]),
        helper.make_node("Cast", ["scaled"], ["logits"], to=changes.get("logits_type", TensorProto.FLOAT)),
        helper.make_node("Add", ["scaled", "scaled"], ["embedding"]),
    ]
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / 51])
    # The oldest versions that have what is needed, so that any runtime reads them.
    model = helper.make_model(
        helper.make_graph(nodes, "tiny", inputs, outputs, [scale]),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    return onnx.ModelProto.SerializeToString(model)


def write_package(
    root: Path,
    name: str = "tiny",
    version: str = "1",
    *,
    model: bytes | None = None,
    files: dict[str, bytes] | None = None,
    **changes: Any,
) -> ClassificationManifest:
    """Write a package under a repository's root and return its manifest."""
    content = {"model.onnx": graph() if model is None else model, **(files or {})}
    folder = root / name / version
    folder.mkdir(parents=True)
    for file_name, data in content.items():
        (folder / file_name).write_bytes(data)
    policy = {"height": SIDE_PX, "width": SIDE_PX, "fit": "stretch"}
    manifest = manifest_of(
        name,
        version,
        **{
            "labels": LABELS,
            "input": policy,
            "files": {file_name: hashlib.sha256(data).hexdigest() for file_name, data in content.items()},
        }
        | changes,
    )
    write_manifest(manifest, folder)
    return manifest
