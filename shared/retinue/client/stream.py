"""One stream over a blocking channel: pictures go out as answers come back, never more than a window ahead."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain
from typing import Any, TypeVar

import grpc

from retinue.client.call import Call
from retinue.client.errors import ItemError, call_failed
from retinue.client.stream_order import Answered, Ended, Exhausted, Refused, Sent, StreamOrder

Item = TypeVar("Item")
Request = TypeVar("Request")
Answer = TypeVar("Answer")

DEFAULT_MAX_IN_FLIGHT = 32


def stream_in_order(  # noqa: PLR0913 - all of them make a stream
    method: Any,
    items: Iterable[Item],
    *,
    build: Callable[[Item], Request | ItemError],
    read: Callable[[Any], Answer],
    call: Call,
    stream_timeout_s: float,
    max_in_flight: int,
    opening: Iterable[Request] = (),
) -> Generator[Answer | ItemError]:
    """Yield the answer or error of each item, in their order.

    Another thread takes from ``items``, at most ``max_in_flight`` ahead of what the caller has received. Closing the
    iterator, or leaving its loop and dropping it, cancels the call.

    Args:
        method: the stub's bidirectional method.
        items: what to send.
        build: makes the message of an item, or says why it cannot be sent.
        read: makes the answer of a response.
        call: its deadline is the longest wait for the next answer.
        stream_timeout_s: deadline of the whole stream, seconds.
        max_in_flight: items taken and not yet given back, at least 1.
        opening: messages that are sent before all items and have no answer.

    Raises:
        CallFailed: the stream failed.
        Exception: whatever ``items`` or ``build`` raised.
    """
    order = StreamOrder[Answer](call.timeout_s, call.request_id)
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    window = threading.Semaphore(max_in_flight)
    is_closed = threading.Event()
    requests = chain(opening, _requests(windowed(items, window, is_closed), build, events))
    responses = method(requests, timeout=stream_timeout_s, metadata=call.metadata)
    reading = threading.Thread(target=_read, args=(responses, call, events), name="retinue-stream-reader", daemon=True)
    reading.start()
    try:
        while not order.is_over:
            try:
                event = events.get(timeout=order.patience_s(time.monotonic()))
            except queue.Empty:
                raise order.late() from None
            for result in order.take(event):
                window.release()
                yield result if isinstance(result, ItemError) else read(result)
    finally:
        is_closed.set()
        window.release()
        responses.cancel()


def _requests(
    items: Iterable[Item], build: Callable[[Item], Request | ItemError], events: queue.SimpleQueue[Any]
) -> Iterator[Request]:
    """Yield what is to be sent, in gRPC's own thread; what this raises goes to the caller's, which raises it."""
    try:
        for item in items:
            built = build(item)
            if isinstance(built, ItemError):
                events.put(Refused(built))
            else:
                events.put(Sent(time.monotonic()))
                yield built
    except Exception as error:  # noqa: BLE001 - nothing is swallowed
        events.put(Exhausted(error))
    else:
        events.put(Exhausted())


def _read(responses: Iterable[Any], call: Call, events: queue.SimpleQueue[Any]) -> None:
    try:
        for response in responses:
            events.put(Answered(response, time.monotonic()))
    except grpc.RpcError as error:
        events.put(Ended(call_failed(error, call.request_id)))
    else:
        events.put(Ended())


def windowed(items: Iterable[Item], window: threading.Semaphore, is_closed: threading.Event) -> Iterator[Item]:
    """Yield items, taking the next only when the window has room for it; no more once it is closed."""
    iterator = iter(items)
    while True:
        window.acquire()
        if is_closed.is_set():
            return
        try:
            item = next(iterator)
        except StopIteration:
            return
        yield item
