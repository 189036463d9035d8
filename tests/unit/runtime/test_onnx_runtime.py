"""ONNX Runtime's telemetry: off, unless somebody asks for it."""

import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
from packaging.version import Version

LOAD_A_GRAPH = """
import sys
from pathlib import Path
from retinue.runtime.onnx_backend import OnnxBackend
OnnxBackend(Path(sys.argv[1]))
"""
GRAPH = Path(__file__).parents[3] / "services" / "classification" / "models"


def files_left_at_home(home: Path, **variables: str) -> list[str]:
    """Return what a process that loads a graph leaves at home; for want of certificates it can send nothing."""
    graph = next(GRAPH.rglob("*.onnx"))
    environment = {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path), "SSL_CERT_FILE": str(home / "none")}
    command = [sys.executable, "-c", LOAD_A_GRAPH, str(graph)]
    subprocess.run(command, env=environment | variables, check=True, timeout=60, capture_output=True)
    return sorted(path.name for path in home.rglob("*") if path.is_file())


def test_a_process_that_loads_a_graph_makes_no_identifier_and_no_reports(tmp_path: Path) -> None:
    assert files_left_at_home(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only wheels for Linux are known to leave these files")
@pytest.mark.skipif(Version(onnxruntime.__version__) < Version("1.29"), reason="this ONNX Runtime has no telemetry")
def test_who_asks_for_telemetry_has_it(tmp_path: Path) -> None:
    assert "deviceid" in files_left_at_home(tmp_path, ORT_DISABLE_TELEMETRY="0")
