"""Warming up compiles or loads all that a call can need."""

import subprocess
import sys

from loadtests.service_process import REPOSITORY

PROGRAM = """
import sys
from services.matching.warm_up import warm_up
from retinue.ops._kernel import KERNELS
warm_up()
print("onnxruntime" in sys.modules, "torch" in sys.modules)
for name, (dispatcher, _) in KERNELS.items():
    print(name, len(dispatcher.signatures))
"""


def test_every_kernel_that_a_problem_calls_is_there_before_the_first_caller() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    modules, *kernels = run.stdout.splitlines()
    assert modules == "False False"
    called = {name.rpartition(".")[2] for name, count in map(str.split, kernels) if int(count)}
    assert called >= {"neighbours", "solve_listed", "box_pairs", "_joint_histogram", "_ious", "_merged", "_pairs_above"}
