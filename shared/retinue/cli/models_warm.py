"""`retinue models warm`: compile models ahead of the services that will run them, into the folder of their cache."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from retinue.cli.packages import is_meant, open_repository
from retinue.cli.refusal import Refused
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.cli.trial_pictures import trial_pictures
from retinue.runtime.errors import BackendFailed, PackageInvalid, ProviderMissing
from retinue.runtime.execution import Execution
from retinue.runtime.load_graph import load_graph
from retinue.runtime.package import Package, cache_name
from retinue.runtime.picture import Picture
from retinue.runtime.provider import Provider
from retinue.runtime.providers import usable_providers
from retinue.runtime.tuning.rehearsal import Rehearsal

_CHAINS: dict[str, tuple[Provider, ...]] = {"tensorrt": ("tensorrt", "cuda", "cpu"), "openvino": ("openvino",)}


def run(arguments: argparse.Namespace) -> int:
    """Compile, say for each model how long it took, and return 0, or 1 if any could not be compiled.

    Raises:
        Refused: a name is none of a model, a picture cannot be used, the provider is missing or the cache cannot be
            written.
    """
    repository = open_repository(arguments.root)
    packages = [
        package
        for package in repository.packages()
        if not arguments.models or any(is_meant(package.name, package.version, wanted) for wanted in arguments.models)
    ]
    for wanted in arguments.models:
        if not any(is_meant(package.name, package.version, wanted) for package in packages):
            known = ", ".join(sorted({package.name for package in repository.packages()})) or "none"
            raise Refused(f"no model {wanted}; known models: {known}")
    pictures = trial_pictures(arguments.image)
    providers = _CHAINS[arguments.provider]
    try:
        usable_providers(providers, is_fallback_allowed=False)
        arguments.cache.mkdir(parents=True, exist_ok=True)
    except ProviderMissing as error:
        raise Refused(error.message) from error
    except OSError as error:
        raise Refused(f"{arguments.cache} cannot be written: {error.strerror or type(error).__name__}") from error
    table = plain_table("model", "version", "state", "seconds", "files", "problem")
    bad_count = 0
    for package in packages:
        folder = arguments.cache / cache_name(package)
        begin_s = time.monotonic()
        problem = _problem(package, providers, folder, arguments.max_batch, pictures)
        bad_count += bool(problem)
        state = plain("broken", style="red") if problem else plain("ready", style="green")
        count = len(list(folder.glob("*"))) if folder.is_dir() else 0
        seconds = f"{time.monotonic() - begin_s:.1f}"
        table.add_row(plain(package.name), plain(package.version), state, seconds, str(count), plain(problem))
    console = stdout_console()
    if table.row_count:
        console.print(table)
    else:
        console.print("no models")
    return 1 if bad_count else 0


def _problem(
    package: Package, providers: tuple[Provider, ...], cache: Path, max_batch_size: int, pictures: Sequence[Picture]
) -> str:
    """Run a package's graphs at every size of batch that a service will; return why that cannot be, empty where it can.

    The largest comes first: an engine of TensorRT's that grows with what it meets is then built for all at once.
    """
    execution = Execution(
        providers=providers, max_batch_size=max_batch_size, precision=package.manifest.precision, cache=cache
    )
    try:
        package.verify()
        rehearsal = Rehearsal(package, lambda name: load_graph(package.path(name), execution))
        for bucket in dict.fromkeys(rehearsal.bucket(picture) for picture in pictures):
            for size in reversed(execution.batch_sizes):
                rehearsal.run(rehearsal.allocate(bucket, size), size)
    except (BackendFailed, PackageInvalid, ProviderMissing) as error:
        return " ".join(error.message.split())
    return ""
