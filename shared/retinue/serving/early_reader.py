"""The message of a unary call read before a thread takes the call: two switches between threads fewer for each.

gRPC wakes a handler thread as soon as a call begins; the thread asks for the message, sleeps, and is woken again. With
a small message, which came with the call, that costs as much as what is done with it. Here gRPC's polling thread asks
for the message, and a thread is woken when it is there. A call whose message does not come holds no thread.
"""

import inspect
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from grpc import _server
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # has no stubs

from retinue.serving.pool import HandlerPool

_TASK: Final = (
    "rpc_event",
    "state",
    "behavior",
    "argument_thunk",
    "request_deserializer",
    "response_serializer",
)


class EarlyReader(ThreadPoolExecutor):
    """Stands before the handler threads; a behaviour of one message names it as its `experimental_thread_pool`.

    It does what gRPC's own handlers do, in another thread, and for that uses what no public interface of gRPC gives.
    Where `is_possible` does not find that as it should be, calls are to go to the pool as ever.

    Args:
        pool: the handler threads. A call counts as under way there from its beginning.
    """

    def __init__(self, pool: HandlerPool) -> None:
        super().__init__(1)  # which is never started
        self._pool = pool

    @staticmethod
    def is_possible() -> bool:
        """Return whether the inside of this version of gRPC is the one that is known here."""
        begins = {"_unary_response_in_pool": _TASK, "_receive_message": ("state", "call", "request_deserializer")}
        functions = {name: getattr(_server, name, None) for name in begins}
        return hasattr(_server, "_RECEIVE_MESSAGE_TOKEN") and all(
            inspect.isfunction(function) and tuple(inspect.signature(function).parameters) == begins[name]
            for name, function in functions.items()
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Ask for the message of a call, and have the call handled when it is there."""
        if len(args) != 1 + len(_TASK) or kwargs:
            return self._pool.submit(fn, *args, **kwargs)
        respond, event, state, behaviour, wait_for_message, deserialise, serialise = args
        receive = _server._receive_message(state, event.call, deserialise)  # noqa: SLF001 - see the class

        def received(message_event: Any) -> Any:
            """Hand the call on; in the polling thread, as every event of it."""
            settled = receive(message_event)
            request, state.request = state.request, None
            # Without a message, gRPC's own way to wait for it finds out why, and says so to the caller.
            take = wait_for_message if request is None else lambda: request
            self._pool.submit_held(fn, respond, event, state, behaviour, take, deserialise, serialise)
            return settled

        self._pool.hold()
        with state.condition:
            event.call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), received)
            state.due.add(_server._RECEIVE_MESSAGE_TOKEN)  # noqa: SLF001
        begun: Future[Any] = Future()
        begun.set_result(None)
        return begun
