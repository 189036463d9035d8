"""Whole detection services in this process, with models whose answers are known by heart."""

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.serving.settings import EngineSettings, ImageSettings, ModelSettings, ServiceSettings
from services.detection.__main__ import SERVICE
from services.detection.detections import DetectionItem
from services.detection.pipeline import DetectionPipeline
from services.detection.settings import DetectionSettings, TilingSettings
from tests.unit.services.detection.tiny_detectors import write_detector, write_squares, write_two_stage, write_yolo
from tests.unit.serving.hosted import Run, run_host, settings_of
from tests.unit.serving.in_process import PATIENCE_S

TABLE = [[32, 16, 24, 8, 0.9, 0.0], [32, 48, 24, 8, 0.0, 0.6], [32, 17, 24, 8, 0.0, 0.8]]


def detection_settings(tiling: TilingSettings, **groups: Any) -> DetectionSettings:
    common = settings_of(**groups)
    return DetectionSettings(**{name: getattr(common, name) for name in ServiceSettings.model_fields}, tiling=tiling)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """`squares` and, in two versions, `table`; `two-stage`, `poison` (NaN for what is white) and `broken`."""
    root: Path = tmp_path_factory.mktemp("models")
    write_squares(root)
    for version in ("9", "10"):
        write_yolo(root, TABLE, name="table", version=version, labels=("ring", "disc"))
    write_yolo(root, TABLE, name="poison", labels=("ring", "disc"), is_poisonable=True)
    write_two_stage(root, name="two-stage")
    write_detector(
        root,
        "broken",
        family="yolo",
        graphs={"model.onnx": b"no graph"},
        policy={"fit": "letterbox", "height": 64, "width": 64},
        output={"form": "anchor_free"},
    )
    settings = detection_settings(
        TilingSettings(max_tile_count=40),
        models=ModelSettings(default="squares"),
        images=ImageSettings(max_bytes=200_000, max_pixels=200_000, max_batch_count=5),
        engine=EngineSettings(workers=2),
    )
    with run_host(dataclasses.replace(SERVICE, embedded_root=root), settings) as one:
        one.wait_ready()
        yield one


class HeldPipeline(DetectionPipeline):
    """Decodes only while the gate is open."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.gate = threading.Event()
        self.gate.set()
        self.is_decoding = threading.Event()

    def decode(self, item: DetectionItem) -> NDArray[np.uint8]:
        self.is_decoding.set()
        assert self.gate.wait(PATIENCE_S)
        return super().decode(item)


@dataclasses.dataclass(frozen=True)
class Held:
    """A service whose one worker waits for a gate."""

    run: Run
    pipeline: HeldPipeline

    @property
    def engine(self) -> Any:
        work: Any = self.run.host._work  # what waits in its queue is nobody else's to see
        return work._models.get("squares")

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Shut the gate while the block runs."""
        self.pipeline.is_decoding.clear()
        self.pipeline.gate.clear()
        try:
            yield
        finally:
            self.pipeline.gate.set()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """`squares` with one worker, batches of one, two places in the queue, and one picture at a time cut into tiles."""
    root: Path = tmp_path_factory.mktemp("held")
    write_squares(root)
    pipelines: list[HeldPipeline] = []

    def build(*arguments: Any) -> HeldPipeline:
        pipelines.append(HeldPipeline(*arguments))
        return pipelines[-1]

    settings = detection_settings(
        TilingSettings(max_picture_count=1),
        engine=EngineSettings(workers=1, max_batch_size=1, max_queue_count=2),
    )
    with run_host(dataclasses.replace(SERVICE, embedded_root=root, build=build), settings) as one:
        one.wait_ready()
        yield Held(one, pipelines[0])
