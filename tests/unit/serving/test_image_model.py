"""An engine of pictures as a tensor model, with a real engine of a model small enough to read."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.runtime.caller import Caller
from retinue.runtime.errors import InvalidImage, InvalidInput, ModelNotFound, ModelNotReady, Overloaded, PackageInvalid
from retinue.runtime.models import Models
from retinue.runtime.package import Package
from retinue.runtime.picture import Picture, PictureLimits
from retinue.runtime.repository import Repository
from retinue.serving.image_model import ImageModel, ImageModels
from retinue.serving.settings import ImageSettings, ServiceSettings
from retinue.serving.tensor_model import ModelIndexEntry, TensorSpec
from tests.unit.serving.in_process import PATIENCE_S
from tests.unit.serving.tiny_engine import MeanEngine, MeanPipeline, engine_of, grey, idle_engine, manifest_of

POISON = 66.0
MeanModel = ImageModel[Picture, float]


class MeanFace:
    """The mean as the one output."""

    outputs = (TensorSpec("mean", "FP32", (-1, 1)),)

    def __init__(self, engine: MeanEngine) -> None:
        self.engine = engine

    def labels(self, output: str) -> tuple[str, ...] | None:
        return self.engine.manifest.labels if output == "mean" else None

    def item(self, picture: Picture) -> Picture:
        return picture

    def tensors(self, answers: Sequence[float], outputs: Collection[str]) -> Mapping[str, NDArray[Any]]:
        return {name: np.array(answers, np.float32)[:, None] for name in outputs}


@pytest.fixture
def pipeline() -> MeanPipeline:
    return MeanPipeline({POISON: InvalidInput("image", "is poison")})


@pytest.fixture
def engine(pipeline: MeanPipeline) -> Iterator[MeanEngine]:
    with engine_of(pipeline, max_batch_size=1, max_queue_items=2) as one:
        yield one


@pytest.fixture
def model(engine: MeanEngine) -> MeanModel:
    return ImageModel(engine, MeanFace(engine), PictureLimits(), max_batch_count=4)


def pictures(*values: int) -> dict[str, NDArray[Any]]:
    """Return raw RGB pictures of one pixel each."""
    return {"image": np.array(values, np.uint8)[:, None, None, None].repeat(3, axis=3)}


def test_each_picture_is_a_row_of_the_answer(model: MeanModel) -> None:
    assert model.infer(pictures(7, 9), ["mean"], Caller())["mean"].tolist() == [[7.0], [9.0]]


def test_the_model_tells_what_it_is(model: MeanModel) -> None:
    assert (model.name, model.version, model.platform, model.max_batch_size) == ("mean", "1", "onnxruntime_onnx", 4)
    assert [spec.name for spec in model.inputs] == ["image"]
    assert [spec.name for spec in model.outputs] == ["mean"]
    assert model.labels("mean") == ("dark", "bright")
    assert model.labels("other") is None


def test_too_many_pictures_are_refused(model: MeanModel) -> None:
    with pytest.raises(InvalidInput, match="holds 5 pictures; 1 to 4"):
        model.infer(pictures(1, 2, 3, 4, 5), ["mean"], Caller())


def test_bytes_that_are_no_picture_are_refused(model: MeanModel) -> None:
    with pytest.raises(InvalidImage):
        model.infer({"image": np.array([b"no picture"], dtype=object)}, ["mean"], Caller())


def test_one_bad_picture_fails_the_request(model: MeanModel) -> None:
    with pytest.raises(InvalidInput, match="poison"):
        model.infer(pictures(66), ["mean"], Caller())


def test_a_request_that_is_refused_halfway_leaves_nothing_behind(
    model: MeanModel, engine: MeanEngine, pipeline: MeanPipeline
) -> None:
    """The queue takes two; what was queued before the refusal is not worked on for nobody."""
    pipeline.gate.clear()
    first = engine.submit(grey(1), Caller())
    assert pipeline.is_running.wait(PATIENCE_S)
    with pytest.raises(Overloaded):
        model.infer(pictures(2, 3, 4), ["mean"], Caller())
    pipeline.gate.set()
    assert first.wait() == 1.0
    assert model.statistics().fail.count == 3  # the one refused, and the two that nobody waited for any more
    assert engine.submit(grey(5), Caller()).wait() == 5.0
    assert engine.statistics.snapshot().success.count == 2


def test_statistics_are_those_of_the_engine(model: MeanModel, engine: MeanEngine) -> None:
    model.infer(pictures(1, 2), ["mean"], Caller())
    with pytest.raises(InvalidInput):
        model.infer(pictures(66), ["mean"], Caller())
    statistics, totals = model.statistics(), engine.statistics.snapshot()
    assert (statistics.success.count, statistics.fail.count, statistics.queue.count) == (2, 1, 2)
    assert statistics.compute.count == statistics.success.count  # load generators refuse counts that differ
    assert statistics.compute.infer_ns == round(totals.infer.seconds * 1e9)
    assert (statistics.inference_count, statistics.execution_count) == (3, 3)
    assert statistics.batches[1].count == 3
    assert statistics.last_inference_ms == round(totals.last_inference_s * 1e3)


def test_a_model_that_was_never_asked_has_zeros(model: MeanModel) -> None:
    statistics = model.statistics()
    assert (statistics.success.count, statistics.success.ns, statistics.last_inference_ms) == (0, 0, 0)
    assert statistics.batches == {}


# --- the models of a service

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Models[Picture, float]]:
    """Two versions of one model and another model, none of them loaded yet."""
    packages = []
    for name, version in (("mean", "9"), ("mean", "10"), ("other", "1")):
        folder = tmp_path / name / version
        folder.mkdir(parents=True)
        (folder / "model.onnx").touch()
        packages.append(Package(folder, manifest_of(name, version, files={"model.onnx": EMPTY_SHA256})))
    one: Models[Picture, float] = Models(
        Repository((tmp_path,), tuple(packages), ()), task="classification", default_name="mean"
    )
    yield one
    one.close(PATIENCE_S)


@pytest.fixture
def tensor_models(models: Models[Picture, float]) -> ImageModels[Picture, float]:
    return ImageModels(models, ServiceSettings(images=ImageSettings(max_batch_count=3)), MeanFace)


def build(package: Package) -> MeanEngine:
    if package.name == "other":
        raise PackageInvalid("the graph is not what the manifest says")
    return idle_engine(package.manifest)


def test_models_are_not_ready_before_they_are_loaded(tensor_models: ImageModels[Picture, float]) -> None:
    assert not tensor_models.is_ready
    with pytest.raises(ModelNotReady, match="loading"):
        tensor_models.get("mean", "")
    assert [entry.reason for entry in tensor_models.index()] == ["loading"] * 3


def test_models_are_ready_when_loading_has_ended(
    models: Models[Picture, float], tensor_models: ImageModels[Picture, float]
) -> None:
    models.load(build)
    assert tensor_models.is_ready


@pytest.mark.parametrize(("version", "expected"), [("", "10"), ("9", "9"), ("10", "10")])
def test_a_model_without_version_is_its_latest(
    models: Models[Picture, float], tensor_models: ImageModels[Picture, float], version: str, expected: str
) -> None:
    models.load(build)
    assert tensor_models.get("mean", version).version == expected
    assert tensor_models.get("", version).name == "mean"


@pytest.mark.parametrize(("name", "version"), [("mean", "11"), ("nobody", ""), ("Mean", "")])
def test_an_unknown_model_is_not_found(
    models: Models[Picture, float], tensor_models: ImageModels[Picture, float], name: str, version: str
) -> None:
    models.load(build)
    with pytest.raises(ModelNotFound):
        tensor_models.get(name, version)


def test_the_settings_say_how_many_pictures_a_request_may_hold(
    models: Models[Picture, float], tensor_models: ImageModels[Picture, float]
) -> None:
    models.load(build)
    assert tensor_models.get("mean", "").max_batch_size == 3


def test_the_index_tells_what_is_broken_and_why(
    models: Models[Picture, float], tensor_models: ImageModels[Picture, float]
) -> None:
    models.load(build)
    index = {(entry.name, entry.version): entry for entry in tensor_models.index()}
    assert index["mean", "10"].is_ready
    assert index["other", "1"] == ModelIndexEntry(
        "other", "1", is_ready=False, reason="the graph is not what the manifest says"
    )
