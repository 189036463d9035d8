"""The models of one service: which are known, which are ready, and the engine of each."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import structlog

from retinue.runtime.engine import Engine
from retinue.runtime.errors import BackendFailed, InvalidInput, ModelNotFound, ModelNotReady, PackageInvalid
from retinue.runtime.package import Package
from retinue.runtime.repository import Repository

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_log = structlog.get_logger(__name__)


class ModelState(StrEnum):
    """Where a model is on its way."""

    LOADING = "loading"
    READY = "ready"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model and version as the outside may see it; ``reason`` says why it is broken."""

    name: str
    version: str
    state: ModelState
    reason: str = ""


class Models(Generic[Item, Answer]):
    """Engines by name and version.

    Args:
        repository: what was found on disk.
        task: only packages of this task belong here; others are passed over.
        selection: ``name`` or ``name@version`` of what to load; everything where it is empty.
        default_name: the model that answers where a request names none; where it is not loaded and only one model is,
            that one answers.
    """

    def __init__(
        self, repository: Repository, *, task: str, selection: Sequence[str] = (), default_name: str = ""
    ) -> None:
        packages = [package for package in repository.packages() if package.manifest.task == task]
        self._packages = [package for package in packages if _is_selected(package, selection)]
        self._default_name = default_name
        names = sorted({package.name for package in self._packages})
        self._names = ", ".join(names) or "none"
        self._unnamed = default_name if default_name in names else names[0] if len(names) == 1 else ""
        self._engines: dict[tuple[str, str], Engine[Item, Answer]] = {}
        self._latest: dict[str, Engine[Item, Answer]] = {}
        self._statuses = {
            (broken.name, broken.version): ModelStatus(broken.name, broken.version, ModelState.BROKEN, broken.problem)
            for broken in repository.broken
        }
        for status in self._statuses.values():
            _log.error("package_broken", model=status.name, version=status.version, problem=status.reason)
        for package in self._packages:
            self._set(package, ModelState.LOADING)
        self._lock = threading.Lock()

    def load(self, build: Callable[[Package], Engine[Item, Answer]]) -> None:
        """Verify, build and warm every selected package, the default model first; a broken one is reported and skipped.

        Raises:
            ProviderMissing: the backend lacks what was required; no model could be served.
        """
        for package in sorted(self._packages, key=lambda package: package.name != self._default_name):
            try:
                package.verify()
                engine = build(package)
                engine.start()
            except (PackageInvalid, BackendFailed) as error:
                self._set(package, ModelState.BROKEN, error.message)
                _log.error("model_broken", model=package.name, version=package.version, problem=error.message)
                continue
            with self._lock:
                self._engines[package.name, package.version] = engine
                self._latest[package.name] = engine  # a model's versions are loaded from the oldest on
            self._set(package, ModelState.READY)

    def get(self, name: str, version: str = "") -> Engine[Item, Answer]:
        """Return the engine of a model; the default model where ``name`` is empty, its latest version likewise.

        Raises:
            InvalidInput: no name is given and there is no default.
            ModelNotFound: no such model or version.
            ModelNotReady: it is known, but still loading or broken.
        """
        name = name or self._unnamed
        if not name:
            problem = f"required, since there is no default model; known models: {self._names}"
            raise InvalidInput("model.name", problem)
        engine = self._engines.get((name, version)) if version else self._latest.get(name)
        if engine is not None:
            return engine
        asked = f"{name}@{version}" if version else name
        known = [
            status
            for (its_name, its_version), status in self._statuses.items()
            if its_name == name and version in ("", its_version)
        ]
        if known:
            state = (
                ModelState.LOADING if any(status.state is ModelState.LOADING for status in known) else ModelState.BROKEN
            )
            raise ModelNotReady(f"model {asked} is {state}", model=name, version=version)
        raise ModelNotFound(f"no model {asked}; known models: {self._names}", model=name, version=version)

    def engines(self) -> list[Engine[Item, Answer]]:
        """Return the engines that are ready."""
        with self._lock:
            return list(self._engines.values())

    def statuses(self) -> list[ModelStatus]:
        """Return every known model and version with its state."""
        return list(self._statuses.values())

    @property
    def is_ready(self) -> bool:
        """Whether loading has ended and at least one model can answer."""
        return bool(self._engines) and not any(status.state is ModelState.LOADING for status in self.statuses())

    def close(self, timeout_s: float | None = None) -> None:
        """End all engines after what waits in them is answered, or ``timeout_s`` has passed for all together."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        for engine in self.engines():
            engine.close(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))

    def _set(self, package: Package, state: ModelState, reason: str = "") -> None:
        self._statuses[package.name, package.version] = ModelStatus(package.name, package.version, state, reason)


def _is_selected(package: Package, selection: Sequence[str]) -> bool:
    return not selection or bool({package.name, f"{package.name}@{package.version}"} & set(selection))
