"""The seat of a worker process: what its supervisor tells it, and what it tells its supervisor."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from prometheus_client import CollectorRegistry

from retinue.runtime.errors import LoadFailed, ModelNotFound, ModelNotReady, RetinueError
from retinue.serving.link import Link, LinkEnded
from retinue.serving.merged_metrics import snapshot
from retinue.serving.model_keeper import Change, ModelKeeper
from retinue.serving.settings import HostSettings

_CONDITIONS: dict[str, type[RetinueError]] = {one.__name__: one for one in (LoadFailed, ModelNotFound)}


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker process begins with.

    Args:
        number: which of the workers it is, from 0.
        settings: of the service.
        grpc_port: the port that it shares with the others.
        is_replacement: whether it takes the place of one that has ended; others serve while it loads, so it listens
            only then.
        changes: what calls have changed since the service began: the last change of each model, by name.
    """

    number: int
    settings: HostSettings
    grpc_port: int
    is_replacement: bool
    changes: dict[str, Change]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on its way from one process to another."""

    kind: str
    message: str
    metadata: dict[str, str]

    @classmethod
    def of(cls, error: RetinueError) -> "Condition":
        """Return what is sent."""
        return cls(type(error).__name__, error.message, error.metadata)

    @property
    def error(self) -> RetinueError:
        """What is raised at the other end."""
        return _CONDITIONS.get(self.kind, ModelNotReady)(self.message, **self.metadata)


class Seat:
    """Where a worker process sits.

    Args:
        connection: to its supervisor, who says first how to begin.
    """

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self.start: Start = connection.recv()
        self._may_serve = threading.Event()
        self._registry: CollectorRegistry | None = None
        self._keeper: ModelKeeper | None = None
        self._link = Link(connection, self._hear)

    def take(self, registry: CollectorRegistry, keeper: ModelKeeper | None, on_end: Callable[[], object]) -> None:
        """Begin to hear the supervisor.

        Args:
            registry: the metrics of this process.
            keeper: of its models; None where there are none to keep.
            on_end: called when the supervisor is gone.
        """
        self._registry, self._keeper = registry, keeper
        if keeper is not None:
            keeper.begin_with(self.start.changes)
            keeper.route(self._change_everywhere)
        self._link.start(on_end)

    def wait_to_serve(self, names: Sequence[str]) -> None:
        """Say that this process is loaded, and with what, and wait until all are."""
        self._link.tell("loaded", list(names))
        self._may_serve.wait()

    def tell_readiness(self, *, is_ready: bool) -> None:
        """Say whether this process can answer."""
        self._link.tell("ready", is_ready)

    def _change_everywhere(self, change: Change, name: str) -> None:
        """Have all worker processes load or unload a model, this one among them.

        Raises:
            ModelNotFound: there is none of that name.
            LoadFailed: one of them could not load it.
            LinkFailed: one of them met with a fault of ours; its log says which.
            ModelNotReady: nobody is there to have it done.
        """
        try:
            condition: Condition | None = self._link.ask("change", (change, name))
        except LinkEnded as error:
            raise ModelNotReady("the server is stopping", model=name, version="") from error
        if condition is not None:
            raise condition.error

    def _hear(self, what: str, content: Any) -> Any:
        if what == "metrics" and self._registry is not None:
            return snapshot(self._registry)
        if what == "serve":
            self._may_serve.set()
        if what == "refresh" and self._keeper is not None:
            self._keeper.ask_refresh()
        if what == "change" and self._keeper is not None:
            try:
                self._keeper.apply(*content)
            except RetinueError as error:
                return Condition.of(error)
        return None
