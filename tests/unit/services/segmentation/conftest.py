"""Whole segmentation services in this process, with models whose answers are known by heart."""

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.serving.settings import ImageSettings, ModelSettings, ServiceSettings
from services.segmentation.__main__ import SERVICE
from services.segmentation.pipeline import SegmentationPipeline
from services.segmentation.segmentations import SegmentationItem
from services.segmentation.settings import SegmentationEngineSettings, SegmentationSettings, SlideSettings
from tests.unit.services.segmentation.tiny_segmenters import PATIENCE_S, write_segmenter
from tests.unit.serving.hosted import Run, run_host, settings_of

LIMITS = SlideSettings(
    max_side_px=1000, max_tile_pixels=128 * 128, max_row_pixels=64_000, max_instances=40, stall_timeout_s=PATIENCE_S
)


def segmentation_settings(slides: SlideSettings, **groups: Any) -> SegmentationSettings:
    engine = SegmentationEngineSettings(**groups.pop("engine", {"workers": 1}))
    common = settings_of(**groups)
    kept = {name: getattr(common, name) for name in ServiceSettings.model_fields if name != "engine"}
    return SegmentationSettings(**kept, engine=engine, slides=slides)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """`tiny` in two versions, `semantic`, `poison` (NaN where blue is 255) and `broken`."""
    root: Path = tmp_path_factory.mktemp("models")
    for version in ("9", "10"):
        write_segmenter(root, version=version)
    write_segmenter(root, "semantic", family="semantic", has_guide=False)
    write_segmenter(root, "poison", is_poisonable=True)
    write_segmenter(root, "broken", model=b"no graph")
    settings = segmentation_settings(
        LIMITS,
        models=ModelSettings(default="tiny"),
        images=ImageSettings(max_bytes=400_000, max_pixels=130_000, max_batch_count=5),
        engine={"workers": 2},
    )
    with run_host(dataclasses.replace(SERVICE, embedded_root=root), settings) as one:
        one.wait_ready()
        yield one


@pytest.fixture
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A service that waits for the next tile for a twentieth of a second."""
    root: Path = tmp_path_factory.mktemp("impatient")
    write_segmenter(root)
    settings = segmentation_settings(SlideSettings(stall_timeout_s=0.05), models=ModelSettings(default="tiny"))
    with run_host(dataclasses.replace(SERVICE, embedded_root=root), settings) as one:
        one.wait_ready()
        yield one


class HeldPipeline(SegmentationPipeline):
    """Decodes only while the gate is open."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.gate = threading.Event()
        self.gate.set()
        self.is_decoding = threading.Event()

    def decode(self, item: SegmentationItem) -> NDArray[np.uint8]:
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
        work: Any = self.run.host._work
        return work._models.get("tiny")

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
    """`tiny` with one worker, batches of one, two places in the queue, and one picture at a time through windows."""
    root: Path = tmp_path_factory.mktemp("held")
    write_segmenter(root)
    pipelines: list[HeldPipeline] = []

    def build(*arguments: Any) -> HeldPipeline:
        pipelines.append(HeldPipeline(*arguments))
        return pipelines[-1]

    settings = segmentation_settings(
        SlideSettings(max_picture_count=1),
        models=ModelSettings(default="tiny"),
        engine={"workers": 1, "max_batch_size": 1, "max_queue_count": 2},
    )
    with run_host(dataclasses.replace(SERVICE, embedded_root=root, build=build), settings) as one:
        one.wait_ready()
        yield Held(one, pipelines[0])
