"""The client of the classification service for an event loop."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from types import TracebackType
from typing import Self, Unpack

import grpc

from retinue.classification.v1 import classification_pb2_grpc
from retinue.client.call import DEFAULT_STREAM_TIMEOUT_S, DEFAULT_TIMEOUT_S, checked_timeout_s
from retinue.client.channel import DEFAULT_MAX_MESSAGE_BYTES, DEFAULT_TARGET, Target, open_async_channel
from retinue.client.classification_answer import (
    Classification,
    read_classification,
    read_results,
    read_streamed,
)
from retinue.client.classification_request import ClassificationPlan, ClassifyKeywords, plan_classification
from retinue.client.errors import ItemError, call_failed
from retinue.client.pictures import Picture, PictureSource
from retinue.client.stream import DEFAULT_MAX_IN_FLIGHT
from retinue.client.stream_async import stream_in_order_async


class AsyncClassificationClient:
    """As `ClassificationClient`, method by method, for one event loop: make it where that loop runs.

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
        self._stub = classification_pb2_grpc.ClassificationServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; calls under way are cancelled."""
        await self._channel.close()

    async def classify(self, image: PictureSource | Picture, **keywords: Unpack[ClassifyKeywords]) -> Classification:
        """Return what is on a picture; see `ClassificationClient.classify`."""
        plan = self._plan(keywords)
        request = await asyncio.to_thread(plan.single, image)
        try:
            response = await self._stub.Classify(request, timeout=plan.call.timeout_s, metadata=plan.call.metadata)
        except grpc.RpcError as error:
            raise call_failed(error, plan.call.request_id) from error
        return read_classification(response)

    async def classify_batch(
        self, images: Sequence[PictureSource | Picture], **keywords: Unpack[ClassifyKeywords]
    ) -> list[Classification | ItemError]:
        """Return what is on each picture, or why that is not known; see `ClassificationClient.classify_batch`."""
        plan = self._plan(keywords)
        request, refusals = await asyncio.to_thread(plan.batched, images)
        if not request.images:
            return [refusal for refusal in refusals if refusal is not None]
        try:
            response = await self._stub.BatchClassify(request, timeout=plan.call.timeout_s, metadata=plan.call.metadata)
        except grpc.RpcError as error:
            raise call_failed(error, plan.call.request_id) from error
        return read_results(response, refusals, plan.call.request_id)

    def classify_stream(
        self,
        images: Iterable[PictureSource | Picture] | AsyncIterable[PictureSource | Picture],
        *,
        max_in_flight: int = DEFAULT_MAX_IN_FLIGHT,
        **keywords: Unpack[ClassifyKeywords],
    ) -> AsyncGenerator[Classification | ItemError]:
        """Yield what is on each picture, or why that is not known; see `ClassificationClient.classify_stream`.

        To leave the loop early, wrap the iterator in `contextlib.aclosing`, so that the call ends at once.
        """
        plan = self._plan(keywords)
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight is {max_in_flight}, must be at least 1")
        return stream_in_order_async(
            self._stub.ClassifyStream,
            images,
            build=plan.streamed,
            read=lambda response: read_streamed(response, plan.call.request_id),
            call=plan.call,
            stream_timeout_s=self._stream_timeout_s,
            max_in_flight=max_in_flight,
        )

    def _plan(self, keywords: ClassifyKeywords) -> ClassificationPlan:
        return plan_classification(self._timeout_s, self._max_message_bytes, keywords)
