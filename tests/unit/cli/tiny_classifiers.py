"""Packages of classifiers made here, with real graphs, and what a command printed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from retinue.runtime.classification_manifest import ClassificationManifest, InputPolicy
from retinue.runtime.manifest import Provenance
from retinue.runtime.manifest_file import write_manifest
from retinue.runtime.package import sha256_of

LABELS = ("cat", "dog", "newt")


def make_graph(path: Path, *, classes: int = 3, output: str = "logits", scale: float = 1.0) -> None:
    """Write a graph whose logits are the picture's mean times 0, 1, 2 and so on."""
    weights = numpy_helper.from_array(np.arange(classes, dtype=np.float32)[None] * scale, "weights")
    axes = numpy_helper.from_array(np.array([1, 2, 3]), "axes")
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("MatMul", ["column", "weights"], [output]),
    ]
    one = numpy_helper.from_array(np.array([1]), "one")
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 8, 12, 3])
    logits = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", classes])
    graph = helper.make_graph(nodes, "mean", [image], [logits], [weights, axes, one])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def make_package(
    root: Path, name: str = "pets", version: str = "1", *, make: Callable[[Path], Any] = make_graph, **fields: Any
) -> Path:
    """Write a package and return its folder."""
    folder = root / name / version
    folder.mkdir(parents=True)
    make(folder / "model.onnx")
    manifest = ClassificationManifest.model_validate(
        {
            "manifest_version": 1,
            "name": name,
            "version": version,
            "task": "classification",
            "family": "logits",
            "labels": LABELS,
            "input": InputPolicy(height=8, width=12, fit="stretch"),
            "files": {"model.onnx": sha256_of(folder / "model.onnx")},
            "provenance": Provenance(source="made by hand"),
            "licence": "Apache-2.0",
            **fields,
        }
    )
    write_manifest(manifest, folder)
    return folder


def rows(text: str) -> list[list[str]]:
    """Return the words of each line."""
    return [line.split() for line in text.splitlines()]
