"""The client of the classification service for an event loop."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from functools import cached_property
from typing import Unpack

from retinue.classification.v1 import classification_pb2_grpc
from retinue.client.classification_answer import Classification, read_classification
from retinue.client.classification_request import ClassificationPlan, ClassifyKeywords, plan_classification
from retinue.client.errors import ItemError
from retinue.client.pictures import Picture, PictureSource
from retinue.client.service_client_async import AsyncServiceClient
from retinue.client.stream import DEFAULT_MAX_IN_FLIGHT


class AsyncClassificationClient(AsyncServiceClient):
    """As `ClassificationClient`, method by method, for one event loop: make it where that loop runs.

    Files are read in threads, so that the loop never waits for a disk.
    """

    async def classify(self, image: PictureSource | Picture, **keywords: Unpack[ClassifyKeywords]) -> Classification:
        """Return what is on a picture; see `ClassificationClient.classify`."""
        return await self._ask(self._stub.Classify, image, self._plan(keywords), read_classification)

    async def classify_batch(
        self, images: Sequence[PictureSource | Picture], **keywords: Unpack[ClassifyKeywords]
    ) -> list[Classification | ItemError]:
        """Return what is on each picture, or why that is not known; see `ClassificationClient.classify_batch`."""
        return await self._ask_batch(self._stub.BatchClassify, images, self._plan(keywords), read_classification)

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
        return self._ask_stream(
            self._stub.ClassifyStream, images, self._plan(keywords), read_classification, max_in_flight
        )

    @cached_property
    def _stub(self) -> "classification_pb2_grpc.ClassificationServiceAsyncStub":
        return classification_pb2_grpc.ClassificationServiceStub(self._channel)

    def _plan(self, keywords: ClassifyKeywords) -> ClassificationPlan:
        return plan_classification(self._timeout_s, self._max_message_bytes, keywords)
