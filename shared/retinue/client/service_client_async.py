"""What the clients for an event loop share: as `service_client`, method by method."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio

from retinue.client.broken_answer import BrokenAnswer
from retinue.client.call import DEFAULT_STREAM_TIMEOUT_S, DEFAULT_TIMEOUT_S, Call, checked_timeout_s
from retinue.client.channel import DEFAULT_MAX_MESSAGE_BYTES, DEFAULT_TARGET, Target, open_async_channel
from retinue.client.errors import ItemError, call_failed
from retinue.client.pictures import Picture, PictureSource
from retinue.client.request_plan import RequestPlan
from retinue.client.results import read_result, read_results
from retinue.client.stream_async import stream_in_order_async

Single = TypeVar("Single")
Batched = TypeVar("Batched")
Streamed = TypeVar("Streamed")
Answer = TypeVar("Answer")
Response = TypeVar("Response")


class AsyncServiceClient:
    """As `ServiceClient`, for one event loop: make it where that loop runs.

    Files are read in threads, so that the loop never waits for a disk.
    """

    def __init__(
        self,
        target: Target = DEFAULT_TARGET,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        stream_timeout_s: float = DEFAULT_STREAM_TIMEOUT_S,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        self._timeout_s = checked_timeout_s(timeout_s)
        self._stream_timeout_s = checked_timeout_s(stream_timeout_s, "stream_timeout_s")
        self._max_message_bytes = max_message_bytes
        self._channel = open_async_channel(target, credentials=credentials, max_message_bytes=max_message_bytes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; calls under way are cancelled."""
        await self._channel.close()

    async def _call(
        self, method: "grpc.aio.UnaryUnaryMultiCallable[Single, Response]", request: Single, call: Call
    ) -> Response:
        broken = BrokenAnswer(call.timeout_s)
        while True:
            try:
                return await method(request, timeout=broken.left_s, metadata=call.metadata)
            except grpc.RpcError as error:
                if not broken.is_to_be_repeated(error):
                    raise call_failed(error, call.request_id) from error

    async def _call_with_all(
        self,
        method: "grpc.aio.StreamUnaryMultiCallable[Streamed, Response]",
        requests: AsyncIterable[Streamed],
        call: Call,
    ) -> Response:
        """Send all requests and return the answer to them together."""
        failures: list[Exception] = []

        async def feed() -> AsyncIterator[Streamed]:
            try:
                async for request in requests:
                    yield request
            except Exception as error:  # noqa: BLE001 - nothing is swallowed: the caller's task raises it
                failures.append(error)
                answer.cancel()

        answer = method(feed(), timeout=call.timeout_s, metadata=call.metadata)
        try:
            return await answer
        except grpc.RpcError as error:
            raise call_failed(error, call.request_id) from error
        except asyncio.CancelledError:
            if failures:
                raise failures[0] from None
            raise
        finally:
            answer.cancel()

    async def _ask(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Single, Any]",
        image: PictureSource | Picture,
        plan: RequestPlan[Single, Batched, Streamed],
        read: Callable[[Any], Answer],
    ) -> Answer:
        request = await asyncio.to_thread(plan.single, image)
        return read(await self._call(method, request, plan.call))

    async def _ask_batch(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Batched, Any]",
        images: Sequence[PictureSource | Picture],
        plan: RequestPlan[Single, Batched, Streamed],
        read: Callable[[Any], Answer],
    ) -> list[Answer | ItemError]:
        request, refusals = await asyncio.to_thread(plan.batched, images)
        if None not in refusals:
            return [refusal for refusal in refusals if refusal is not None]
        response = await self._call(method, request, plan.call)
        return read_results(response.results, refusals, read, plan.call.request_id)

    def _ask_stream(
        self,
        method: "grpc.aio.StreamStreamMultiCallable[Streamed, Any]",
        images: Iterable[PictureSource | Picture] | AsyncIterable[PictureSource | Picture],
        plan: RequestPlan[Single, Batched, Streamed],
        read: Callable[[Any], Answer],
        max_in_flight: int,
    ) -> AsyncGenerator[Answer | ItemError]:
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight is {max_in_flight}, must be at least 1")
        return stream_in_order_async(
            method,
            images,
            build=plan.streamed,
            read=lambda response: read_result(response.result, read, plan.call.request_id),
            call=plan.call,
            stream_timeout_s=self._stream_timeout_s,
            max_in_flight=max_in_flight,
        )
