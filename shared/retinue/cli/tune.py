"""`retinue tune`: measure how a model runs best on this machine, show it, and write it where services find it."""

import argparse
import contextlib
import datetime as dt
import importlib.metadata
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from retinue.cli.front_drawing import draw_front
from retinue.cli.packages import open_repository
from retinue.cli.refusal import Refused, harmless
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.cli.trial_pictures import trial_pictures
from retinue.runtime.errors import ModelNotFound, PackageInvalid, RetinueError
from retinue.runtime.hardware import this_hardware
from retinue.runtime.package import Package
from retinue.runtime.picture import Picture
from retinue.runtime.providers import installed_providers
from retinue.runtime.setup import Setup, default_setup
from retinue.runtime.tuning.tuner import Tuned, best_first, tune
from retinue.runtime.tuning_file import (
    Figures,
    TunedModel,
    TuningFile,
    TuningInvalid,
    digest_of,
    read_tuning,
    write_tuning,
)

_SHOWN = 16
_QUIET = 0.8  # of the cores: what is used at least where nothing else wants them
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "openvino")


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, write the drawing and the tuning file, and return 0.

    Raises:
        Refused: there is no such model, it cannot be run, or a picture or a file cannot be read or written.
    """
    package = _package(arguments)
    pictures = trial_pictures(arguments.image)
    hardware = this_hardware()
    target = arguments.out / f"{hardware.slug}.yaml"
    try:
        tuning = read_tuning(target, hardware) if target.exists() else TuningFile(hardware=hardware)
        found = _tuned(arguments, package, pictures, hardware.cores)
        name = f"{package.name}@{package.version}"
        entry = TunedModel(
            digest=digest_of(package),
            engine=found.best,
            measured=found.pair[0],
            default=found.pair[1],
            slo_ms=arguments.slo_ms,
            created=dt.datetime.now(dt.UTC).date().isoformat(),
            runtimes=_versions(),
        )
        write_tuning(target, tuning.model_copy(update={"models": {**tuning.models, name: entry}}))
    except TuningInvalid as error:
        raise Refused(str(error)) from error
    default = default_setup(hardware.cores)
    drawing = arguments.out / f"{hardware.slug}-{package.name}-{package.version}.png"
    pixels = draw_front(
        found, default, title=f"{name} on {hardware.cpu}, {hardware.cores} cores", slo_ms=arguments.slo_ms
    )
    is_written = cv2.imwrite(str(drawing), pixels[..., ::-1])
    _report(found, default, arguments.slo_ms)
    console = stdout_console()
    share = share_of_cores(found.default[-1], hardware.cores)
    if share < _QUIET:
        console.print(
            f"{share:.0%} of the cores were used with all workers busy: if something else runs, tune when it does not"
        )
    console.print(plain(f"written: {target}" + (f" and {drawing}" if is_written else "")))
    return 0


def _tuned(arguments: argparse.Namespace, package: Package, pictures: Sequence[Picture], cores: int) -> Tuned:
    try:
        from retinue.runtime.tuning.stage import Stage  # noqa: PLC0415 - what runs graphs is an extra
    except ImportError as error:
        raise Refused("ONNX Runtime is not installed: pip install 'retinue[cpu]' or 'retinue[gpu]'") from error
    with tempfile.TemporaryDirectory(prefix="retinue-tune-") as folder, _progress(arguments.budget_s) as on_step:
        stage = Stage(package, pictures, cache=Path(folder))
        try:
            return tune(
                stage.measure,
                cores=cores,
                providers=installed_providers(),
                slo_ms=arguments.slo_ms,
                budget_s=arguments.budget_s,
                most_batch_size=arguments.max_batch,
                on_step=on_step,
            )
        except RetinueError as error:
            raise Refused(f"{package.name}@{package.version} cannot be run: {error.message}", exit_code=1) from error


def _package(arguments: argparse.Namespace) -> Package:
    repository = open_repository(arguments.root)
    name, _, version = arguments.model.partition("@")
    for broken in repository.broken:
        if broken.name == name and version in ("", broken.version):
            raise Refused(f"{broken.name}@{broken.version} is broken: {broken.problem}")
    try:
        package = repository.find(name, version)
        package.verify()
    except (ModelNotFound, PackageInvalid) as error:
        raise Refused(error.message) from error
    return package


@contextlib.contextmanager
def _progress(budget_s: float) -> Iterator[Any]:
    """Give what is told of each step; it moves a bar on stderr, which is hidden where nobody looks."""
    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    bar = Progress(
        *columns,
        console=console,
        transient=True,
        refresh_per_second=2,
        redirect_stdout=False,
        disable=not console.is_terminal,
    )
    begin_s = time.monotonic()
    with bar:
        task = bar.add_task("", total=budget_s)
        yield lambda text: bar.update(task, description=text, completed=min(budget_s, time.monotonic() - begin_s))


def _versions() -> dict[str, str]:
    versions = {}
    for name in _RUNTIMES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _report(found: Tuned, default: Setup, slo_ms: float) -> None:
    table = plain_table("setup", "answers/s", "p50 ms", "p99 ms", "CPU ms", "")
    last = max((one.round for one in found.trials), default=0)
    ordered = [
        one
        for turn in range(last, -1, -1)
        for one in best_first([trial for trial in found.trials if trial.round == turn], slo_ms)
    ]
    shown = ordered[:_SHOWN]
    shown += [one for one in ordered[_SHOWN:] if one.candidate in {found.best, default}]
    for one in shown:
        marks = ["default"] * (one.candidate == default) + ["best"] * (one.candidate == found.best)
        marks += ["late"] * (one.result.p99_ms > slo_ms)
        table.add_row(plain(one.candidate.text), *_cells(one.result), plain(", ".join(marks)))
    console = stdout_console()
    console.print(table)
    if len(ordered) > len(shown):
        console.print(f"and {len(ordered) - len(shown)} more, measured briefly")
    for text, problem in found.refused.items():
        console.print(plain(f"not run: {text}: {harmless(problem)}"))
    console.print()
    proof = plain_table("proof, in turns", "in flight", "answers/s", "p50 ms", "p99 ms", "CPU ms")
    for mine, other in zip(found.figures, found.default, strict=True):
        proof.add_row(plain("default"), str(other.in_flight), *_cells(other))
        if found.best != default:
            proof.add_row(plain("best"), str(mine.in_flight), *_cells(mine))
    console.print(proof)
    console.print(plain(_verdict(found, default, slo_ms)))


def share_of_cores(busiest: Figures, cores: int) -> float:
    """Return which share of the cores a setup with a worker for each used, while as many callers waited as could.

    >>> share_of_cores(Figures(answers_per_s=500, p50_ms=9, p99_ms=9, cpu_ms=3, in_flight=64), 2)
    0.75
    """
    return busiest.answers_per_s * busiest.cpu_ms / 1e3 / cores


def _cells(figures: Figures) -> list[str]:
    numbers = (figures.answers_per_s, figures.p50_ms, figures.p99_ms, figures.cpu_ms)
    return [f"{number:.0f}" if number >= 1000 else f"{number:.3g}" for number in numbers]


def _verdict(found: Tuned, default: Setup, slo_ms: float) -> str:
    mine, other = found.pair
    late = "" if mine.p99_ms <= slo_ms else f"; {slo_ms:g} ms are not kept with {found.in_flight} in flight"
    if found.best == default:
        rival = "nothing was better" if found.unproved is None else f"{found.unproved.text}: not proved to be better"
        return f"kept: the default; {rival}{late}"
    times = mine.answers_per_s / max(other.answers_per_s, 1e-9)
    return (
        f"best: {found.best.text}: {times:.2f} times the answers of the default with {found.in_flight} in flight{late}"
    )
