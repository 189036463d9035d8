"""`retinue models show`: what the manifest of a model says, for people."""

import argparse
from collections.abc import Iterator

from retinue.cli.model_facts import task_facts
from retinue.cli.packages import is_meant, open_repository
from retinue.cli.refusal import Refused
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.runtime.errors import ModelNotFound
from retinue.runtime.manifest import Accuracy, Manifest
from retinue.runtime.package import Package
from retinue.runtime.repository import Repository

_LABELS_SHOWN = 10


def run(arguments: argparse.Namespace) -> int:
    """Print the manifest of a model, the latest good version where none is named, and return 0.

    Raises:
        Refused: there is no such model, or it is broken.
    """
    package = _find(open_repository(arguments.root), arguments.model)
    table = plain_table("", "")
    table.show_header = False
    for key, value in _facts(package):
        table.add_row(plain(key, style="bold"), plain(value))
    stdout_console().print(table)
    return 0


def _find(repository: Repository, wanted: str) -> Package:
    name, _, version = wanted.partition("@")
    try:
        return repository.find(name, version)
    except ModelNotFound as error:
        for broken in repository.broken:
            if is_meant(broken.name, broken.version, wanted):
                raise Refused(f"{broken.name}@{broken.version} is broken: {broken.problem}", exit_code=1) from error
        raise Refused(error.message) from error


def _facts(package: Package) -> Iterator[tuple[str, str]]:
    manifest = package.manifest
    yield "model", f"{manifest.name}@{manifest.version}"
    yield "description", manifest.description or "-"
    yield "folder", str(package.folder)
    yield "task", f"{manifest.task}, family {manifest.family}"
    yield "classes", _classes(manifest)
    yield from task_facts(manifest)
    yield "accuracy", "; ".join(map(_accuracy, manifest.accuracy)) or "not measured"
    provenance = manifest.provenance
    yield "source", provenance.source
    for key, value in (("recipe", provenance.recipe), ("data", provenance.data), ("created", provenance.created)):
        if value is not None:
            yield key, value
    if provenance.checkpoint_sha256 is not None:
        yield "checkpoint", f"sha256 {provenance.checkpoint_sha256}"
    yield "licence", manifest.licence
    for file_name, digest in manifest.files.items():
        yield "file", f"{file_name}  sha256 {digest}"


def _classes(manifest: Manifest) -> str:
    shown = ", ".join(manifest.labels[:_LABELS_SHOWN])
    more_count = len(manifest.labels) - _LABELS_SHOWN
    return f"{len(manifest.labels)}: {shown}" + (f", and {more_count} more" if more_count > 0 else "")


def _accuracy(accuracy: Accuracy) -> str:
    count = "" if accuracy.sample_count is None else f", {accuracy.sample_count} samples"
    return f"{accuracy.metric} {accuracy.value:.4g} on {accuracy.dataset}{count}"
