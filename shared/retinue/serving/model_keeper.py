"""Keeps the models of a service up to date: by signal, by looking at the repositories, by calls of those who may."""

import hmac
import threading
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Final, Literal

import structlog

from retinue.runtime.errors import InvalidInput, NotAllowed, NotSupported, Overloaded, ProviderMissing
from retinue.runtime.model_control import ModelControl
from retinue.serving.settings import ModelSettings

Change = Literal["load", "unload"]
_MOST_CALLS: Final = 4  # that change models or wait to; each holds a thread that others may need
_RETRY_AFTER_S: Final = 1.0
_log = structlog.get_logger(__name__)


class ModelKeeper:
    """Changes models when it is told to, or sees that it should.

    Args:
        control: of the models.
        settings: how often to look at the repositories, and who may call.
    """

    def __init__(self, control: ModelControl[Any, Any], settings: ModelSettings) -> None:
        self._control = control
        self._settings = settings
        self._asked: SimpleQueue[None] = SimpleQueue()
        self._calls = threading.BoundedSemaphore(_MOST_CALLS)
        self._on_change: Callable[[], object] = lambda: None
        self._change: Callable[[Change, str], None] = self.apply

    @property
    def is_open(self) -> bool:
        """Whether models may be loaded and unloaded by calls."""
        return self._settings.is_control_allowed

    @property
    def may_bring_models(self) -> bool:
        """Whether a service that has no model may get one without being told by a signal."""
        return self.is_open or self._settings.poll_interval_s > 0

    def watch(self, on_change: Callable[[], object]) -> None:
        """Have a function called, in whatever thread, when models may have changed."""
        self._on_change = on_change

    def ask_refresh(self, *_: object) -> None:
        """Have the repositories looked at soon; safe to call from a signal handler."""
        self._asked.put(None)

    def run(self) -> None:
        """Look at the repositories whenever that is asked or due; for a thread of its own, which never ends."""
        while True:
            try:
                self._asked.get(timeout=self._settings.poll_interval_s or None)
            except Empty:
                self._attempt(self._control.poll)
            else:
                while not self._asked.empty():  # one look is an answer to all who asked before it
                    self._asked.get()
                _log.info("refresh_asked")
                self._attempt(self._control.refresh)

    def route(self, change_everywhere: Callable[[Change, str], None]) -> None:
        """Have calls change the models of all processes of this service, which end up in the `apply` of each."""
        self._change = change_everywhere

    def begin_with(self, changes: Mapping[str, Change]) -> None:
        """Begin with what calls have changed in other processes of this service, before anything is loaded."""
        for name, change in changes.items():
            self._control.begin_with(name, is_wanted=change == "load")

    def load(self, name: str, authorization: str) -> None:
        """Load a model, or its latest state, for a caller.

        Args:
            name: of the model.
            authorization: what the caller's metadata say under that key.

        Raises:
            NotSupported: nobody may.
            NotAllowed: the caller may not.
            Overloaded: others wait for the same already.
            InvalidInput: no name is given.
            ModelNotFound: there is no such model.
            LoadFailed: it cannot be loaded; what was served before still is.
        """
        self._call("load", name, authorization)

    def unload(self, name: str, authorization: str) -> None:
        """Unload a model for a caller; raises the same, but for `LoadFailed`."""
        self._call("unload", name, authorization)

    def apply(self, change: Change, name: str) -> None:
        """Load or unload a model here; raises what `load` and `unload` do of the model."""
        try:
            if change == "load":
                self._control.load(name)
            else:
                self._control.unload(name)
        finally:
            self._on_change()

    def _call(self, change: Change, name: str, authorization: str) -> None:
        self._check(authorization)
        if not name:
            raise InvalidInput("model_name", "required")
        if not self._calls.acquire(blocking=False):
            raise Overloaded("other changes of models are waiting", retry_after_s=_RETRY_AFTER_S, cause="in_flight")
        try:
            self._change(change, name)
        finally:
            self._calls.release()

    def _check(self, authorization: str) -> None:
        if not self.is_open:
            raise NotSupported("models are loaded as the settings say; models.is_control_allowed is off")
        token = self._settings.control_token.get_secret_value()
        if token and not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise NotAllowed("the metadata must hold the token as 'authorization: Bearer ...'")

    def _attempt(self, change: Callable[[], object]) -> None:
        try:
            change()
        except ProviderMissing as error:
            _log.error("provider_missing", problem=error.message)
        except Exception as error:  # noqa: BLE001 - the edge of a thread, which has to live as long as the service
            _log.error("refresh_failed", exc_info=error)
        self._on_change()
