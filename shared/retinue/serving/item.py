"""One item of a batch or stream under way: its ticket, or why it was refused; an item's failure stays its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog
from google.rpc.status_pb2 import Status

from retinue.runtime.errors import Cancelled, DeadlineExceeded, RetinueError
from retinue.serving.call import Call
from retinue.serving.status import failure_of

_log = structlog.get_logger(__name__)


class Waiting(Protocol):
    """Something that is settled at some time, such as a ticket."""

    def wait_error(self) -> BaseException | None:
        """Return, as soon as it is settled, why there is no answer; None where there is one."""


Pending = TypeVar("Pending", bound=Waiting)


@dataclass(frozen=True, slots=True)
class Begun(Generic[Pending]):
    """An item that is on its way, or was refused before it was."""

    image_id: str
    ticket: Pending | None
    refusal: RetinueError | None

    @classmethod
    def of(cls, image_id: str, submit: Callable[[], Pending]) -> "Begun[Pending]":
        """Return the item that ``submit`` puts on its way, or its refusal."""
        try:
            return cls(image_id, submit(), None)
        except RetinueError as error:
            # The frames that it came through hold the engine, and a stream that is silent would hold it with them.
            cause: BaseException | None = error
            while cause is not None:
                cause.__traceback__, cause = None, cause.__cause__ or cause.__context__
            return cls(image_id, None, error)

    def wait_failure(self, call: Call) -> Status | None:
        """Return, as soon as it is settled, why this item has no answer; None where its ticket holds one.

        Raises:
            Cancelled: the whole call is void.
            DeadlineExceeded: likewise.
        """
        error = self.ticket.wait_error() if self.ticket is not None else self.refusal
        if error is None:
            return None
        if isinstance(error, (Cancelled, DeadlineExceeded)):
            raise error
        failure = failure_of(error, call.request_id)
        call.facts["failed_items"] = call.facts.get("failed_items", 0) + 1
        if failure.is_ours:
            _log.error("item_failed", method=call.method, request_id=call.request_id, exc_info=error)
        return failure.status
