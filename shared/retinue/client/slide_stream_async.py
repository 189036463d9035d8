"""One slide from an event loop: as `slide_stream`, with tasks in place of threads."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any

import grpc

from retinue.client.call import Call
from retinue.client.errors import call_failed
from retinue.client.final_status import FinalStatus
from retinue.client.slide_answer import SlideEvent, read_slide_event
from retinue.client.slide_order import Asked, SlideOrder
from retinue.client.slide_request import SlidePlan, SlideTile
from retinue.client.slide_stream import READ_AHEAD
from retinue.client.stream_async import asynchronous, windowed
from retinue.client.stream_order import Answered, Ended, Exhausted, Sent
from retinue.segmentation.v1 import segmentation_pb2


async def stream_slide_async(
    method: Any, tiles: Iterable[SlideTile] | AsyncIterable[SlideTile], plan: SlidePlan, *, stream_timeout_s: float
) -> AsyncGenerator[SlideEvent]:
    """Yield what comes back, in the order of coming; arguments and errors as `stream_slide`.

    Messages are made in threads; a ``tiles`` that is not asynchronous is taken from in the event loop and must not
    block.
    """
    order = SlideOrder(plan.call.timeout_s, plan.call.request_id, time.monotonic())
    events: asyncio.Queue[Any] = asyncio.Queue()
    room = asyncio.Semaphore(READ_AHEAD)
    responses = method(_requests(tiles, plan, events), timeout=stream_timeout_s, metadata=plan.call.metadata)
    reading = asyncio.create_task(_read(responses, room, plan.call, events), name="retinue-slide-reader")
    try:
        while not order.is_over:
            try:
                async with asyncio.timeout(order.patience_s(time.monotonic())):
                    event = await events.get()
            except TimeoutError:
                raise order.late() from None
            answer = order.take(event)
            if answer is not None:
                yield answer
                order.resume(time.monotonic())
            if isinstance(event, Answered):
                room.release()
    finally:
        responses.cancel()
        reading.cancel()


async def _requests(
    tiles: Iterable[SlideTile] | AsyncIterable[SlideTile], plan: SlidePlan, events: asyncio.Queue[Any]
) -> AsyncIterator[segmentation_pb2.SegmentStreamRequest]:
    """Yield what is to be sent, in gRPC's own task; what this raises goes to the caller's, which raises it."""
    try:
        yield plan.start
        events.put_nowait(Asked())
        async for tile in tiles if isinstance(tiles, AsyncIterable) else asynchronous(tiles):
            request = await asyncio.to_thread(plan.tile, tile)
            events.put_nowait(Sent(time.monotonic()))
            yield request
            events.put_nowait(Asked())
    except Exception as error:  # noqa: BLE001 - nothing is swallowed
        events.put_nowait(Exhausted(error))
    else:
        events.put_nowait(Exhausted())


async def _read(responses: Any, room: asyncio.Semaphore, call: Call, events: asyncio.Queue[Any]) -> None:
    status = FinalStatus(responses)
    try:
        async for response in windowed(responses, room):
            events.put_nowait(Answered(read_slide_event(response), time.monotonic()))
    except grpc.RpcError as error:
        failure = await status.of(error)
        events.put_nowait(Ended(None if failure is None else call_failed(failure, call.request_id)))
    else:
        events.put_nowait(Ended())
