"""The status that a service gave a stream on an event loop, where gRPC would put its own in its place.

Where a service ends a stream while the client is writing, the write fails, and grpc.aio then reports INTERNAL "Internal
error from Core" whatever the service said, draining and overload included: https://github.com/grpc/grpc/issues/36066.
The call tells of each status as it is set, so the service's can be kept.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import grpc
import grpc.aio

_MASK = "Internal error from Core"
_PATIENCE_S = 1.0  # the service's status is there already or comes with the next events; gRPC may have none


class FinalStatus:
    """Keeps the service's status of one call.

    Args:
        call: a call of grpc.aio, under way.
    """

    def __init__(self, call: Any) -> None:
        self._error: grpc.RpcError | None = None
        self._is_known = asyncio.Event()
        call.add_done_callback(self._keep)

    async def of(self, error: grpc.RpcError) -> grpc.RpcError | None:
        """Return the failure that a reader's exception stands for; None where the service ended the stream well."""
        if not isinstance(error, grpc.aio.AioRpcError) or error.details() != _MASK:
            return error
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._is_known.wait()
        except TimeoutError:
            return error
        return self._error

    def _keep(self, call: Any) -> None:
        code, details = _at_once(call.code()), _at_once(call.details())
        if self._is_known.is_set() or details == _MASK:
            return
        if code is not grpc.StatusCode.OK:
            trailing: Any = _at_once(call.trailing_metadata())
            self._error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details)
        self._is_known.set()


def _at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that has nothing to wait for, as those of a call that is over."""
    try:
        coroutine.send(None)
    except StopIteration as result:
        return result.value
    coroutine.close()
    return None
