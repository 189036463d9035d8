"""The client of the detection service for an event loop."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from functools import cached_property
from typing import Unpack

from retinue.client.detection_answer import DetectionAnswer, read_detection_answer
from retinue.client.detection_request import DetectionPlan, DetectKeywords, plan_detection
from retinue.client.errors import ItemError
from retinue.client.pictures import Picture, PictureSource
from retinue.client.service_client_async import AsyncServiceClient
from retinue.client.stream import DEFAULT_MAX_IN_FLIGHT
from retinue.detection.v1 import detection_pb2_grpc


class AsyncDetectionClient(AsyncServiceClient):
    """As `DetectionClient`, method by method, for one event loop: make it where that loop runs.

    Files are read in threads, so that the loop never waits for a disk.
    """

    async def detect(self, image: PictureSource | Picture, **keywords: Unpack[DetectKeywords]) -> DetectionAnswer:
        """Return the things on a picture; see `DetectionClient.detect`."""
        return await self._ask(self._stub.Detect, image, self._plan(keywords), read_detection_answer)

    async def detect_batch(
        self, images: Sequence[PictureSource | Picture], **keywords: Unpack[DetectKeywords]
    ) -> list[DetectionAnswer | ItemError]:
        """Return the things on each picture, or why they are not known; see `DetectionClient.detect_batch`."""
        return await self._ask_batch(self._stub.BatchDetect, images, self._plan(keywords), read_detection_answer)

    def detect_stream(
        self,
        images: Iterable[PictureSource | Picture] | AsyncIterable[PictureSource | Picture],
        *,
        max_in_flight: int = DEFAULT_MAX_IN_FLIGHT,
        **keywords: Unpack[DetectKeywords],
    ) -> AsyncGenerator[DetectionAnswer | ItemError]:
        """Yield the things on each picture, or why they are not known; see `DetectionClient.detect_stream`.

        To leave the loop early, wrap the iterator in `contextlib.aclosing`, so that the call ends at once.
        """
        return self._ask_stream(
            self._stub.DetectStream, images, self._plan(keywords), read_detection_answer, max_in_flight
        )

    @cached_property
    def _stub(self) -> "detection_pb2_grpc.DetectionServiceAsyncStub":
        return detection_pb2_grpc.DetectionServiceStub(self._channel)

    def _plan(self, keywords: DetectKeywords) -> DetectionPlan:
        return plan_detection(self._timeout_s, self._max_message_bytes, keywords)
