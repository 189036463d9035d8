"""Whether a classifier answers as its manifest says."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops import OpenMax
from retinue.runtime.backend import LoadGraph
from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.package import Package

_ROWS = 2  # more than one, so that a graph with a fixed batch does not pass


def check_classifier(package: Package, manifest: ClassificationManifest, load: LoadGraph) -> None:
    """Ask the graph about grey pictures and compare the answer with the manifest.

    Raises:
        BackendFailed: the graph does not run.
        PackageInvalid: it does not load, or its answer has another name, shape or dtype, or is not finite.
    """
    backend = load("model.onnx")
    sizes = {manifest.output.logits: len(manifest.labels)}
    if manifest.output.embedding is not None and manifest.output.embedding_size is not None:
        sizes[manifest.output.embedding] = manifest.output.embedding_size
    missing = ({manifest.input.tensor} - backend.inputs.keys()) | (sizes.keys() - backend.outputs.keys())
    if missing:
        raise PackageInvalid(f"the graph has no {', '.join(sorted(missing))}")
    pictures = np.full((_ROWS, manifest.input.height, manifest.input.width, 3), 128, np.uint8)
    answers = dict(zip(sizes, backend.run({manifest.input.tensor: pictures}, list(sizes)), strict=True))
    for name, size in sizes.items():
        _check_output(name, answers[name], size)
    if manifest.open_set is not None and manifest.open_set.file is not None:
        _check_openmax(package, manifest, manifest.open_set.file)


def _check_output(name: str, answer: NDArray[Any], size: int) -> None:
    if answer.dtype != np.float32 or answer.shape != (_ROWS, size):
        raise PackageInvalid(
            f"{name} is {answer.dtype} {list(answer.shape)}, the manifest says float32 [batch, {size}]"
        )
    if not np.isfinite(answer).all():
        raise PackageInvalid(f"{name} of a grey picture is not finite")


def _check_openmax(package: Package, manifest: ClassificationManifest, file_name: str) -> None:
    try:
        means = OpenMax.load(package.path(file_name)).means
    except (OSError, ValueError) as error:
        raise PackageInvalid(f"{file_name}: {error}") from error
    expected = (len(manifest.labels), manifest.output.embedding_size)
    if means.shape != expected:
        raise PackageInvalid(f"{file_name} is for classes and features {means.shape}, the model has {expected}")
