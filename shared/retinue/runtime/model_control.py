"""Models changed while they are served: loaded, unloaded, and kept in line with what lies in the repositories."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from retinue.runtime.engine import Engine
from retinue.runtime.errors import LoadFailed, ModelNotFound, ProviderMissing
from retinue.runtime.models import Models, ModelState, ModelStatus
from retinue.runtime.package import Package
from retinue.runtime.repository import Repository

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class ModelControl(Generic[Item, Answer]):
    """Changes the models of a service, one change at a time.

    Args:
        models: what is changed.
        look: scans the repositories.
        stamp: what changes when they do; see `retinue.runtime.repository.stamp`.
        build: makes an engine of a package.
    """

    def __init__(
        self,
        models: Models[Item, Answer],
        look: Callable[[], Repository],
        stamp: Callable[[], object],
        build: Callable[[Package], Engine[Item, Answer]],
    ) -> None:
        self._models = models
        self._look = look
        self._stamp = stamp
        self._build = build
        self._change = threading.Lock()
        self._applied = self._seen = stamp()

    def begin_with(self, name: str, *, is_wanted: bool) -> None:
        """Begin with a model that was asked for, or put aside, before anything is loaded."""
        if is_wanted:
            self._models.selection.ask(name)
        else:
            self._models.selection.put_aside(name)

    def start(self) -> None:
        """Load what was found when the service began.

        Raises:
            ProviderMissing: the backend lacks what was required.
        """
        with self._change:
            self._models.load(self._build)

    def refresh(self) -> None:
        """Bring what is served in line with the repositories; what could not be loaded before is tried again.

        Raises:
            ProviderMissing: the backend lacks what was required.
        """
        with self._change:
            self._applied = self._seen = self._stamp()
            self._models.update(self._look(), self._build)

    def poll(self) -> bool:
        """Do so where something has changed and nothing has since the last look; return whether that was so.

        Who copies a package takes a while; what is still changing is left alone.

        Raises:
            ProviderMissing: the backend lacks what was required.
        """
        before, self._seen = self._seen, self._stamp()
        if self._seen == self._applied or self._seen != before:
            return False
        self.refresh()
        return True

    def load(self, name: str) -> None:
        """Serve a model of the repositories from now on, as it lies there now.

        Raises:
            ModelNotFound: there is none of that name, or only versions that the settings leave out.
            LoadFailed: its latest version cannot be served; what was served before still is.
        """
        with self._change:
            repository = self._look()
            if not self._models.has(repository, name):
                raise ModelNotFound(f"no model {name} in the repositories", model=name, version="")
            self._models.selection.ask(name)
            try:
                self._models.update(repository, self._build, name)
            except ProviderMissing as error:
                raise LoadFailed(f"model {name} cannot be loaded: {error.message}", model=name, version="") from error
            latest = self._latest(name)
        if latest is None:
            problem = f"the settings name other versions of model {name} than those in the repositories"
            raise ModelNotFound(problem, model=name, version="")
        if latest.state is not ModelState.READY or latest.reason:
            problem = f"model {name}@{latest.version} cannot be loaded: {latest.reason or latest.state}"
            raise LoadFailed(problem, model=name, version=latest.version)

    def unload(self, name: str) -> None:
        """Serve no version of a model from now on; calls that have begun are answered.

        Raises:
            ModelNotFound: there is none of that name.
        """
        with self._change:
            self._models.unload(name)

    def _latest(self, name: str) -> ModelStatus | None:
        mine = [status for status in self._models.statuses() if status.name == name]
        return mine[-1] if mine else None
