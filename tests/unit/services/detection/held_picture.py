"""A picture that is decoded only when a test lets it, and an engine to look at it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from retinue.runtime.engine import Engine, EngineSize
from retinue.runtime.picture import PictureInfo
from retinue.serving.metrics import Metrics
from services.detection.detections import DetectionItem, Detections
from services.detection.pipeline import DetectionPipeline

PATIENCE_S = 20  # how long a test waits for what must come; it is never waited out


class HeldPicture:
    """Counts how often it is decoded; each decoding waits for the gate, then fails if it is to.

    Args:
        pixels: what it shows.
        failure: raised by every decoding.
    """

    byte_count = 10

    def __init__(self, pixels: NDArray[np.uint8], failure: Exception | None = None) -> None:
        self._pixels = pixels
        self._failure = failure
        self.info = PictureInfo(pixels.shape[1], pixels.shape[0], 1, is_orientation_applied=False, format=None)
        self.count = 0
        self.is_looked_at = threading.Event()
        self.gate = threading.Event()

    def pixels(self) -> NDArray[np.uint8]:
        self.count += 1
        self.is_looked_at.set()
        assert self.gate.wait(PATIENCE_S)
        if self._failure is not None:
            raise self._failure
        return self._pixels


def idle_engine(
    pipeline: DetectionPipeline, *, workers: int = 1, max_batch_size: int = 4, max_queue_items: int = 64
) -> Engine[DetectionItem, Detections]:
    """Return an engine that is not started."""
    observer = Metrics(CollectorRegistry()).engine_observer("tiny", "1")
    return Engine(pipeline.manifest, pipeline, EngineSize(workers, max_batch_size, max_queue_items, 2**20), observer)


@contextmanager
def running_engine(pipeline: DetectionPipeline, **size: Any) -> Iterator[Engine[DetectionItem, Detections]]:
    """Run an engine until the block is left."""
    engine = idle_engine(pipeline, **size)
    engine.start()
    try:
        yield engine
    finally:
        assert engine.close(PATIENCE_S)
