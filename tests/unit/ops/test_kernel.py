"""Kernels start fast from a cache, also from one that is read-only, and never go stale."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from retinue.ops._arrays import native
from retinue.ops._kernel import kernel

CALLEE = """
from retinue.ops._kernel import kernel

@kernel()
def scaled(value):
    return value * {factor}
"""
CALLER = """
import numpy as np
from retinue.ops import _kernel
from callee import scaled

@_kernel.kernel("(f8[::1],)")
def total(values):
    sum = 0.0
    for value in values:
        sum += scaled(value)
    return sum
"""
REPORT = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from caller import total
print(total(np.ones(3)), sum(total.stats.cache_hits.values()), sum(total.stats.cache_misses.values()))
"""


AHEAD = """
import sys
sys.path.insert(0, sys.argv[1])
import caller
from retinue.ops._kernel import compile_kernels
print(compile_kernels())
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with a kernel that calls a kernel in another file."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "callee.py").write_text(CALLEE.format(factor=2))
    (folder / "caller.py").write_text(textwrap.dedent(CALLER))
    return folder


def report(folder: Path, home: Path, program: str = REPORT, **variables: str) -> list[str]:
    """What a fresh process gets from the kernel: the result, and how often the cache had it or missed it."""
    environment = {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, timeout=120)
    return done.stdout.split()


def test_the_second_process_takes_the_kernel_from_the_cache(sources: Path, tmp_path: Path) -> None:
    assert report(sources, tmp_path) == ["6.0", "0", "1"]
    assert report(sources, tmp_path) == ["6.0", "1", "0"]


def test_what_is_compiled_ahead_is_what_a_call_takes(sources: Path, tmp_path: Path) -> None:
    assert report(sources, tmp_path, AHEAD) == ["1"]
    assert report(sources, tmp_path) == ["6.0", "1", "0"]


def test_a_change_in_a_called_file_is_seen(sources: Path, tmp_path: Path) -> None:
    report(sources, tmp_path)
    (sources / "callee.py").write_text(CALLEE.format(factor=3))
    assert report(sources, tmp_path)[0] == "9.0"


def test_a_cache_that_cannot_be_written_is_read(sources: Path, tmp_path: Path) -> None:
    """The folder's write test is made to fail, since root may write everywhere: no temporary file fits its name."""
    report(sources, tmp_path)
    cache = sources / "__pycache__"
    frozen = tmp_path / "frozen"
    frozen.mkdir()
    (frozen / "sitecustomize.py").write_text(READ_ONLY.format(folder=str(cache)))
    assert report(sources, tmp_path, PYTHONPATH=str(frozen)) == ["6.0", "1", "0"]


def test_without_any_folder_the_kernel_is_compiled_in_memory(sources: Path, tmp_path: Path) -> None:
    frozen = tmp_path / "frozen"
    frozen.mkdir()
    (frozen / "sitecustomize.py").write_text(READ_ONLY.format(folder=""))
    assert report(sources, tmp_path, PYTHONPATH=str(frozen))[0] == "6.0"
    assert not list(sources.rglob("*.nb?"))


READ_ONLY = """
import tempfile
allowed = tempfile.TemporaryFile
def refuse(*args, dir=None, **others):
    if str(dir).startswith({folder!r}):
        raise PermissionError(13, "read-only", dir)
    return allowed(*args, dir=dir, **others)
tempfile.TemporaryFile = refuse
"""


def test_a_kernel_divides_by_zero_as_ieee_says() -> None:
    @kernel("(f8, f8)")
    def quotient(a: float, b: float) -> float:
        return a / b

    assert quotient(1.0, 0.0) == np.inf
    assert np.isnan(quotient(0.0, 0.0))


@pytest.mark.parametrize(
    "array",
    [np.zeros((3, 4))[:, ::2], np.zeros((3, 4), order="F"), np.zeros(3, ">f8"), np.frombuffer(bytes(16), np.float32)],
    ids=["strided", "fortran", "big-endian", "read-only"],
)
def test_native_gives_what_kernels_take(array: np.ndarray) -> None:
    made = native(array)
    assert made.flags.carray
    assert made.dtype.isnative
    assert np.array_equal(made, array)


def test_native_keeps_an_array_that_fits() -> None:
    array = np.zeros((3, 4), np.float32)
    assert native(array) is array
