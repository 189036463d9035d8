"""Importing the operations is quick: each brings only what it needs, none what serving or training needs."""

import importlib
import inspect
import subprocess
import sys
from types import ModuleType

import pytest

import retinue.ops

NAMES = sorted(dir(retinue.ops))


def loaded_by(program: str, names: set[str]) -> set[str]:
    """Which of these modules a fresh process has loaded after a program."""
    code = f"import sys\n{program}\nprint(*({names!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_all_operations_together_import_neither_transport_nor_runtimes() -> None:
    heavy = {"grpc", "google.protobuf", "onnxruntime", "torch", "pydantic", "sklearn", "skimage", "pycocotools"}
    assert loaded_by("from retinue.ops import *", heavy) == set()


def test_an_operation_on_numpy_brings_nothing_else() -> None:
    assert loaded_by("from retinue.ops import softmax", {"numpy", "numba", "scipy", "cv2"}) == {"numpy"}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_that_is_listed_is_there(name: str) -> None:
    assert getattr(retinue.ops, name).__name__ == name
    assert not isinstance(getattr(retinue.ops, name), ModuleType)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_keeps_its_meaning_after_its_file_was_imported(name: str) -> None:
    """A file called as one of its functions would hide it from then on."""
    home = getattr(retinue.ops, name).__module__
    assert getattr(importlib.import_module(home), name) is getattr(retinue.ops, name)
    assert home.rpartition(".")[2] not in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_operation_says_what_it_takes_gives_and_refuses(name: str) -> None:
    operation = getattr(retinue.ops, name)
    text = inspect.getdoc(operation) or ""
    assert text.splitlines()[0].endswith((".", ":"))
    if not inspect.isclass(operation):
        missing = [part for part in ("Args:", "Returns:", "Raises:", ">>>") if part not in text]
        assert not missing
