"""A model small enough to read: the mean of a picture's pixels, behind a real engine."""

# ruff: noqa: ARG002 - the signatures are a pipeline's
import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from retinue.runtime.classification_manifest import ClassificationManifest, InputPolicy
from retinue.runtime.engine import Engine, EngineSize
from retinue.runtime.manifest import Manifest, Provenance
from retinue.runtime.picture import Picture, PictureLimits, raw_picture
from retinue.serving.metrics import Metrics
from tests.unit.serving.in_process import PATIENCE_S

MeanEngine = Engine[Picture, float]


def grey(value: int) -> Picture:
    """Return a picture of one pixel."""
    return raw_picture(bytes([value]), 1, 1, "gray", PictureLimits())


def manifest_of(name: str = "mean", version: str = "1", **changes: Any) -> ClassificationManifest:
    content: dict[str, Any] = {
        "manifest_version": 1,
        "name": name,
        "version": version,
        "task": "classification",
        "family": "logits",
        "labels": ("dark", "bright"),
        "input": InputPolicy(height=1, width=1, fit="stretch"),
        "files": {"model.onnx": "0" * 64},
        "provenance": Provenance(source="the test"),
        "licence": "CC0-1.0",
    }
    return ClassificationManifest(**(content | changes))


class MeanPipeline:
    """Answers with the mean of a picture; pictures of some means fail, and all wait while the gate is shut."""

    provider = "cpu"

    def __init__(self, failures: Mapping[float, Exception] | None = None) -> None:
        self.failures = failures or {}
        self.gate = threading.Event()
        self.gate.set()
        self.is_running = threading.Event()

    def bucket(self, item: Picture) -> Hashable:
        return None

    def warm_up_buckets(self) -> Sequence[Hashable]:
        return []

    def allocate(self, bucket: Hashable, row_count: int) -> NDArray[Any]:
        return np.zeros((row_count, 1), np.float32)

    def decode(self, item: Picture) -> NDArray[np.uint8]:
        return item.pixels()

    def prepare(self, pixels: NDArray[np.uint8], rows: NDArray[Any], index: int) -> None:
        rows[index, 0] = pixels.mean()

    def run(self, rows: NDArray[Any], count: int) -> list[float]:
        self.is_running.set()
        assert self.gate.wait(PATIENCE_S)
        return [float(row) for row in rows[:count, 0]]

    def finish(self, items: Sequence[Picture], outputs: list[float]) -> list[float]:
        for output in outputs:
            if output in self.failures:
                raise self.failures[output]
        return outputs


def idle_engine(
    manifest: Manifest,
    pipeline: MeanPipeline | None = None,
    *,
    max_batch_size: int = 4,
    max_queue_items: int = 64,
) -> MeanEngine:
    """Return an engine with one worker that is not started."""
    observer = Metrics(CollectorRegistry()).engine_observer(manifest.name, manifest.version)
    size = EngineSize(1, max_batch_size, max_queue_items, 2**20)
    return MeanEngine(manifest, pipeline or MeanPipeline(), size, observer)


@contextmanager
def engine_of(pipeline: MeanPipeline, *, max_batch_size: int = 4, max_queue_items: int = 64) -> Iterator[MeanEngine]:
    """Run an engine with one worker."""
    engine = idle_engine(manifest_of(), pipeline, max_batch_size=max_batch_size, max_queue_items=max_queue_items)
    engine.start()
    try:
        yield engine
    finally:
        pipeline.gate.set()
        assert engine.close(PATIENCE_S)
