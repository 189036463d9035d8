"""What every image service's edge does: find the model, open pictures, keep the failures of a batch apart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from retinue.common.v1 import image_pb2, model_pb2
from retinue.runtime.caller import Caller
from retinue.runtime.engine import Engine, EngineSize
from retinue.runtime.errors import (
    ImageTooLarge,
    InvalidImage,
    InvalidInput,
    ModelNotFound,
    ModelNotReady,
    Overloaded,
)
from retinue.runtime.models import Models
from retinue.runtime.package import Package
from retinue.runtime.picture import Picture
from retinue.runtime.repository import scan
from retinue.runtime.ticket import Ticket
from retinue.serving.call import Call
from retinue.serving.image_edge import ImageEdge
from retinue.serving.metrics import Metrics
from retinue.serving.settings import ImageSettings, ServiceSettings
from tests.unit.serving.in_process import PATIENCE_S, error_info_of, violations_of
from tests.unit.serving.test_call import call_of
from tests.unit.serving.tiny_engine import MeanPipeline
from tests.unit.serving.tiny_package import write_package

Edge = ImageEdge[Picture, float]
SETTINGS = ServiceSettings(images=ImageSettings(max_bytes=100, max_pixels=20, max_batch_count=3))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def call() -> Call:
    return call_of()


@pytest.fixture
def pipeline() -> MeanPipeline:
    return MeanPipeline(failures={13.0: InvalidInput("options", "do not fit")})


@pytest.fixture
def models(tmp_path: Path, metrics: Metrics, pipeline: MeanPipeline) -> Iterator[Models[Picture, float]]:
    """Two versions of one model, and a broken one."""
    for version in ("1", "2"):
        write_package(tmp_path, "tiny", version)
    write_package(tmp_path, "broken", "1")
    (tmp_path / "broken" / "1" / "model.onnx").write_bytes(b"changed")

    def build(package: Package) -> Engine[Picture, float]:
        size = EngineSize(workers=1, max_batch_size=1, max_queue_items=3, max_queue_bytes=2**20)
        return Engine(package.manifest, pipeline, size, metrics.engine_observer(package.name, package.version))

    made: Models[Picture, float] = Models(scan([tmp_path]), task="classification", default_name="tiny")
    made.load(build)
    yield made
    pipeline.gate.set()
    made.close(PATIENCE_S)


@pytest.fixture
def edge(models: Models[Picture, float], metrics: Metrics) -> Edge:
    return ImageEdge(models, metrics, SETTINGS)


def grey(value: int, image_id: str = "") -> image_pb2.Image:
    """Return a picture of one pixel."""
    raw = image_pb2.RawImage(pixels=bytes([value]), width=1, height=1, pixel_format=image_pb2.PIXEL_FORMAT_GRAY)
    return image_pb2.Image(id=image_id, raw=raw)


# --- models


@pytest.mark.parametrize(
    ("name", "version", "found"),
    [("", "", "tiny@2"), ("tiny", "", "tiny@2"), ("tiny", "1", "tiny@1"), ("tiny", "2", "tiny@2")],
)
def test_the_model_that_is_named_is_found_and_noted(
    edge: Edge, call: Call, name: str, version: str, found: str
) -> None:
    engine = edge.engine(model_pb2.ModelRef(name=name, version=version), call)

    assert f"{engine.manifest.name}@{engine.manifest.version}" == found
    assert call.facts == {"model": found}


@pytest.mark.parametrize(("name", "version"), [("other", ""), ("tiny", "3"), ("../tiny", "1")])
def test_a_model_that_is_not_there_is_not_noted(edge: Edge, call: Call, name: str, version: str) -> None:
    with pytest.raises(ModelNotFound, match="known models: broken, tiny"):
        edge.engine(model_pb2.ModelRef(name=name, version=version), call)
    assert call.facts == {}


def test_a_broken_model_is_not_ready(edge: Edge, call: Call) -> None:
    with pytest.raises(ModelNotReady, match="model broken is broken"):
        edge.engine(model_pb2.ModelRef(name="broken"), call)


# --- pictures


def test_a_picture_is_opened_and_its_bytes_counted(edge: Edge, metrics: Metrics) -> None:
    picture = edge.picture(grey(7), "image")

    assert picture.pixels().tolist() == [[[7, 7, 7]]]
    assert metrics.registry.get_sample_value("retinue_image_bytes_count") == 1
    assert metrics.registry.get_sample_value("retinue_image_bytes_sum") == 1


def test_a_picture_that_is_none_is_refused_by_its_field_and_not_counted(edge: Edge, metrics: Metrics) -> None:
    with pytest.raises(InvalidImage) as raised:
        edge.picture(image_pb2.Image(encoded=b"no picture"), "images[3]")
    assert raised.value.field.startswith("images[3]")
    assert metrics.registry.get_sample_value("retinue_image_bytes_count") == 0


def test_a_picture_beyond_the_settings_is_refused(edge: Edge) -> None:
    many = image_pb2.RawImage(pixels=bytes(21), width=21, height=1, pixel_format=image_pb2.PIXEL_FORMAT_GRAY)
    with pytest.raises(ImageTooLarge, match="20"):
        edge.picture(image_pb2.Image(raw=many), "image")
    with pytest.raises(ImageTooLarge, match="100"):
        edge.picture(image_pb2.Image(encoded=bytes(101)), "image")


# --- batches


class Starter:
    """Puts pictures on their way, as a servicer does; remembers which fields it was asked for."""

    def __init__(self, edge: Edge, call: Call) -> None:
        self.fields: list[str] = []
        self._edge = edge
        self._engine = edge.engine(model_pb2.ModelRef(), call)

    def __call__(self, image: image_pb2.Image, field: str) -> Ticket[Picture, float]:
        self.fields.append(field)
        return self._engine.submit(self._edge.picture(image, field), Caller())


def test_a_batch_is_begun_picture_by_picture(edge: Edge, call: Call) -> None:
    start = Starter(edge, call)
    begun = edge.begin_batch([grey(5, "a"), grey(6, "b"), grey(5, "a")], start, call)

    assert [item.image_id for item in begun] == ["a", "b", "a"]
    assert start.fields == ["images[0]", "images[1]", "images[2]"]
    assert [edge.failure(item, call) for item in begun] == [None] * 3
    assert [item.ticket.wait() for item in begun if item.ticket is not None] == [5, 6, 5]
    assert call.facts == {"model": "tiny@2", "item_count": 3}


@pytest.mark.parametrize("count", [0, 4])
def test_a_batch_of_none_or_too_many_is_refused_as_a_whole(edge: Edge, call: Call, count: int) -> None:
    start = Starter(edge, call)
    with pytest.raises(InvalidInput) as raised:
        edge.begin_batch([grey(5)] * count, start, call)

    assert raised.value.field == "images"
    assert f"has {count} pictures; 1 to 3 are allowed" in raised.value.message
    assert start.fields == []
    assert "item_count" not in call.facts


def test_a_bad_picture_fails_alone(edge: Edge, call: Call) -> None:
    images = [grey(5, "good"), image_pb2.Image(id="bad", encoded=b"x"), grey(6, "fine")]
    begun = edge.begin_batch(images, Starter(edge, call), call)
    failures = [edge.failure(item, call) for item in begun]

    assert [item.image_id for item in begun] == ["good", "bad", "fine"]
    assert (failures[0], failures[2]) == (None, None)
    assert failures[1] is not None
    assert error_info_of(failures[1]).reason == "INVALID_IMAGE"
    assert [field for field, _ in violations_of(failures[1])] == ["images[1].encoded"]
    assert call.facts["failed_items"] == 1


def test_a_failure_on_the_way_is_the_items_own(edge: Edge, call: Call) -> None:
    begun = edge.begin_batch([grey(13), grey(14)], Starter(edge, call), call)
    failure, other = (edge.failure(item, call) for item in begun)

    assert failure is not None
    assert violations_of(failure) == [("options", "do not fit")]
    assert other is None


def test_items_beyond_the_queue_are_refused_each_for_itself(
    edge: Edge, call: Call, metrics: Metrics, pipeline: MeanPipeline
) -> None:
    start = Starter(edge, call)
    pipeline.gate.clear()
    running = start(grey(1), "image")
    assert pipeline.is_running.wait(PATIENCE_S)
    waiting = start(grey(9), "image")
    begun = edge.begin_batch([grey(2), grey(3), grey(4)], start, call)
    pipeline.gate.set()

    assert [edge.failure(item, call) is None for item in begun] == [True, True, False]
    assert isinstance(begun[2].refusal, Overloaded)
    assert metrics.registry.get_sample_value("retinue_rejected_total", {"reason": "queue_full"}) == 1
    assert (running.wait(), waiting.wait()) == (1, 9)
