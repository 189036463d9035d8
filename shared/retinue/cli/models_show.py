"""`retinue models show`: what the manifest of a model says, for people."""

import argparse
from collections.abc import Iterator

from retinue.cli.packages import is_meant, open_repository
from retinue.cli.refusal import Refused
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.runtime.errors import ModelNotFound
from retinue.runtime.manifest import Accuracy, InputPolicy, Manifest, OpenSet
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
    yield "input", _input(manifest.input)
    yield "scores", manifest.output.activation
    yield "embedding", "none" if manifest.output.embedding is None else f"{manifest.output.embedding_size} features"
    yield "open set", "not calibrated" if manifest.open_set is None else _open_set(manifest.open_set)
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


def _input(policy: InputPolicy) -> str:
    fit = {
        "stretch": "both sides scaled",
        "crop": f"shorter side scaled to {policy.short_side}, centre cut out",
        "letterbox": f"scaled to fit inside, rest filled with {policy.pad_value}",
    }[policy.fit]
    antialias = "with" if policy.antialias else "without"
    return f"{policy.width}x{policy.height} pixels, {fit}, {policy.kernel} {antialias} antialias"


def _open_set(open_set: OpenSet) -> str:
    parts = [f"{open_set.method}, unknown above {open_set.threshold:.4g}"]
    if open_set.method == "energy":
        parts.append(f"temperature {open_set.temperature:g}")
    if open_set.auroc is not None:
        parts.append(f"AUROC {open_set.auroc:.4g}")
    if open_set.measured_on is not None:
        parts.append(f"measured on {open_set.measured_on}")
    return ", ".join(parts)


def _accuracy(accuracy: Accuracy) -> str:
    count = "" if accuracy.sample_count is None else f", {accuracy.sample_count} samples"
    return f"{accuracy.metric} {accuracy.value:.4g} on {accuracy.dataset}{count}"
