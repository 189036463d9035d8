"""The ONNX Runtime backend on small graphs made here: what it runs, what it refuses, what it falls back to."""

import importlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from retinue.runtime.backend import Backend, TensorInfo
from retinue.runtime.errors import BackendFailed, PackageInvalid, ProviderMissing
from retinue.runtime.onnx_backend import OnnxBackend

# The newest versions of format and operators that the oldest supported ONNX Runtime reads are higher than these.
_IR_VERSION, _OPSET = 9, 17
ROWS = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)


def graph(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto] = (),
    *,
    more_inputs: Sequence[onnx.ValueInfoProto] = (),
    ir_version: int = _IR_VERSION,
) -> Path:
    """Write a graph from ``image``, uint8 [batch, 2, 2, 3], to ``sum``, float32 [batch]."""
    inputs = [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 2, 2, 3]), *more_inputs]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["batch"])]
    made = helper.make_graph(nodes, "test", inputs, outputs, list(constants))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=ir_version)
    path.write_bytes(model.SerializeToString())
    return path


def summing_graph(path: Path, **options: Any) -> Path:
    """Write the graph that adds up the pixels of each row."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["float", "axes"], ["sum"], keepdims=0),
    ]
    return graph(path, nodes, [helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3])], **options)


def failing_graph(path: Path) -> Path:
    """Write a graph that loads, and fails on all rows but a single one."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["float", "shape"], ["flat"]),
        helper.make_node("ReduceSum", ["flat", "axes"], ["sum"], keepdims=0),
    ]
    constants = [
        helper.make_tensor("shape", TensorProto.INT64, [2], [1, 12]),
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
    ]
    return graph(path, nodes, constants)


@pytest.fixture
def backend(tmp_path: Path) -> OnnxBackend:
    return OnnxBackend(summing_graph(tmp_path / "model.onnx"))


def test_graph_is_run(backend: OnnxBackend) -> None:
    (sums,) = backend.run({"image": ROWS}, ["sum"])

    np.testing.assert_array_equal(sums, ROWS.sum((1, 2, 3)).astype(np.float32))
    assert sums.dtype == np.float32


def test_inputs_and_outputs_are_described(backend: OnnxBackend) -> None:
    as_protocol: Backend = backend

    assert as_protocol.inputs == {"image": TensorInfo("image", "tensor(uint8)", (None, 2, 2, 3))}
    assert as_protocol.outputs == {"sum": TensorInfo("sum", "tensor(float)", (None,))}
    assert as_protocol.provider == "cpu"


@pytest.mark.parametrize("batch_size", [0, 1, 7])
def test_batch_may_be_of_any_size(backend: OnnxBackend, batch_size: int) -> None:
    (sums,) = backend.run({"image": np.ones((batch_size, 2, 2, 3), np.uint8)}, ["sum"])

    assert sums.tolist() == [12.0] * batch_size


def test_unknown_output_fails_in_words(backend: OnnxBackend) -> None:
    with pytest.raises(BackendFailed, match="average"):
        backend.run({"image": ROWS}, ["average"])


def test_graph_that_fails_at_run_time_can_be_run_again(tmp_path: Path) -> None:
    backend = OnnxBackend(failing_graph(tmp_path / "model.onnx"))

    with pytest.raises(BackendFailed):
        backend.run({"image": ROWS}, ["sum"])
    assert backend.run({"image": ROWS[:1]}, ["sum"])[0].tolist() == [66.0]


def test_graph_that_wants_more_than_it_is_fed_fails_in_words(tmp_path: Path) -> None:
    more = [helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1])]
    backend = OnnxBackend(summing_graph(tmp_path / "model.onnx", more_inputs=more))

    with pytest.raises(BackendFailed, match="mask"):
        backend.run({"image": ROWS}, ["sum"])


# --- outputs that stay where they are


