"""Print what each operation costs beside its peers: `make bench-ops`.

Or a part of it: `python -m loadtests.benchmarks.ops --only nms`.
"""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Iterator

import cv2
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from loadtests.benchmarks import ops
from loadtests.benchmarks.ops.case import Case, MemoryCase, median_times


def main() -> int:
    """Measure every case, print one table, and return 1 where a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.benchmarks.ops", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each call is measured")
    arguments = parser.parse_args()
    table = Table(
        "operation", "ours", "peers", "times as fast", "target", "note", title="retinue.ops, one thread, medians"
    )
    missed = 0
    for case in _cases():
        if arguments.only in case.name:
            row, is_met = _timed(case, arguments.seconds) if isinstance(case, Case) else _weighed(case)
            table.add_row(*row)
            missed += not is_met
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return 1 if missed else 0


def _cases() -> Iterator[Case | MemoryCase]:
    """Yield the cases of every area: the modules of this folder that have `cases`."""
    for module in pkgutil.iter_modules(ops.__path__):
        if module.name not in {"__main__", "case"}:
            yield from importlib.import_module(f"{ops.__name__}.{module.name}").cases()


def _timed(case: Case, seconds: float) -> tuple[list[str], bool]:
    times = median_times(case, seconds=seconds)
    ours = times.pop("ours")
    ratios = {name: time / ours for name, time in times.items()}
    against = ratios[case.rival] if case.rival else min(ratios.values(), default=None)
    is_met = case.target is None or (against is not None and against >= case.target)
    row = [
        case.name,
        _milliseconds(ours),
        "\n".join(f"{name} {_milliseconds(time)}" for name, time in times.items()),
        "\n".join(f"{ratio:.2f}" for ratio in ratios.values()),
        "" if case.target is None else f"{case.target:g}{'' if is_met else ' MISSED'}",
        case.note,
    ]
    return row, is_met


def _weighed(case: MemoryCase) -> tuple[list[str], bool]:
    growth = case.growth_mib()
    is_met = case.limit_mib is None or growth < case.limit_mib
    target = "" if case.limit_mib is None else f"< {case.limit_mib:g} MiB{'' if is_met else ' MISSED'}"
    return [case.name, f"{growth:.0f} MiB", "", "", target, "growth of the process's peak memory"], is_met


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


if __name__ == "__main__":
    cv2.setNumThreads(1)
    with threadpool_limits(1):
        sys.exit(main())
