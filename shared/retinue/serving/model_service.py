"""A service of models: its packages are found, loaded, verified and warmed before it is ready."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import grpc
import structlog

from retinue.runtime.backend import Backend, LoadGraph
from retinue.runtime.caller import Priority
from retinue.runtime.cores import available_cores
from retinue.runtime.engine import Engine, EngineSize
from retinue.runtime.errors import ProviderMissing
from retinue.runtime.execution import Execution
from retinue.runtime.load_graph import load_graph
from retinue.runtime.model_control import ModelControl
from retinue.runtime.models import Models
from retinue.runtime.package import Package, cache_name
from retinue.runtime.pipeline import Pipeline
from retinue.runtime.repository import scan, stamp
from retinue.serving.metrics import Load, Metrics
from retinue.serving.model_keeper import ModelKeeper
from retinue.serving.settings import ServiceSettings
from retinue.serving.tensor_model import TensorModels
from retinue.serving.tuning import Tuning

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Settings = TypeVar("Settings", bound=ServiceSettings)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ModelService(Generic[Item, Answer, Settings]):
    """What a service of models brings to its host.

    Args:
        task: which packages are its own.
        full_name: full name of its gRPC service.
        embedded_root: the repository that ships with it.
        default_model: which of those answers where a request and the settings name none.
        build: makes a pipeline of a package, with what loads its graphs.
        add_to_server: adds the servicer to a server.
        tensor_models: its models as the Open Inference Protocol sees them.
        asking_methods: its unary methods that ask a model, by name; under overload they are refused at the door.
    """

    task: str
    full_name: str
    embedded_root: Path
    default_model: str
    build: Callable[[Package, LoadGraph], Pipeline[Item, Answer]]
    add_to_server: Callable[[grpc.Server, Models[Item, Answer], Metrics, Settings], None]
    tensor_models: Callable[[Models[Item, Answer], ServiceSettings], TensorModels]
    asking_methods: tuple[str, ...] = ()

    def work(self, settings: Settings, metrics: Metrics) -> "ModelWork[Item, Answer, Settings]":
        """Return its models, found and not loaded.

        Raises:
            ModelNotFound: the settings name a model that is in no repository.
        """
        return ModelWork(self, settings, metrics)


class ModelWork(Generic[Item, Answer, Settings]):
    """The models behind a service.

    Args:
        service: what is served.
        settings: how.
        metrics: what their engines report to.

    Raises:
        ModelNotFound: the settings name a model that is in no repository.
    """

    def __init__(self, service: ModelService[Item, Answer, Settings], settings: Settings, metrics: Metrics) -> None:
        self._service = service
        self._settings = settings
        self._metrics = metrics
        self._tuning = Tuning(settings.engine.tuning)
        chosen = settings.models
        roots = (*chosen.roots, *((service.embedded_root,) if chosen.is_embedded_served else ()))
        repository = scan(roots)
        for named in filter(None, (*chosen.load, chosen.default)):
            repository.find(*named.split("@", 1))
        self._models: Models[Item, Answer] = Models(
            repository,
            task=service.task,
            selection=chosen.load,
            default_name=chosen.default or service.default_model,
            max_versions=chosen.max_versions,
            on_load=metrics.on_model_load,
        )
        metrics.observe_models(self._models.statuses, lambda: self._models.draining_count)
        self._control = ModelControl(self._models, lambda: scan(roots), lambda: stamp(roots), self._build)
        self.keeper = ModelKeeper(self._control, chosen)
        self.tensor_models = service.tensor_models(self._models, settings)

    @property
    def is_ready(self) -> bool:
        """Whether there is a model that can answer."""
        return self._models.is_ready

    @property
    def names(self) -> Sequence[str]:
        """The models that can answer."""
        manifests = [engine.manifest for engine in self._models.engines()]
        return sorted(f"{manifest.name}@{manifest.version}" for manifest in manifests)

    def add_to_server(self, server: grpc.Server) -> None:
        """Add the service's servicer to a server."""
        self._service.add_to_server(server, self._models, self._metrics, self._settings)

    def load(self) -> bool:
        """Load the models; a broken one is logged, and so is that there is no good one.

        Returns:
            Whether there is a good one, or one may come.
        """
        try:
            self._control.start()
        except ProviderMissing as error:
            _log.error("provider_missing", problem=error.message)
            return False
        if not self.is_ready:
            _log.error("no_model_loaded", roots=[str(root) for root in self._settings.models.roots])
        return self.is_ready or self.keeper.may_bring_models

    def loads(self) -> Sequence[Load]:
        """Return what waits for each model at this instant."""
        return [
            Load(engine.manifest.name, engine.manifest.version, engine.pipeline.provider, engine.queue_length)
            for engine in self._models.engines()
        ]

    def late_s(self, patience_s: float, priority: Priority) -> float:
        """Return how much too late a call would be answered whatever model it asks, 0 or less if in time."""
        return min((engine.late_s(patience_s, priority) for engine in self._models.engines()), default=0.0)

    def close(self, *, timeout_s: float) -> None:
        """End the workers."""
        self._models.close(timeout_s=timeout_s)

    def _build(self, package: Package) -> Engine[Item, Answer]:
        engine = self._tuning.settings_for(package, self._settings.engine)
        workers = engine.workers or max(1, available_cores() // engine.threads // self._settings.workers)
        execution = Execution(
            providers=engine.providers,
            is_fallback_allowed=engine.is_fallback_allowed,
            workers=workers,
            threads=engine.threads,
            is_session_shared=engine.is_session_shared,
            max_batch_size=engine.max_batch_size,
            precision=package.manifest.precision,
            cache=None if engine.cache is None else engine.cache / cache_name(package),
            is_capture_allowed=engine.is_capture_allowed,
        )

        def load(file_name: str) -> Backend:
            return load_graph(package.path(file_name), execution)

        size = EngineSize(
            workers=workers,
            max_batch_size=engine.max_batch_size,
            max_queue_items=engine.max_queue_count,
            max_queue_bytes=engine.max_queue_bytes,
            max_batch_pixels=engine.max_batch_pixels,
            max_delay_s=engine.max_delay_ms / 1e3,
        )
        observer = self._metrics.engine_observer(package.name, package.version)
        return Engine(package.manifest, self._service.build(package, load), size, observer)