def doubling_graph(path: Path) -> Path:
    """Write a graph that goes on from ``sum`` to ``double``, both float32 [batch]."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Add", ["sum", "sum"], ["double"])]
    inputs, outputs = [value("sum", TensorProto.FLOAT, ["batch"])], [value("double", TensorProto.FLOAT, ["batch"])]
    made = helper.make_graph(nodes, "test", inputs, outputs)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    path.write_bytes(model.SerializeToString())
    return path


def test_nothing_kept_is_what_run_gives(backend: OnnxBackend) -> None:
    (sums,) = backend.run_kept({"image": ROWS}, ["sum"], ())

    np.testing.assert_array_equal(sums, backend.run({"image": ROWS}, ["sum"])[0])
    assert isinstance(sums, np.ndarray)


def test_output_that_is_kept_is_the_feed_of_another_graph(backend: OnnxBackend, tmp_path: Path) -> None:
    following = OnnxBackend(doubling_graph(tmp_path / "following.onnx"))
    (kept,) = backend.run_kept({"image": ROWS}, ["sum"], ["sum"])
    (double,) = following.run_kept({"sum": kept}, ["double"], [])

    assert not isinstance(kept, np.ndarray)
    assert double.tolist() == (2.0 * ROWS.sum((1, 2, 3))).tolist()


def test_outputs_come_in_the_order_asked_for_kept_or_not(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    value, names = helper.make_tensor_value_info, ["a", "b", "c"]
    nodes = [helper.make_node("Mul", ["x", name + "_factor"], [name]) for name in names]
    factors = [
        helper.make_tensor(name + "_factor", TensorProto.FLOAT, [], [factor])
        for factor, name in enumerate(names, start=1)
    ]
    inputs, outputs = [value("x", TensorProto.FLOAT, [1])], [value(name, TensorProto.FLOAT, [1]) for name in names]
    made = helper.make_graph(nodes, "test", inputs, outputs, factors)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    path.write_bytes(model.SerializeToString())
    third, first, second = OnnxBackend(path).run_kept({"x": np.ones(1, np.float32)}, ["c", "a", "b"], {"a", "other"})

    assert (third.tolist(), first.numpy().tolist(), second.tolist()) == ([3.0], [1.0], [2.0])


def test_output_that_is_kept_outlives_later_runs_and_its_inputs(backend: OnnxBackend) -> None:
    buffer = ROWS.copy()
    (kept,) = backend.run_kept({"image": buffer}, ["sum"], ["sum"])
    (array,) = backend.run_kept({"image": buffer}, ["sum"], [])
    buffer[:] = 0
    backend.run_kept({"image": buffer}, ["sum"], ["sum"])

    expected = ROWS.sum((1, 2, 3)).tolist()
    assert kept.numpy().tolist() == expected
    assert array.tolist() == expected


@pytest.mark.parametrize("batch_size", [0, 1, 7])
def test_batch_of_any_size_can_be_kept(backend: OnnxBackend, tmp_path: Path, batch_size: int) -> None:
    following = OnnxBackend(doubling_graph(tmp_path / "following.onnx"))
    (kept,) = backend.run_kept({"image": np.ones((batch_size, 2, 2, 3), np.uint8)}, ["sum"], ["sum"])

    assert following.run_kept({"sum": kept}, ["double"], ())[0].tolist() == [24.0] * batch_size


def test_first_rows_of_a_larger_buffer_are_bound_as_they_are(backend: OnnxBackend) -> None:
    buffer = np.random.default_rng(0).integers(0, 256, (8, 2, 2, 3), np.uint8)
    (sums,) = backend.run_kept({"image": buffer[:3]}, ["sum"], ())

    assert sums.tolist() == buffer[:3].sum((1, 2, 3)).tolist()


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"picture": ROWS},
        {"image": ROWS, "more": ROWS},
        {"image": ROWS.astype(np.float32)},
        {"image": ROWS[0]},
        {"image": ROWS[:, :1].copy()},
        {"image": np.array(["text"])},
        {"image": onnxruntime.OrtValue.ortvalue_from_numpy(ROWS.astype(np.float32))},
        {"picture": onnxruntime.OrtValue.ortvalue_from_numpy(ROWS)},
    ],
    ids=["nothing", "wrong name", "too much", "type", "rank", "size", "text", "wrong value", "value of no input"],
)
def test_wrong_inputs_fail_in_words_also_where_they_are_bound(backend: OnnxBackend, feeds: dict[str, Any]) -> None:
    with pytest.raises(BackendFailed, match="the graph failed: "):
        backend.run_kept(feeds, ["sum"], ())
    assert backend.run_kept({"image": ROWS}, ["sum"], ())[0].tolist() == ROWS.sum((1, 2, 3)).tolist()


def test_unknown_output_fails_in_words_also_where_it_is_bound(backend: OnnxBackend) -> None:
    with pytest.raises(BackendFailed, match="average"):
        backend.run_kept({"image": ROWS}, ["average"], ["average"])


def test_graph_that_fails_at_run_time_can_be_bound_again(tmp_path: Path) -> None:
    backend = OnnxBackend(failing_graph(tmp_path / "model.onnx"))

    with pytest.raises(BackendFailed):
        backend.run_kept({"image": ROWS}, ["sum"], ["sum"])
    assert backend.run_kept({"image": ROWS[:1]}, ["sum"], [])[0].tolist() == [66.0]


def test_bound_runs_of_many_threads_do_not_mix(backend: OnnxBackend, tmp_path: Path) -> None:
    following = OnnxBackend(doubling_graph(tmp_path / "following.onnx"))
    start = threading.Barrier(4)
    wrong: list[list[float]] = []

    def work(value: int) -> None:
        rows = np.full((value + 1, 2, 2, 3), value, np.uint8)
        start.wait()
        for _ in range(50):
            (kept,) = backend.run_kept({"image": rows}, ["sum"], ["sum"])
            (double,) = following.run_kept({"sum": kept}, ["double"], ())
            if double.tolist() != [24.0 * value] * (value + 1):
                wrong.append(double.tolist())

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


# --- files that are no graphs


@pytest.mark.parametrize(
    "content", [b"", b"hello", bytes(1000), b"\x08\x09\x12"], ids=["empty", "text", "zeros", "cut"]
)
def test_file_that_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    with pytest.raises(PackageInvalid, match=r"^model.onnx cannot be loaded: ") as raised:
        OnnxBackend(path)
    assert str(tmp_path) not in raised.value.message


def test_cut_off_graph_is_refused(tmp_path: Path) -> None:
    path = summing_graph(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:80])

    with pytest.raises(PackageInvalid):
        OnnxBackend(path)


def test_absent_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid, match=r"absent\.onnx"):
        OnnxBackend(tmp_path / "absent.onnx")
    with pytest.raises(PackageInvalid):
        OnnxBackend(tmp_path)


def test_unknown_operator_is_refused(tmp_path: Path) -> None:
    path = graph(tmp_path / "model.onnx", [helper.make_node("Nonsense", ["image"], ["sum"])])

    with pytest.raises(PackageInvalid, match="Nonsense"):
        OnnxBackend(path)


def test_graph_of_a_future_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid):
        OnnxBackend(summing_graph(tmp_path / "model.onnx", ir_version=99))


@pytest.mark.parametrize("location", ["absent.bin", "../outside.bin", "/etc/hostname"])
def test_graph_cannot_read_files_from_elsewhere(tmp_path: Path, location: str) -> None:
    """Weights outside the package's folder are refused even where they exist."""
    (tmp_path / "outside.bin").write_bytes(bytes(12))
    (tmp_path / "m").mkdir()
    weights = onnx.TensorProto(name="axes", data_type=TensorProto.INT64, dims=[1])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["float", "axes"], ["sum"], keepdims=0),
    ]

    with pytest.raises(PackageInvalid):
        OnnxBackend(graph(tmp_path / "m" / "model.onnx", nodes, [weights]))


