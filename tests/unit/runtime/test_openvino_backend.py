"""The OpenVINO backend on small graphs, and on the embedded models beside ONNX Runtime."""

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from retinue.runtime.backend import Backend, TensorInfo
from retinue.runtime.errors import BackendFailed, PackageInvalid
from retinue.runtime.onnx_backend import OnnxBackend
from retinue.runtime.openvino_backend import OpenVinoBackend, parts_of
from tests.unit.runtime.test_onnx_backend import ROWS, doubling_graph, failing_graph, graph, summing_graph

pytest.importorskip("openvino", reason="an extra: pip install 'retinue[openvino]'")
HOUSE = Path(__file__).parents[3]
# Both reckon in float32, in another order: sums of some thousand products differ in the last digits.
TOLERANCE = 1e-4


@pytest.fixture
def backend(tmp_path: Path) -> OpenVinoBackend:
    return OpenVinoBackend(summing_graph(tmp_path / "model.onnx"), batch_sizes=(1, 2, 4))


def test_inputs_and_outputs_are_described_as_onnx_runtime_does(backend: OpenVinoBackend) -> None:
    as_protocol: Backend = backend

    assert as_protocol.inputs == {"image": TensorInfo("image", "tensor(uint8)", (None, 2, 2, 3))}
    assert as_protocol.outputs == {"sum": TensorInfo("sum", "tensor(float)", (None,))}
    assert as_protocol.provider == "openvino"


@pytest.mark.parametrize("batch_size", [0, 1, 2, 3, 4, 5, 7, 9, 23])
def test_batch_of_any_size_is_put_together_of_those_compiled(backend: OpenVinoBackend, batch_size: int) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (batch_size, 2, 2, 3), np.uint8)
    (sums,) = backend.run({"image": rows}, ["sum"])

    np.testing.assert_array_equal(sums, rows.sum((1, 2, 3)).astype(np.float32))
    assert sums.dtype == np.float32


def test_sizes_are_compiled_when_they_are_needed(backend: OpenVinoBackend) -> None:
    assert set(backend._compiled) == {1}
    backend.run({"image": np.zeros((5, 2, 2, 3), np.uint8)}, ["sum"])
    assert set(backend._compiled) == {1, 4}


@pytest.mark.parametrize("count", range(40))
@pytest.mark.parametrize("sizes", [(1,), (1, 2, 4, 8), (1, 2, 4, 6), (4,), (2, 8)])
def test_parts_hold_all_rows_and_no_whole_run_too_many(count: int, sizes: tuple[int, ...]) -> None:
    parts = parts_of(count, sizes)

    assert set(parts) <= set(sizes)
    assert sum(parts[:-1]) < count <= sum(parts) or (count == 0 and parts == sizes[:1])


def test_unknown_output_fails_in_words(backend: OpenVinoBackend) -> None:
    with pytest.raises(BackendFailed, match="no output average"):
        backend.run({"image": ROWS}, ["average"])


def test_graph_for_one_row_fails_on_more_rather_than_answer_from_memory(tmp_path: Path) -> None:
    backend = OpenVinoBackend(failing_graph(tmp_path / "model.onnx"))

    with pytest.raises(BackendFailed):
        backend.run({"image": ROWS}, ["sum"])
    assert backend.run({"image": ROWS[:1]}, ["sum"])[0].tolist() == [66.0]


def test_graph_with_open_sides_is_compiled_once_for_all_sizes(tmp_path: Path) -> None:
    path = HOUSE / "services/segmentation/models/rounds-unet/1/model.onnx"
    backend, peer = OpenVinoBackend(path), OnnxBackend(path)
    for shape in ((1, 64, 48, 3), (2, 33, 80, 3)):
        rows = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        for mine, other in zip(
            backend.run({"image": rows}, ["logits", "boundary"]),
            peer.run({"image": rows}, ["logits", "boundary"]),
            strict=True,
        ):
            np.testing.assert_allclose(mine, other, atol=TOLERANCE, rtol=TOLERANCE)
    assert set(backend._compiled) == {None}


@pytest.mark.parametrize("name", ["digits-mobilenet", "digits-vit"])
def test_embedded_classifiers_answer_as_with_onnx_runtime(name: str) -> None:
    path = HOUSE / f"services/classification/models/{name}/1/model.onnx"
    backend, peer = OpenVinoBackend(path), OnnxBackend(path)
    rows = np.random.default_rng(2).integers(0, 256, (7, 32, 32, 3), np.uint8)
    outputs = list(peer.outputs)

    assert backend.outputs == peer.outputs
    assert backend.inputs == peer.inputs
    for mine, other in zip(backend.run({"image": rows}, outputs), peer.run({"image": rows}, outputs), strict=True):
        np.testing.assert_allclose(mine, other, atol=TOLERANCE, rtol=TOLERANCE)


def test_model_that_stands_16_bits_may_be_reckoned_in_them() -> None:
    path = HOUSE / "services/classification/models/digits-mobilenet/1/model.onnx"
    rows = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3), np.uint8)
    found = OpenVinoBackend(path, precision="float16").run({"image": rows}, ["logits"])[0]
    exact = OpenVinoBackend(path).run({"image": rows}, ["logits"])[0]

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, atol=0.05 * np.abs(exact).max())  # 16 bits hold about three digits


