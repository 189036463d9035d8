"""One stream from an event loop: as `stream`, with tasks in place of threads."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

import grpc

from retinue.client.call import Call
from retinue.client.errors import ItemError, call_failed
from retinue.client.final_status import FinalStatus
from retinue.client.stream_order import Answered, Ended, Exhausted, Refused, Sent, StreamOrder

Item = TypeVar("Item")
Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def stream_in_order_async(  # noqa: PLR0913 - all of them make a stream
    method: Any,
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    build: Callable[[Item], Request | ItemError],
    read: Callable[[Any], Answer],
    call: Call,
    stream_timeout_s: float,
    max_in_flight: int,
    opening: Iterable[Request] = (),
) -> AsyncGenerator[Answer | ItemError]:
    """Yield the answer or error of each item, in their order; arguments and errors as `stream_in_order`.

    ``build`` runs in a thread, since it may read a file; an ``items`` that is not asynchronous is taken from in the
    event loop and must not block.
    """
    order = StreamOrder[Answer](call.timeout_s, call.request_id)
    events: asyncio.Queue[Any] = asyncio.Queue()
    window = asyncio.Semaphore(max_in_flight)
    requests = _requests(windowed(items, window), build, events, opening)
    responses = method(requests, timeout=stream_timeout_s, metadata=call.metadata)
    reading = asyncio.create_task(_read(responses, call, events), name="retinue-stream-reader")
    try:
        while not order.is_over:
            try:
                async with asyncio.timeout(order.patience_s(time.monotonic())):
                    event = await events.get()
            except TimeoutError:
                raise order.late() from None
            for result in order.take(event):
                window.release()
                yield result if isinstance(result, ItemError) else read(result)
    finally:
        responses.cancel()
        reading.cancel()


async def _requests(
    items: AsyncIterable[Item],
    build: Callable[[Item], Request | ItemError],
    events: asyncio.Queue[Any],
    opening: Iterable[Request],
) -> AsyncIterator[Request]:
    """Yield what is to be sent, in gRPC's own task; what this raises goes to the caller's, which raises it."""
    for request in opening:
        yield request
    try:
        async for item in items:
            built = await asyncio.to_thread(build, item)
            if isinstance(built, ItemError):
                events.put_nowait(Refused(built))
            else:
                events.put_nowait(Sent(time.monotonic()))
                yield built
    except Exception as error:  # noqa: BLE001 - nothing is swallowed
        events.put_nowait(Exhausted(error))
    else:
        events.put_nowait(Exhausted())


async def _read(responses: Any, call: Call, events: asyncio.Queue[Any]) -> None:
    status = FinalStatus(responses)
    try:
        async for response in responses:
            events.put_nowait(Answered(response, time.monotonic()))
    except grpc.RpcError as error:
        failure = await status.of(error)
        events.put_nowait(Ended(None if failure is None else call_failed(failure, call.request_id)))
    else:
        events.put_nowait(Ended())


async def windowed(items: Iterable[Item] | AsyncIterable[Item], window: asyncio.Semaphore) -> AsyncIterator[Item]:
    """Yield items, taking the next only when the window has room for it."""
    iterator = aiter(asynchronous(items))
    while True:
        await window.acquire()
        try:
            item = await anext(iterator)
        except StopAsyncIteration:
            return
        yield item


async def asynchronous(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    """Yield items, asynchronous or not; the latter are taken from in the event loop and must not block."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
