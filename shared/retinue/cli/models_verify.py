"""`retinue models verify`: digests, and whether each graph loads and answers as its manifest says."""

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.cli.packages import is_meant, open_repository
from retinue.cli.refusal import Refused
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.ops import OpenMax
from retinue.runtime.errors import BackendFailed, PackageInvalid
from retinue.runtime.package import Package

_ROWS = 2  # more than one, so that a graph with a fixed batch does not pass


def run(arguments: argparse.Namespace) -> int:
    """Print what holds and what does not, and return 0, or 1 if anything is broken.

    Raises:
        Refused: a name is none of a model, or ONNX Runtime is not installed.
    """
    repository = open_repository(arguments.root)
    subjects: list[tuple[str, str, Package | str]] = [
        *((package.name, package.version, package) for package in repository.packages()),
        *((broken.name, broken.version, broken.problem) for broken in repository.broken),
    ]
    for wanted in arguments.models:
        if not any(is_meant(name, version, wanted) for name, version, _ in subjects):
            known = ", ".join(sorted({name for name, _, _ in subjects})) or "none"
            raise Refused(f"no model {wanted}; known models: {known}")
    table = plain_table("model", "version", "state", "problem")
    broken_count = 0
    for name, version, subject in subjects:
        if arguments.models and not any(is_meant(name, version, wanted) for wanted in arguments.models):
            continue
        problem = subject if isinstance(subject, str) else _problem(subject)
        broken_count += bool(problem)
        state = plain("broken", style="red") if problem else plain("ok", style="green")
        table.add_row(plain(name), plain(version), state, plain(problem))
    console = stdout_console()
    if table.row_count:
        console.print(table)
    else:
        console.print("no models")
    return 1 if broken_count else 0


def _problem(package: Package) -> str:
    """Return what is wrong with a package; empty where nothing is."""
    try:
        package.verify()
        _check_answers(package)
    except (BackendFailed, PackageInvalid) as error:
        return " ".join(error.message.split())  # ONNX Runtime's messages have line breaks
    return ""


def _check_answers(package: Package) -> None:
    """Load the graph, ask it about grey pictures and compare the answer with the manifest.

    Raises:
        BackendFailed: the graph does not run.
        PackageInvalid: it does not load, or its answer has another name, shape or dtype, or is not finite.
        Refused: ONNX Runtime is not installed.
    """
    try:
        from retinue.runtime.onnx_backend import OnnxBackend  # noqa: PLC0415 - ONNX Runtime is an extra
    except ImportError as error:
        raise Refused("ONNX Runtime is not installed: pip install 'retinue[cpu]' or 'retinue[gpu]'") from error
    manifest = package.manifest
    backend = OnnxBackend(package.path("model.onnx"))
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
        _check_openmax(package, manifest.open_set.file)


def _check_output(name: str, answer: NDArray[Any], size: int) -> None:
    if answer.dtype != np.float32 or answer.shape != (_ROWS, size):
        raise PackageInvalid(
            f"{name} is {answer.dtype} {list(answer.shape)}, the manifest says float32 [batch, {size}]"
        )
    if not np.isfinite(answer).all():
        raise PackageInvalid(f"{name} of a grey picture is not finite")


def _check_openmax(package: Package, file_name: str) -> None:
    manifest = package.manifest
    try:
        means = OpenMax.load(package.path(file_name)).means
    except (OSError, ValueError) as error:
        raise PackageInvalid(f"{file_name}: {error}") from error
    expected = (len(manifest.labels), manifest.output.embedding_size)
    if means.shape != expected:
        raise PackageInvalid(f"{file_name} is for classes and features {means.shape}, the model has {expected}")
