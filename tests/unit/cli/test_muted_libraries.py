import subprocess
import sys

ENVIRONMENT = {"PYTHONPATH": ":".join(filter(None, sys.path))}


def test_only_python_is_heard_and_everybody_afterwards() -> None:
    """In a process of its own, since the tests' stderr is none of a file."""
    code = """
import os, sys
from retinue.cli.muted_libraries import muted_libraries
os.write(2, b"before ")
with muted_libraries():
    os.write(2, b"library ")
    sys.stderr.write("python ")
os.write(2, b"after ")
sys.stderr.write("python")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stderr == "before python after python"


def test_a_stderr_of_another_kind_is_left_alone() -> None:
    code = """
import io, os, sys
from retinue.cli.muted_libraries import muted_libraries
for other in (io.StringIO(), None):
    sys.stderr = other
    with muted_libraries():
        assert sys.stderr is other
        os.write(2, b"x")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stderr == "xx"