def test_provider_that_is_not_installed_is_missing(tmp_path: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine's ONNX Runtime has CUDA")
    path = summing_graph(tmp_path / "model.onnx")

    with pytest.raises(ProviderMissing, match=r"no cuda provider \(it has: cpu.*\); install retinue\[gpu\]"):
        OnnxBackend(path, providers=["cuda", "cpu"])


def test_provider_that_is_not_installed_is_passed_over_where_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine's ONNX Runtime has CUDA")
    path = summing_graph(tmp_path / "model.onnx")
    backend = OnnxBackend(path, providers=["tensorrt", "cuda", "cpu"], is_fallback_allowed=True)

    assert backend.provider == "cpu"
    assert "provider_missing" in capsys.readouterr().out


@pytest.mark.parametrize("is_session_shared", [True, False])
def test_workers_get_the_same_answers_from_one_session_and_from_their_own(
    tmp_path: Path, *, is_session_shared: bool
) -> None:
    path = summing_graph(tmp_path / "model.onnx")
    backend = OnnxBackend(path, workers=2, is_session_shared=is_session_shared)
    sessions: list[object] = []
    barrier = threading.Barrier(3)

    def work() -> None:
        barrier.wait()
        assert backend.run({"image": ROWS}, ["sum"])[0].tolist() == ROWS.sum((1, 2, 3)).tolist()
        sessions.append(backend._session())
        sessions.append(backend._session())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(sessions) == 6
    assert len(set(map(id, sessions))) == (1 if is_session_shared else 2)  # of three threads, two share the first


def test_module_needs_no_gpu_to_be_imported() -> None:
    assert importlib.import_module("retinue.runtime.onnx_backend").OnnxBackend is OnnxBackend
