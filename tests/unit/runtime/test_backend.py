"""What every backend does, whatever runs its graph."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.runtime.backend import Backend
from retinue.runtime.errors import BackendFailed
from tests.unit.runtime.test_onnx_backend import ROWS, summing_graph


def by_onnx_runtime(path: Path) -> Backend:
    from retinue.runtime.onnx_backend import OnnxBackend  # noqa: PLC0415 - each is an extra

    return OnnxBackend(path)


def by_openvino(path: Path) -> Backend:
    pytest.importorskip("openvino", reason="an extra: pip install 'retinue[openvino]'")
    from retinue.runtime.openvino_backend import OpenVinoBackend  # noqa: PLC0415

    return OpenVinoBackend(path, workers=4, batch_sizes=(1, 2, 4))


@pytest.fixture(params=[by_onnx_runtime, by_openvino])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    load: Callable[[Path], Backend] = request.param
    return load(summing_graph(tmp_path / "model.onnx"))


def test_rows_of_a_larger_buffer_and_turned_ones_are_read_as_they_are(backend: Backend) -> None:
    buffer = np.random.default_rng(0).integers(0, 256, (8, 2, 2, 3), np.uint8)
    for rows in (buffer[:3], buffer[::2], buffer[:, ::-1]):
        (sums,) = backend.run({"image": rows}, ["sum"])
        np.testing.assert_array_equal(sums, rows.sum((1, 2, 3)).astype(np.float32))


def test_outputs_are_fresh_arrays(backend: Backend) -> None:
    """An answer must not change when the worker's buffer is used again."""
    buffer = ROWS.copy()
    (first,) = backend.run({"image": buffer}, ["sum"])
    kept = first.copy()
    buffer[:] = 0
    (second,) = backend.run({"image": buffer}, ["sum"])

    np.testing.assert_array_equal(first, kept)
    assert not np.shares_memory(first, second)


def test_one_backend_serves_many_threads(backend: Backend) -> None:
    start = threading.Barrier(4)
    wrong: list[list[float]] = []

    def work(value: int) -> None:
        rows = np.full((value + 1, 2, 2, 3), value, np.uint8)
        start.wait()
        sums = [backend.run({"image": rows}, ["sum"])[0].tolist() for _ in range(50)]
        wrong.extend(one for one in sums if one != [12.0 * value] * (value + 1))

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"picture": ROWS},
        {"image": ROWS, "more": ROWS},
        {"image": ROWS.astype(np.float32)},
        {"image": ROWS[0]},
        {"image": ROWS[:, :1]},
        {"image": np.array(["text"])},
    ],
    ids=["nothing", "wrong name", "too much", "wrong type", "wrong rank", "wrong size", "text"],
)
def test_wrong_inputs_fail_in_words(backend: Backend, feeds: dict[str, NDArray[np.generic]]) -> None:
    with pytest.raises(BackendFailed, match="the graph failed: "):
        backend.run(feeds, ["sum"])
