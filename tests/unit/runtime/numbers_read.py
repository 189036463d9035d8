"""A small real pipeline for the tests of the runtime: an item is a number in one pixel, its answer that number."""

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.errors import BackendFailed, InvalidImage, InvalidInput
from retinue.runtime.manifest_file import write_manifest
from retinue.runtime.timings import Timings

Fault = Literal["", "decode", "prepare", "finish", "decode bug", "run", "finish bug"]
_UNREADABLE, _POISON = 255, 254  # in a pixel's alpha: prepare refuses it, run fails on it


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Written:
    """A number below 2**24, and what goes wrong with it."""

    number: int
    fault: Fault = ""
    bucket: Hashable = None


class NumberPipeline:
    """Reads numbers; each hook is called as its step begins, and may wait or raise."""

    provider = "cpu"

    def __init__(self, on_run: Callable[[list[int]], object] = lambda _: None) -> None:
        self.on_decode: Callable[[], object] = lambda: None
        self.on_prepare: Callable[[], object] = lambda: None
        self.on_run = on_run
        self.on_finish: Callable[[], object] = lambda: None
        self.allocated: list[Hashable] = []
        self.decoded: list[int] = []
        self.runs: list[list[int]] = []

    def warm_up_buckets(self) -> Sequence[Hashable]:
        return ["a", "b"]

    def bucket(self, item: Written) -> Hashable:
        return item.bucket

    def allocate(self, bucket: Hashable, row_count: int) -> NDArray[np.uint8]:
        self.allocated.append(bucket)
        return np.full((row_count, 4), 77, np.uint8)

    def decode(self, item: Written) -> NDArray[np.uint8]:
        self.decoded.append(item.number)
        self.on_decode()
        if item.fault == "decode":
            raise InvalidImage("image", f"{item.number} is no picture")
        if item.fault == "decode bug":
            raise ValueError(f"{item.number} is a surprise")
        mark = {"prepare": _UNREADABLE, "run": _POISON}.get(item.fault, 0)
        return np.array([*item.number.to_bytes(3, "little"), mark], np.uint8).reshape(1, 1, 4)

    def prepare(self, pixels: NDArray[np.uint8], rows: NDArray[Any], index: int) -> None:
        self.on_prepare()
        rows[index] = pixels[0, 0]  # written before it is refused: the row must not be used
        if pixels[0, 0, 3] == _UNREADABLE:
            raise InvalidInput("image", "cannot be resized")

    def run(self, rows: NDArray[Any], count: int) -> list[int]:
        numbers = [int.from_bytes(row[:3].tobytes(), "little") for row in rows[:count]]
        self.runs.append(numbers)
        self.on_run(numbers)
        if _POISON in rows[:count, 3]:
            raise BackendFailed("the graph failed")
        return numbers

    def finish(self, items: Sequence[Written], outputs: list[int]) -> list[int]:
        self.on_finish()
        for item in items:
            if item.fault == "finish":
                raise InvalidInput("options", "do not fit")
            if item.fault == "finish bug":
                raise KeyError(item.number)
        return outputs


class Ledger:
    """An observer that writes everything down."""

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []
        self.answers: list[Timings] = []
        self.failures: list[None] = []
        self.drops: list[str] = []

    def on_batch(self, batch_size: int, infer_s: float) -> None:  # noqa: ARG002 - the protocol's signature
        self.batch_sizes.append(batch_size)

    def on_answer(self, timings: Timings) -> None:
        self.answers.append(timings)

    def on_failure(self) -> None:
        self.failures.append(None)

    def on_drop(self, reason: str) -> None:
        self.drops.append(reason)

    @property
    def item_count(self) -> int:
        """How many items have come to an end."""
        return len(self.answers) + len(self.failures) + len(self.drops)


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def manifest_of(name: str = "digits", version: str = "1", **changes: Any) -> ClassificationManifest:
    """Return a small valid manifest; ``changes`` replace its keys, None removes one."""
    content = {
        "manifest_version": 1,
        "name": name,
        "version": version,
        "task": "classification",
        "family": "logits",
        "labels": ["no", "yes"],
        "input": {"height": 2, "width": 2, "fit": "stretch"},
        "files": {"model.onnx": "0" * 64},
        "provenance": {"source": "a test"},
        "licence": "CC0-1.0",
        **changes,
    }
    return ClassificationManifest.model_validate({key: value for key, value in content.items() if value is not None})


def write_package(root: Path, name: str, version: str, *, graph: bytes = b"graph", **changes: Any) -> Path:
    """Write a valid package under a root and return its folder; its graph is whatever bytes are given."""
    folder = root / name / version
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(graph)
    files = {"model.onnx": hashlib.sha256(graph).hexdigest()}
    write_manifest(manifest_of(name, version, **({"files": files} | changes)), folder)
    return folder
