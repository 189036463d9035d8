"""`retinue models verify`: digests, and whether each graph loads and answers as its manifest says."""

import argparse

from retinue.cli.classifier_check import check_classifier
from retinue.cli.detector_check import check_detector
from retinue.cli.packages import is_meant, open_repository
from retinue.cli.refusal import Refused
from retinue.cli.segmenter_check import check_segmenter
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.runtime.backend import Backend
from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.errors import BackendFailed, PackageInvalid
from retinue.runtime.package import Package
from retinue.runtime.segmentation_manifest import InstanceManifest, SemanticManifest


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
    """Load the graphs, ask them about grey pictures and compare the answers with the manifest.

    Raises:
        BackendFailed: a graph does not run.
        PackageInvalid: it does not load, or an answer has another name, shape or dtype, or is not finite.
        Refused: ONNX Runtime is not installed.
    """
    try:
        from retinue.runtime.onnx_backend import OnnxBackend  # noqa: PLC0415 - ONNX Runtime is an extra
    except ImportError as error:
        raise Refused("ONNX Runtime is not installed: pip install 'retinue[cpu]' or 'retinue[gpu]'") from error

    def load(file_name: str) -> Backend:
        return OnnxBackend(package.path(file_name))

    match package.manifest:
        case ClassificationManifest() as manifest:
            check_classifier(package, manifest, load)
        case SemanticManifest() | InstanceManifest() as manifest:
            check_segmenter(manifest, load)
        case manifest:
            check_detector(manifest, load)
