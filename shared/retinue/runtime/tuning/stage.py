"""Engines of one model in any setup, for a rehearsal: loaded graphs are kept, since many setups share them."""

from collections.abc import Hashable, Sequence
from pathlib import Path

from retinue.runtime.backend import LoadGraph
from retinue.runtime.batch_sizes import warmed_sizes
from retinue.runtime.engine import Engine
from retinue.runtime.engine_size import EngineSize
from retinue.runtime.execution import Execution
from retinue.runtime.load_graph import load_graph
from retinue.runtime.package import Package
from retinue.runtime.picture import Picture
from retinue.runtime.setup import Setup
from retinue.runtime.timings import Timings
from retinue.runtime.tuning.drive import drive
from retinue.runtime.tuning.rehearsal import Rehearsal
from retinue.runtime.tuning_file import Figures

_KEPT = 6  # loaded models
_QUEUE_BYTES = 1 << 40
_MOST_BATCH = 64  # a graph is compiled for a size when that is first run


class Stage:
    """Where setups of one model are measured.

    Args:
        package: the model.
        pictures: what is asked about, at least one.
        cache: a folder for what runtimes compile.
        max_batch_pixels: of a service; it bounds batches here as there.
    """

    def __init__(
        self, package: Package, pictures: Sequence[Picture], *, cache: Path, max_batch_pixels: int = 8 * 2**20
    ) -> None:
        self._package = package
        self._pictures = pictures
        self._cache = cache
        self._max_batch_pixels = max_batch_pixels
        self._loaded: dict[Hashable, Rehearsal] = {}
        self._warmed: set[tuple[Hashable, Hashable, int]] = set()

    def measure(self, setup: Setup, in_flight: int, seconds: float) -> Figures:
        """Return what a setup does with so many callers in about so many seconds.

        Raises:
            RetinueError: it cannot be loaded, or does not run.
        """
        rehearsal = self._rehearsal(setup)
        size = EngineSize(
            workers=setup.workers,
            max_batch_size=setup.max_batch_size,
            max_queue_items=1 << 20,
            max_queue_bytes=_QUEUE_BYTES,
            max_batch_pixels=self._max_batch_pixels,
            max_delay_s=setup.max_delay_ms / 1e3,
        )
        engine: Engine[Picture, None] = Engine(self._package.manifest, rehearsal, size, _Nobody())
        engine.start()
        try:
            return drive(engine, self._pictures, in_flight=in_flight, seconds=seconds)
        finally:
            engine.close()

    def _rehearsal(self, setup: Setup) -> Rehearsal:
        """Return the model loaded as a setup has it, ready for batches of its size."""
        key = (setup.providers, setup.workers, setup.threads, setup.is_session_shared)
        rehearsal = self._loaded.pop(key, None)
        if rehearsal is None:
            rehearsal = Rehearsal(self._package, self._load(setup))
            self._warmed = {one for one in self._warmed if one[0] != key}
        self._loaded[key] = rehearsal
        if len(self._loaded) > _KEPT:
            del self._loaded[next(iter(self._loaded))]
        self._warm(key, rehearsal, setup)
        return rehearsal

    def _load(self, setup: Setup) -> LoadGraph:
        execution = Execution(
            providers=setup.providers,
            workers=setup.workers,
            threads=setup.threads,
            is_session_shared=setup.is_session_shared,
            max_batch_size=_MOST_BATCH,
            precision=self._package.manifest.precision,
            cache=self._cache,
        )
        return lambda file_name: load_graph(self._package.path(file_name), execution)

    def _warm(self, key: Hashable, rehearsal: Rehearsal, setup: Setup) -> None:
        """Run what is compiled for each size of a batch once at each; on ONNX Runtime's CPU one picture is enough."""
        sizes = (1,) if rehearsal.provider == "cpu" else warmed_sizes(setup.max_batch_size)
        for bucket in dict.fromkeys(rehearsal.bucket(picture) for picture in self._pictures):
            for size in sizes:
                if (key, bucket, size) not in self._warmed:
                    rehearsal.run(rehearsal.allocate(bucket, size), size)
                    self._warmed.add((key, bucket, size))


class _Nobody:
    """An observer that does not listen."""

    def on_batch(self, batch_size: int, infer_s: float) -> None: ...

    def on_answer(self, timings: Timings) -> None: ...

    def on_failure(self) -> None: ...

    def on_drop(self, reason: str) -> None: ...
