"""`retinue models list`: what is in the repositories, one model and version per line."""

import argparse

from retinue.cli.model_facts import input_size
from retinue.cli.packages import open_repository
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.runtime.manifest import Manifest


def run(arguments: argparse.Namespace) -> int:
    """Print the models and return 0, or 1 if any is broken."""
    repository = open_repository(arguments.root)
    columns = ["model", "version", "task", "classes", "input", "accuracy", "licence"]
    table = plain_table(*columns, *(["problem"] if repository.broken else []))
    for package in repository.packages():
        manifest = package.manifest
        table.add_row(
            manifest.name,
            manifest.version,
            manifest.task,
            str(len(manifest.labels)),
            input_size(manifest),
            plain(_accuracy(manifest)),
            plain(manifest.licence),
        )
    for broken in repository.broken:
        state = plain("broken", style="red")
        table.add_row(plain(broken.name), plain(broken.version), state, "", "", "", "", plain(broken.problem))
    console = stdout_console()
    if table.row_count:
        console.print(table)
    else:
        console.print("no models")
    return 1 if repository.broken else 0


def _accuracy(manifest: Manifest) -> str:
    return f"{manifest.accuracy[0].metric} {manifest.accuracy[0].value:.4g}" if manifest.accuracy else "not measured"
