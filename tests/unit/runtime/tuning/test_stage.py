"""Models of every family, run as they would be served, in several setups."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from retinue.runtime.errors import BackendFailed, PackageInvalid, ProviderMissing
from retinue.runtime.package import Package, open_package
from retinue.runtime.picture import Picture, PictureLimits, open_picture
from retinue.runtime.providers import installed_providers
from retinue.runtime.setup import Setup
from retinue.runtime.tuning.stage import Stage
from tests.unit.cli.tiny_classifiers import make_package
from tests.unit.runtime.tiny_detectors import CONTENTS, write_detector, yolo_graph
from tests.unit.services.segmentation.tiny_segmenters import write_segmenter

needs_openvino = pytest.mark.skipif("openvino" not in installed_providers(), reason="an extra")


@pytest.fixture
def pictures() -> list[Picture]:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    files = [bytes(cv2.imencode(".png", part)[1]) for part in (noise, noise[:, :30])]
    return [open_picture(file, PictureLimits()) for file in files]


def packages(root: Path) -> list[Package]:
    """Return a package of each family."""
    names = [write_detector(root, family).name for family in CONTENTS]
    return [
        open_package(make_package(root)),
        *(open_package(root / name / "1") for name in names),
        open_package(write_segmenter(root)),
    ]


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("provider", ["cpu", pytest.param("openvino", marks=needs_openvino)])
def test_models_of_every_family_are_measured(
    tmp_path: Path, pictures: list[Picture], index: int, provider: str
) -> None:
    package = packages(tmp_path)[index]
    stage = Stage(package, pictures, cache=tmp_path / "cache")
    setup = Setup.model_validate({"providers": [provider], "workers": 2, "max_batch_size": 2})
    figures = stage.measure(setup, 3, 0.02)

    assert figures.answers_per_s > 0
    assert figures.in_flight == 3


def test_graphs_are_loaded_once_for_all_batches_and_delays(tmp_path: Path, pictures: list[Picture]) -> None:
    stage = Stage(open_package(make_package(tmp_path)), pictures, cache=tmp_path)
    for setup in (Setup(workers=2), Setup(workers=2, max_batch_size=1), Setup(workers=2, max_delay_ms=1)):
        stage.measure(setup, 2, 0.01)
    assert len(stage._loaded) == 1
    stage.measure(Setup(workers=2, is_session_shared=False), 2, 0.01)
    assert len(stage._loaded) == 2


def test_no_more_graphs_are_kept_than_memory_should_hold(tmp_path: Path, pictures: list[Picture]) -> None:
    stage = Stage(open_package(make_package(tmp_path)), pictures, cache=tmp_path)
    for workers in range(1, 10):
        stage.measure(Setup(workers=workers), 1, 0.001)
    assert len(stage._loaded) == 6


def test_what_cannot_be_run_says_so(tmp_path: Path, pictures: list[Picture]) -> None:
    write_detector(tmp_path, "yolo", graphs={"model.onnx": b"no graph"})
    broken = Stage(open_package(tmp_path / "one-stage" / "1"), pictures, cache=tmp_path)
    with pytest.raises(PackageInvalid, match="cannot be loaded"):
        broken.measure(Setup(workers=1), 1, 0.01)
    whole = Stage(open_package(make_package(tmp_path)), pictures, cache=tmp_path)
    if "cuda" not in installed_providers():
        with pytest.raises(ProviderMissing):
            whole.measure(Setup(workers=1, providers=("cuda", "cpu")), 1, 0.01)
    assert whole.measure(Setup(workers=1), 1, 0.01).answers_per_s > 0


def test_graph_of_one_fixed_batch_is_run_in_such_batches(tmp_path: Path, pictures: list[Picture]) -> None:
    write_detector(tmp_path, "yolo", graphs={"model.onnx": yolo_graph(batch=2)})
    stage = Stage(open_package(tmp_path / "one-stage" / "1"), pictures, cache=tmp_path)
    assert stage.measure(Setup(workers=1, max_batch_size=3), 5, 0.02).answers_per_s > 0


def test_wrong_graph_is_found_out(tmp_path: Path, pictures: list[Picture]) -> None:
    write_detector(tmp_path, "yolo", graphs={"model.onnx": yolo_graph(sides=(96, 96))})
    stage = Stage(open_package(tmp_path / "one-stage" / "1"), pictures, cache=tmp_path)
    with pytest.raises(BackendFailed):
        stage.measure(Setup(workers=1), 1, 0.01)
