"""Runs into fixed buffers, on a CPU: what is bound, filled up and read is the same there, only nothing is recorded."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from retinue.runtime.backend import TensorInfo
from retinue.runtime.captured_runs import CapturedRuns, pinned_zeros
from tests.unit.runtime.test_onnx_backend import ROWS, summing_graph

INFO = TensorInfo("image", "tensor(uint8)", (None, 2, 2, 3))


@pytest.fixture
def runs(tmp_path: Path) -> CapturedRuns:
    session = onnxruntime.InferenceSession(summing_graph(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    return CapturedRuns(session, INFO, (1, 2, 4), "cpu")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_batch_is_filled_up_to_the_next_size(runs: CapturedRuns, count: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):  # the first binds, the others reuse
        rows = rng.integers(0, 256, (count, 2, 2, 3), np.uint8)
        [sums] = runs.run(rows, ["sum"])
        assert sums.tolist() == rows.sum((1, 2, 3)).tolist()
    assert [size for size, _ in runs._bound] == [4 if count == 3 else count]


def test_answers_are_fresh_arrays(runs: CapturedRuns) -> None:
    [first] = runs.run(ROWS, ["sum"])
    kept = first.copy()
    runs.run(ROWS * 0, ["sum"])
    np.testing.assert_array_equal(first, kept)


def test_what_was_in_the_buffer_before_does_not_come_back(runs: CapturedRuns) -> None:
    runs.run(np.full((4, 2, 2, 3), 255, np.uint8), ["sum"])
    assert runs.run(np.ones((3, 2, 2, 3), np.uint8), ["sum"])[0].tolist() == [12.0] * 3


@pytest.mark.parametrize(
    ("feeds", "is_taken"),
    [
        ({"image": ROWS}, True),
        ({"image": ROWS[:, ::-1]}, True),
        ({"image": np.zeros((5, 2, 2, 3), np.uint8)}, False),
        ({"image": ROWS[:0]}, False),
        ({"image": ROWS[0]}, False),
        ({"image": ROWS.astype(np.float32)}, False),
        ({"image": ROWS[:, :1]}, False),
        ({"picture": ROWS}, False),
        ({"image": ROWS, "more": ROWS}, False),
        ({}, False),
    ],
)
def test_only_what_there_are_buffers_for_is_taken(
    runs: CapturedRuns, feeds: dict[str, NDArray[Any]], *, is_taken: bool
) -> None:
    assert runs.takes(feeds) is is_taken


def test_runs_of_many_threads_do_not_mix(runs: CapturedRuns) -> None:
    start = threading.Barrier(4)
    wrong: list[list[float]] = []

    def work(value: int) -> None:
        rows = np.full((value + 1, 2, 2, 3), value, np.uint8)
        start.wait()
        sums = [runs.run(rows, ["sum"])[0].tolist() for _ in range(30)]
        wrong.extend(one for one in sums if one != [12.0 * value] * (value + 1))

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_memory_for_a_gpu_is_ordinary_where_there_is_none() -> None:
    rows = pinned_zeros((2, 3), np.uint8)
    assert (rows.shape, rows.sum()) == ((2, 3), 0)
