"""One slide over a blocking channel: tiles go out as the service takes them, events come as the caller does."""

import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import grpc

from retinue.client.call import Call
from retinue.client.errors import call_failed
from retinue.client.slide_answer import SlideEvent, read_slide_event
from retinue.client.slide_order import Asked, SlideOrder
from retinue.client.slide_request import SlidePlan, SlideTile
from retinue.client.stream import windowed
from retinue.client.stream_order import Answered, Ended, Exhausted, Sent
from retinue.segmentation.v1 import segmentation_pb2

READ_AHEAD = 4  # answers that may wait for the caller; further ones hold the service up, and that the tiles


def stream_slide(
    method: Any, tiles: Iterable[SlideTile], plan: SlidePlan, *, stream_timeout_s: float
) -> Generator[SlideEvent]:
    """Yield what comes back, in the order of coming.

    Another thread takes from ``tiles``, no faster than the service does. Closing the iterator, or leaving its loop and
    dropping it, cancels the call.

    Args:
        method: the stub's bidirectional method.
        tiles: what to send.
        plan: how.
        stream_timeout_s: deadline of the whole stream, seconds.

    Raises:
        CallFailed: the stream failed.
        Exception: whatever ``tiles`` raised.
    """
    order = SlideOrder(plan.call.timeout_s, plan.call.request_id, time.monotonic())
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    room = threading.Semaphore(READ_AHEAD)
    is_closed = threading.Event()
    responses = method(_requests(tiles, plan, events), timeout=stream_timeout_s, metadata=plan.call.metadata)
    arguments = (windowed(responses, room, is_closed), plan.call, events)
    threading.Thread(target=_read, args=arguments, name="retinue-slide-reader", daemon=True).start()
    try:
        while not order.is_over:
            try:
                event = events.get(timeout=order.patience_s(time.monotonic()))
            except queue.Empty:
                raise order.late() from None
            answer = order.take(event)
            if answer is not None:
                yield answer
                order.resume(time.monotonic())
            if isinstance(event, Answered):
                room.release()
    finally:
        is_closed.set()
        room.release()
        responses.cancel()


def _requests(
    tiles: Iterable[SlideTile], plan: SlidePlan, events: queue.SimpleQueue[Any]
) -> Iterator[segmentation_pb2.SegmentStreamRequest]:
    """Yield what is to be sent, in gRPC's own thread; what this raises goes to the caller's, which raises it."""
    try:
        yield plan.start
        events.put(Asked())
        for tile in tiles:
            request = plan.tile(tile)
            events.put(Sent(time.monotonic()))
            yield request
            events.put(Asked())
    except Exception as error:  # noqa: BLE001 - nothing is swallowed
        events.put(Exhausted(error))
    else:
        events.put(Exhausted())


def _read(responses: Iterable[Any], call: Call, events: queue.SimpleQueue[Any]) -> None:
    try:
        for response in responses:
            events.put(Answered(read_slide_event(response), time.monotonic()))
    except grpc.RpcError as error:
        events.put(Ended(call_failed(error, call.request_id)))
    else:
        events.put(Ended())
