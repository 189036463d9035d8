"""Generate the Python stubs of the protos: for a wheel, for an editable install, and by hand (`make protos`).

The stubs are git-ignored, so nothing can drift; hatch is told of them because it leaves ignored files out of a wheel.
"""

import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import google.rpc
from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi", "py.typed")


def _plugin(name: str) -> str:
    """Return the path of a protoc plugin installed beside the running interpreter or on PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise RuntimeError(f"protoc plugin {name} not found: install mypy-protobuf")
    return found


def generate(root: Path = ROOT) -> list[Path]:
    """Write the stubs of every proto under ``root/protos`` beside it and return the files written."""
    protos = root / "protos"
    sources = sorted(protos.rglob("*.proto"))
    googleapis = Path(next(iter(google.rpc.__path__))).parents[1]  # google/rpc/status.proto
    arguments = [
        "protoc",
        f"-I{protos}",
        f"-I{files('grpc_tools') / '_proto'}",
        f"-I{googleapis}",
        f"--plugin=protoc-gen-mypy={_plugin('protoc-gen-mypy')}",
        f"--plugin=protoc-gen-mypy_grpc={_plugin('protoc-gen-mypy_grpc')}",
        *(f"--{kind}_out={protos}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")),
        *map(str, sources),
    ]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc failed; its message is above")
    for folder in {source.parent for source in sources}:
        (folder / "py.typed").touch()
    return sorted(path for pattern in PATTERNS for path in protos.rglob(pattern))


class ProtoBuildHook(BuildHookInterface[Any]):
    """Hatch calls this before it collects files, for wheel and editable alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatch's signature
        """Generate the stubs and name them as artifacts, since git-ignored files are left out otherwise."""
        root = Path(self.root)
        generate(root)
        build_data["artifacts"].extend(f"protos/retinue/**/{pattern}" for pattern in PATTERNS)


if __name__ == "__main__":
    generate()
