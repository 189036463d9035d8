"""From a YOLO that its own framework has exported to ONNX to a model package that can be served."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import onnx
from google.protobuf.message import DecodeError

from retinue.runtime.package import sha256_of
from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.labels import given_labels, labels_for
from retinue.zoo.package import refuse_existing, write_package

MAX_DETECTIONS = 300


def import_yolo(  # noqa: PLR0913 - what a package says, one keyword each
    graph: Path,
    root: Path,
    *,
    name: str,
    version: str = "1",
    labels: Sequence[str] | Path | None = None,
    image_size: tuple[int, int] | None = None,
    licence: str = "unknown",
    source: str | None = None,
    description: str = "",
    overwrite: bool = False,
) -> Path:
    """Return the folder of the package that was made of a YOLO that its own framework has exported to ONNX.

    Args:
        graph: an `.onnx` file with one input, float32 [batch, 3, height, width] of pixels in [0, 1], and an output
            [batch, 4 + classes, boxes], anchor-free, or [batch, boxes, 5 + classes], anchor-based.
        root: the model repository that the package goes into.
        name: of the model.
        version: of the model.
        labels: names by class id, or a file of them; None takes those in the file's metadata, otherwise numbers.
        image_size: height and width of the input, pixels, where the graph and its metadata leave them free.
        licence: of the weights, an SPDX identifier or a name.
        source: who made the weights, from what; None takes the file's name.
        description: one sentence for people.
        overwrite: whether a package of that name and version is replaced.

    Raises:
        CheckpointInvalid: the file is no graph, or its input and output are of another form.
        PackageExists: the version is there and ``overwrite`` is false.
        PackageRefused: labels or another field of the manifest are not valid.
    """
    refuse_existing(root, name, version, overwrite=overwrite)
    try:
        model = onnx.load(graph, load_external_data=False)
    except (DecodeError, OSError) as error:
        raise CheckpointInvalid(f"{graph.name} cannot be read as ONNX: {error}") from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1 or not model.graph.output:
        raise CheckpointInvalid(
            f"{graph.name} has {len(inputs)} inputs and {len(model.graph.output)} outputs, not one each"
        )
    sides, output = _shape(inputs[0]), model.graph.output[0]
    if len(sides) != 4 or sides[1] != 3:
        raise CheckpointInvalid(f"{graph.name}: input {inputs[0].name} is {sides}, not [batch, 3, height, width]")
    told = _literal(metadata, "imgsz")
    height, width = image_size or (sides[2], sides[3])
    if (height is None or width is None) and isinstance(told, list) and len(told) == 2:
        height, width = told
    if height is None or width is None:
        raise CheckpointInvalid(f"{graph.name} leaves the size of its input free: say which image size it is to have")
    names = _names_in(metadata) if labels is None else None
    given = None if labels is None else given_labels(labels)
    form, class_count = _form(_shape(output), graph.name, None if given is None else len(given), names)
    fields = {
        "name": name,
        "version": version,
        "description": description,
        "task": "detection",
        "family": "yolo",
        "labels": given or names or labels_for(class_count),
        "input": {"tensor": inputs[0].name, "fit": "letterbox", "height": height, "width": width},
        "output": {
            "tensor": output.name,
            "form": form,
            "selection": {
                "score_threshold": 0.25,
                "iou_threshold": 0.7 if form == "anchor_free" else 0.45,
                "max_detections": MAX_DETECTIONS,
            },
        },
        "provenance": {"source": source or graph.name, "checkpoint_sha256": sha256_of(graph)},
        "licence": licence,
    }
    return write_package(root, fields, {"model.onnx": graph}, overwrite=overwrite)


def _names_in(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the class names that exporters of the YOLO family leave in a file, if there are any."""
    names = _literal(metadata, "names")
    if isinstance(names, dict) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[index] for index in range(len(names))]
    return tuple(map(str, names)) if isinstance(names, list) and names else None


def _literal(metadata: Mapping[str, str], key: str) -> object:
    """Return a value that is written as Python writes it; None where it is not."""
    try:
        value: object = ast.literal_eval(metadata.get(key, ""))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value


def _shape(value: onnx.ValueInfoProto) -> list[int | None]:
    return [side.dim_value if side.HasField("dim_value") else None for side in value.type.tensor_type.shape.dim]


def _form(
    shape: list[int | None], file_name: str, label_count: int | None, names: Sequence[str] | None
) -> tuple[Literal["anchor_free", "anchor_based"], int]:
    """Return how an output is to be read, and how many classes it has."""
    count = label_count or (len(names) if names else None)
    if len(shape) == 3:
        first, second = shape[1:]
        if count is not None:
            if first == 4 + count and second != 5 + count:
                return "anchor_free", count
            if second == 5 + count:
                return "anchor_based", count
        elif first is not None and second is not None and first < second and first > 4:
            return "anchor_free", first - 4
        elif first is not None and second is not None and second < first and second > 5:
            return "anchor_based", second - 5
    forms = "[batch, 4 + classes, boxes] nor [batch, boxes, 5 + classes]"
    wanted = "" if count is None else f" for {count} classes"
    raise CheckpointInvalid(f"{file_name}: the output is {shape}, neither {forms}{wanted}")
