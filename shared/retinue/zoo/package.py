"""Writing of model packages: the files, their digests and `model.yaml`, all there or nothing there."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest_file import validate_manifest, write_manifest
from retinue.runtime.package import sha256_of
from retinue.zoo.errors import PackageExists, PackageRefused


def write_package(
    root: Path, manifest_fields: Mapping[str, Any], files: Mapping[str, Path], *, overwrite: bool = False
) -> Path:
    """Return the folder ``<root>/<name>/<version>`` after writing a model package into it.

    The package is put together in a hidden folder beside its place and renamed, so that a server that watches the
    repository never sees half of one.

    Args:
        root: the model repository; made if it is not there.
        manifest_fields: everything of `model.yaml` but ``files`` and ``manifest_version``; validated.
        files: the file to copy for each name in the package; the graphs of its family are required.
        overwrite: whether a package of that name and version is replaced.

    Raises:
        PackageRefused: a field of the manifest is missing, unknown or out of range; the message names each.
        PackageExists: the version is there and ``overwrite`` is false.
        PackageInvalid: a file cannot be read.
        OSError: the package cannot be written.
    """
    digests = {name: sha256_of(path) for name, path in files.items()}
    try:
        manifest = validate_manifest({"manifest_version": 1, **manifest_fields, "files": digests})
    except PackageInvalid as error:
        raise PackageRefused(error.message) from error
    model = root / manifest.name
    place = model / manifest.version
    refuse_existing(root, manifest.name, manifest.version, overwrite=overwrite)
    model.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=model) as workshop:
        new = Path(workshop, "package")
        new.mkdir()
        for name, path in files.items():
            shutil.copyfile(path, new / name)
        write_manifest(manifest, new)
        if place.exists():
            place.rename(Path(workshop, "old"))
        new.rename(place)
    return place


def refuse_existing(root: Path, name: str, version: str, *, overwrite: bool) -> None:
    """Refuse to replace a package of the repository unless that is wanted.

    Raises:
        PackageExists: the version is there and ``overwrite`` is false.
    """
    if not overwrite and (root / name / version).exists():
        raise PackageExists(f"model {name} version {version} exists: overwrite it or take another version")
