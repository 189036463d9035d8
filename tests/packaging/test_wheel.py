"""What is installed is the wheel: the namespace alone, stubs included, and one service beside it is enough to serve."""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from loadtests.service_process import REPOSITORY

PORTIONS = {"cli", "client", "ops", "runtime", "serving", "zoo"}
CONTRACT = {"classification", "common", "detection", "matching", "oip", "segmentation"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources that git would give, without stubs."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("hatch_build.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(REPOSITORY / name, copy)
    for name in ("protos", "shared"):
        ignore = shutil.ignore_patterns("*_pb2*", "__pycache__")
        shutil.copytree(REPOSITORY / name, copy / name, ignore=ignore)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(out), str(copy)], check=True, timeout=120)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bare_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that sees the unpacked wheel and third-party packages, but not this source tree."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    # A folder named in a .pth is searched, but the .pth files inside it (our own editable install) are not read.
    (site / "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def run(python: Path, code: str, cwd: Path) -> str:
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=cwd, timeout=60).stdout


def test_the_wheel_holds_the_namespace_and_nothing_else(wheel: Path) -> None:
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in names} == {"retinue"}
    assert {name.split("/")[1] for name in names} == PORTIONS | CONTRACT  # and no retinue/__init__.py


def test_every_part_says_that_it_is_typed(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert all(f"retinue/{portion}/py.typed" in names for portion in PORTIONS)
    assert all(f"retinue/{part}/v1/py.typed" in names for part in CONTRACT - {"oip"})


def test_each_proto_comes_with_its_stubs_and_their_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for proto in (REPOSITORY / "protos").rglob("*.proto"):
        stem = str(proto.relative_to(REPOSITORY / "protos")).removesuffix(".proto")
        assert {f"{stem}_pb2.py", f"{stem}_pb2.pyi", f"{stem}_pb2_grpc.py", f"{stem}_pb2_grpc.pyi"} <= names


def test_retinue_is_a_namespace(bare_python: Path, tmp_path: Path) -> None:
    assert run(bare_python, "import retinue, retinue.ops; print(retinue.__file__)", tmp_path).strip() == "None"


@pytest.mark.parametrize("service", ["classification", "detection"])
def test_the_wheel_and_one_service_are_enough_to_serve(bare_python: Path, tmp_path: Path, service: str) -> None:
    for path in ("services/__init__.py", f"services/{service}"):
        source, target = REPOSITORY / path, tmp_path / path
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir()
            shutil.copy(source, target)
    code = f"import services.{service}.__main__ as main, sys; print('torch' in sys.modules, main.__file__)"
    is_torch_loaded, file = run(bare_python, code, tmp_path).split()
    assert is_torch_loaded == "False"
    assert Path(file).is_relative_to(tmp_path)


def test_ops_need_neither_server_nor_backend(bare_python: Path, tmp_path: Path) -> None:
    code = "import sys, retinue.ops; print({'grpc', 'onnxruntime', 'torch', 'google.protobuf'} & set(sys.modules))"
    assert run(bare_python, code, tmp_path).strip() == "set()"


def test_no_stub_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True, cwd=REPOSITORY).stdout  # noqa: S607
    assert "protos/" in listed
    assert not [name for name in listed.splitlines() if "_pb2" in name]
