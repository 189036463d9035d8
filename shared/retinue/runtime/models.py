"""The models of one service: which are known, which are ready, and the engine of each."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Generic, TypeVar

import structlog

from retinue.runtime.engine import Engine
from retinue.runtime.errors import BackendFailed, InvalidInput, ModelNotFound, ModelNotReady, PackageInvalid
from retinue.runtime.memory import return_free_memory
from retinue.runtime.package import Package
from retinue.runtime.repository import BrokenPackage, Origin, Repository, version_key
from retinue.runtime.retirement import Retirement
from retinue.runtime.selection import Selection

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Key = tuple[str, str]
_log = structlog.get_logger(__name__)


class ModelState(StrEnum):
    """Where a model is on its way."""

    LOADING = "loading"
    READY = "ready"
    BROKEN = "broken"
    UNLOADED = "unloaded"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model and version as the outside may see it.

    ``reason`` says why it is not ready or, of one that is, why what now lies on disk could not take its place.
    """

    name: str
    version: str
    state: ModelState
    reason: str = ""


class Models(Generic[Item, Answer]):
    """Engines by name and version.

    `get` may be called by anyone at any time. What changes the models, `load`, `update` and `unload`, is for one thread
    at a time.

    Args:
        repository: what was found on disk.
        task: only packages of this task belong here; others are passed over.
        selection: ``name`` or ``name@version`` of what to load; everything where it is empty.
        default_name: the model that answers where a request names none; where it is not known and only one model is,
            that one answers.
        max_versions: how many versions of a model are served at once, the latest good ones; None for all.
        on_load: told name and version of every package that was loaded, or could not be, and whether it was.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        task: str,
        selection: Sequence[str] = (),
        default_name: str = "",
        max_versions: int | None = None,
        on_load: Callable[[str, str, bool], object] = lambda *_: None,
    ) -> None:
        self.selection = Selection(selection)
        self._repository = repository
        self._task = task
        self._default_name = default_name
        self._max_versions = max_versions
        self._on_load = on_load
        self._names, self._unnamed = "none", ""
        self._engines: dict[Key, Engine[Item, Answer]] = {}
        self._latest: dict[str, Engine[Item, Answer]] = {}
        self._origins: dict[Key, Origin] = {}  # of what each engine was made of
        self._statuses: dict[Key, ModelStatus] = {}
        self._retirement = Retirement()
        self._has_loaded = False
        self._lock = threading.Lock()
        self._survey(repository)

    def load(self, build: Callable[[Package], Engine[Item, Answer]]) -> None:
        """Verify, build and warm every selected package, the default model first; a broken one is reported and skipped.

        Raises:
            ProviderMissing: the backend lacks what was required; no model could be served.
        """
        self.update(self._repository, build)
        self._has_loaded = True

    def update(self, repository: Repository, build: Callable[[Package], Engine[Item, Answer]], name: str = "") -> None:
        """Bring what is served in line with the repositories; calls find an engine at every moment.

        What is new or has another manifest is verified, built and warmed before it takes the place of anything; what
        fails on the way replaces nothing. What is gone is let go of, and closed when nobody uses it any more.

        Args:
            repository: what is on disk now.
            build: makes an engine of a package.
            name: the one model to look at; all where it is empty.

        Raises:
            ProviderMissing: the backend lacks what was required.
        """
        for its_name, versions in groupby(self._survey(repository, name), key=lambda package: package.name):
            served = 0
            for package in versions:  # the latest first
                if self.selection.is_put_aside(its_name):
                    self._drop(_key(package))
                elif served == self._max_versions:
                    self._drop(_key(package), "there are later versions, and models.max_versions of them are served")
                else:
                    served += self._bring(package, build)

    def unload(self, name: str) -> None:
        """Let go of all versions of a model, and keep it so until its selection changes.

        Raises:
            ModelNotFound: there is no such model.
        """
        mine = [key for key in self._statuses if key[0] == name]
        if not mine:
            raise ModelNotFound(f"no model {name}; known models: {self._names}", model=name, version="")
        self.selection.put_aside(name)
        for key in mine:
            if key in self._engines or self._statuses[key].state is not ModelState.BROKEN:
                self._drop(key)

    def has(self, repository: Repository, name: str) -> bool:
        """Return whether a repository holds a model of that name which belongs here, or might if it were not broken."""
        return any(
            package.name == name and package.manifest.task == self._task for package in repository.packages()
        ) or any(broken.name == name and broken.version for broken in repository.broken)

    def get(self, name: str, version: str = "") -> Engine[Item, Answer]:
        """Return the engine of a model; the default model where ``name`` is empty, its latest version likewise.

        It answers for as long as it is held, whatever happens to the model.

        Raises:
            InvalidInput: no name is given and there is no default.
            ModelNotFound: no such model or version.
            ModelNotReady: it is known, but still loading, broken or unloaded.
        """
        name = name or self._unnamed
        if not name:
            problem = f"required, since there is no default model; known models: {self._names}"
            raise InvalidInput("model.name", problem)
        engine = self._engines.get((name, version)) if version else self._latest.get(name)
        if engine is not None:
            return engine
        asked = f"{name}@{version}" if version else name
        states = {status.state for status in self.statuses() if status.name == name and version in ("", status.version)}
        for state in (ModelState.LOADING, ModelState.READY, ModelState.BROKEN, ModelState.UNLOADED):
            if state in states:
                told = ModelState.LOADING if state is ModelState.READY else state  # it became so just now
                raise ModelNotReady(f"model {asked} is {told}", model=name, version=version)
        raise ModelNotFound(f"no model {asked}; known models: {self._names}", model=name, version=version)

    def engines(self) -> list[Engine[Item, Answer]]:
        """Return the engines that are ready."""
        with self._lock:
            return list(self._engines.values())

    def statuses(self) -> list[ModelStatus]:
        """Return every known model and version with its state, by name, earlier versions first."""
        return sorted(self._statuses.copy().values(), key=lambda status: (status.name, version_key(status.version)))

    @property
    def is_ready(self) -> bool:
        """Whether the first loading has ended and at least one model can answer."""
        return self._has_loaded and bool(self._engines)

    @property
    def draining_count(self) -> int:
        """How many engines were replaced or unloaded and are still in use."""
        return len(self._retirement)

    def close(self, timeout_s: float | None = None) -> None:
        """End all engines after what waits in them is answered, or ``timeout_s`` has passed for all together."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        for engine in self.engines():
            engine.close(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
        self._retirement.close(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))

    def _survey(self, repository: Repository, name: str = "") -> list[Package]:
        """Take note of what is on disk and return the packages that belong here, by model, the latest first."""
        here = [
            package
            for package in repository.packages()
            if package.manifest.task == self._task and self.selection.is_known(package) and name in ("", package.name)
        ]
        found = {_key(package) for package in here}
        broken = {
            (one.name, one.version): one
            for one in repository.broken
            if name in ("", one.name) and (one.name, one.version) not in found
        }
        for key in [key for key in self._statuses if name in ("", key[0]) and key not in found and key not in broken]:
            self._lose(key)
        for key, one in broken.items():
            self._note_broken(key, one)
        for key in found:
            if key not in self._statuses:
                self._set(key, ModelState.LOADING)
        good = {status.name for status in self.statuses() if status.state is not ModelState.BROKEN}
        names = sorted(good.union(key[0] for key in found))
        self._names = ", ".join(names) or "none"
        self._unnamed = self._default_name if self._default_name in names else names[0] if len(names) == 1 else ""
        here.sort(key=lambda package: version_key(package.version), reverse=True)
        here.sort(key=lambda package: (package.name != self._default_name, package.name))
        return here

    def _lose(self, key: Key) -> None:
        """Forget what is on disk no more; what is served stays where its folder was not seen to be removed."""
        if key in self._engines:
            if not self._origins[key].is_removed:
                return
            self._drop(key)
        del self._statuses[key]

    def _note_broken(self, key: Key, broken: BrokenPackage) -> None:
        told = self._statuses.get(key)
        is_new = told is None or told.reason != broken.problem
        self._set(key, ModelState.READY if key in self._engines else ModelState.BROKEN, broken.problem)
        if is_new:
            _log.error("package_broken", model=key[0], version=key[1], problem=broken.problem)

    def _bring(self, package: Package, build: Callable[[Package], Engine[Item, Answer]]) -> bool:
        """Serve a package, if that is possible; return whether that version of the model is served, by whatever."""
        key = _key(package)
        is_served = key in self._engines
        if is_served and self._origins[key].package.manifest == package.manifest:
            self._set(key, ModelState.READY)
            return True
        if not is_served:
            self._set(key, ModelState.LOADING)
        try:
            problem = self._attempt(package, build)
        except BaseException:
            self._fail(key, "a fault of the service; its log says which")
            raise
        if problem:
            self._fail(key, problem)
            return_free_memory()
            return is_served
        self._set(key, ModelState.READY)
        self._on_load(*key, True)
        return True

    def _attempt(self, package: Package, build: Callable[[Package], Engine[Item, Answer]]) -> str:
        """Verify, build and warm a package and let it answer from now on; return why not, where that fails."""
        try:
            package.verify()
            engine = build(package)
            engine.start()
        except (PackageInvalid, BackendFailed) as error:
            return error.message
        self._put(_key(package), engine, package)
        return ""

    def _fail(self, key: Key, problem: str) -> None:
        """Note that a package could not be loaded; what answers in its place goes on."""
        is_served = key in self._engines
        self._set(key, ModelState.READY if is_served else ModelState.BROKEN, problem)
        self._on_load(*key, False)
        _log.error("model_broken", model=key[0], version=key[1], problem=problem, is_served=is_served)

    def _put(self, key: Key, engine: Engine[Item, Answer], package: Package) -> None:
        """Let an engine answer from now on; the one that did is closed when nobody uses it any more."""
        with self._lock:
            before = self._engines.get(key)
            self._engines[key], self._origins[key] = engine, Origin.of(package)
            self._point(key[0])
        if before is not None:
            self._retirement.add(before)

    def _drop(self, key: Key, reason: str = "") -> None:
        """Let go of an engine, if there is one, and say that the version is unloaded."""
        with self._lock:
            engine = self._engines.pop(key, None)
            self._origins.pop(key, None)
            self._point(key[0])
        self._set(key, ModelState.UNLOADED, reason)
        if engine is not None:
            self._retirement.add(engine)

    def _point(self, name: str) -> None:
        """Let the latest version of a model answer where none is asked for; there is one at every moment."""
        versions = [version for its_name, version in self._engines if its_name == name]
        if versions:
            self._latest[name] = self._engines[name, max(versions, key=version_key)]
        else:
            self._latest.pop(name, None)

    def _set(self, key: Key, state: ModelState, reason: str = "") -> None:
        self._statuses[key] = ModelStatus(*key, state, reason)


def _key(package: Package) -> Key:
    return package.name, package.version