def test_two_stages_pass_their_features_on(tmp_path: Path) -> None:
    folder = HOUSE / "services/detection/models/rounds-frcnn/1"
    levels = ["level_0", "level_1", "level_2"]
    rows = np.random.default_rng(3).integers(0, 256, (2, 96, 128, 3), np.uint8)
    first: dict[str, NDArray[Any]] = {"image": rows, "size": np.array([[96, 128], [80, 128]])}
    boxes = np.array([[0, 0, 40, 40], [8, 8, 90, 70], [3, 4, 60, 50]], np.float32)
    found = []
    for kind in (OpenVinoBackend, OnnxBackend):
        features = kind(folder / "rpn.onnx").run_kept(first, levels, levels)
        feeds = dict(zip(levels, features, strict=True)) | {"boxes": boxes, "picture": np.array([0, 0, 1])}
        found.append(kind(folder / "head.onnx").run_kept(feeds, ["scores", "box_deltas"], ()))
    for mine, other in zip(*found, strict=True):
        np.testing.assert_allclose(mine, other, atol=TOLERANCE, rtol=TOLERANCE)


def test_value_that_onnx_runtime_kept_is_taken(tmp_path: Path) -> None:
    first = OnnxBackend(summing_graph(tmp_path / "model.onnx"))
    following = OpenVinoBackend(doubling_graph(tmp_path / "following.onnx"))
    (kept,) = first.run_kept({"image": ROWS}, ["sum"], ["sum"])

    assert following.run_kept({"sum": kept}, ["double"], ())[0].tolist() == (2.0 * ROWS.sum((1, 2, 3))).tolist()


@pytest.mark.parametrize(
    "content", [b"", b"hello", bytes(1000), b"\x08\x09\x12"], ids=["empty", "text", "zeros", "cut"]
)
def test_file_that_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    with pytest.raises(PackageInvalid, match=r"^model.onnx cannot be loaded by OpenVINO: ") as raised:
        OpenVinoBackend(path)
    assert str(tmp_path) not in raised.value.message


def test_absent_file_folder_and_unknown_operator_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid, match=r"absent\.onnx"):
        OpenVinoBackend(tmp_path / "absent.onnx")
    with pytest.raises(PackageInvalid):
        OpenVinoBackend(tmp_path)
    with pytest.raises(PackageInvalid, match="Nonsense"):
        OpenVinoBackend(graph(tmp_path / "model.onnx", [helper.make_node("Nonsense", ["image"], ["sum"])]))


@pytest.mark.parametrize("location", ["absent.bin", "../outside.bin", "/etc/hostname"])
def test_graph_cannot_read_files_from_elsewhere(tmp_path: Path, location: str) -> None:
    (tmp_path / "outside.bin").write_bytes(np.array([1], np.int64).tobytes())
    (tmp_path / "m").mkdir()
    weights = onnx.TensorProto(name="axes", data_type=TensorProto.INT64, dims=[1])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["float", "axes"], ["sum"], keepdims=0),
    ]

    with pytest.raises(PackageInvalid):
        OpenVinoBackend(graph(tmp_path / "m" / "model.onnx", nodes, [weights]))


def test_cache_is_written_and_read(tmp_path: Path) -> None:
    path = HOUSE / "services/classification/models/digits-mobilenet/1/model.onnx"
    rows = np.zeros((1, 32, 32, 3), np.uint8)
    first = OpenVinoBackend(path, batch_sizes=(1,), cache=tmp_path / "cache").run({"image": rows}, ["logits"])[0]
    kept = sorted((tmp_path / "cache").iterdir())
    again = OpenVinoBackend(path, batch_sizes=(1,), cache=tmp_path / "cache").run({"image": rows}, ["logits"])[0]

    assert kept
    assert sorted((tmp_path / "cache").iterdir()) == kept
    np.testing.assert_array_equal(again, first)


def test_a_thread_that_loads_a_graph_keeps_its_stack_for_signals(tmp_path: Path) -> None:
    """OpenVINO gives it another, and frees that from whatever thread: the next signal then ended the process."""
    path = summing_graph(tmp_path / "model.onnx")
    before = _signal_stack()
    backend = OpenVinoBackend(path)
    backend.run({"image": np.ones((1, 2, 2, 3), np.uint8)}, ["sum"])
    assert _signal_stack() == before


def _signal_stack() -> tuple[int, int, int]:
    """Return place, flags and size of this thread's stack for signals."""

    class Stack(ctypes.Structure):
        _fields_ = (("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    stack = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.place or 0, stack.flags, stack.size


def test_nothing_is_forked_or_sent_over_a_network(tmp_path: Path) -> None:
    """OpenVINO's own package would do both, to report its use."""
    path = summing_graph(tmp_path / "model.onnx")
    code = f"""
import sys
from pathlib import Path
def look(event, arguments):
    if event in ("os.fork", "subprocess.Popen", "os.posix_spawn", "socket.connect"):
        print(event)
sys.addaudithook(look)
from retinue.runtime.openvino_backend import OpenVinoBackend
OpenVinoBackend(Path({str(path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert [line for line in done.stdout.splitlines() if "graph_" not in line] == []
