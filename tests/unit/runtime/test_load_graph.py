"""Which runtime a graph is loaded by."""

from pathlib import Path

import pytest
from onnx import helper

from retinue.runtime.errors import PackageInvalid, ProviderMissing
from retinue.runtime.execution import Execution
from retinue.runtime.load_graph import load_graph
from retinue.runtime.providers import installed_providers
from tests.unit.runtime.test_onnx_backend import ROWS, graph, summing_graph

HAS_OPENVINO = "openvino" in installed_providers()
needs_openvino = pytest.mark.skipif(not HAS_OPENVINO, reason="an extra: pip install 'retinue[openvino]'")


def test_onnx_runtime_is_the_default(tmp_path: Path) -> None:
    assert load_graph(summing_graph(tmp_path / "model.onnx"), Execution()).provider == "cpu"


@needs_openvino
def test_openvino_runs_what_it_is_asked_to(tmp_path: Path) -> None:
    backend = load_graph(summing_graph(tmp_path / "model.onnx"), Execution(providers=("openvino",), max_batch_size=2))

    assert backend.provider == "openvino"
    assert backend.run({"image": ROWS}, ["sum"])[0].tolist() == ROWS.sum((1, 2, 3)).tolist()


@pytest.mark.skipif(HAS_OPENVINO, reason="OpenVINO is here")
def test_openvino_that_is_not_installed_is_missing(tmp_path: Path) -> None:
    path = summing_graph(tmp_path / "model.onnx")
    with pytest.raises(ProviderMissing, match=r"no openvino provider .* retinue\[openvino\]"):
        load_graph(path, Execution(providers=("openvino", "cpu")))
    assert load_graph(path, Execution(providers=("openvino", "cpu"), is_fallback_allowed=True)).provider == "cpu"


@needs_openvino
def test_graph_that_openvino_cannot_load_falls_to_the_next_where_that_is_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = graph(tmp_path / "model.onnx", [helper.make_node("Nonsense", ["image"], ["sum"])])
    with pytest.raises(PackageInvalid, match="by OpenVINO"):
        load_graph(path, Execution(providers=("openvino", "cpu")))
    with pytest.raises(PackageInvalid, match=r"^model.onnx cannot be loaded: "):  # nor can ONNX Runtime
        load_graph(path, Execution(providers=("openvino", "cpu"), is_fallback_allowed=True))
    assert "graph_not_for_openvino" in capsys.readouterr().out


def test_cache_that_cannot_be_made_is_done_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = summing_graph(tmp_path / "model.onnx")
    assert load_graph(path, Execution(cache=path / "cache")).provider == "cpu"
    assert "cache_unusable" in capsys.readouterr().out


@needs_openvino
def test_what_was_compiled_ahead_serves_any_number_of_workers(tmp_path: Path) -> None:
    path, cache = summing_graph(tmp_path / "model.onnx"), tmp_path / "cache"
    load_graph(path, Execution(providers=("openvino",), cache=cache))
    there = sorted(cache.iterdir())
    load_graph(path, Execution(providers=("openvino",), cache=cache, workers=2))
    assert there
    assert sorted(cache.iterdir()) == there
