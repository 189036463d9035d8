"""Importing the operations is quick: nothing of serving or training comes with them."""

import subprocess
import sys


def test_ops_import_neither_transport_nor_runtimes() -> None:
    heavy = {"grpc", "onnxruntime", "torch", "pydantic", "scipy.stats", "scipy.optimize", "sklearn", "skimage"}
    program = f"import sys, retinue.ops; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
