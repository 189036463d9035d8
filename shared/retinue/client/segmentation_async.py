"""The client of the segmentation service for an event loop."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from functools import cached_property
from typing import Unpack

from retinue.client.errors import ItemError
from retinue.client.pictures import Picture, PictureSource
from retinue.client.segmentation_answer import SegmentationAnswer, read_segmentation_answer
from retinue.client.segmentation_request import SegmentationPlan, SegmentKeywords, plan_segmentation
from retinue.client.service_client_async import AsyncServiceClient
from retinue.client.slide_answer import SlideEvent
from retinue.client.slide_geometry import SlideGeometry
from retinue.client.slide_request import SlideTile, plan_slide
from retinue.client.slide_stream_async import stream_slide_async
from retinue.segmentation.v1 import segmentation_pb2_grpc


class AsyncSegmentationClient(AsyncServiceClient):
    """As `SegmentationClient`, method by method, for one event loop: make it where that loop runs.

    Files are read in threads, so that the loop never waits for a disk.
    """

    async def segment(self, image: PictureSource | Picture, **keywords: Unpack[SegmentKeywords]) -> SegmentationAnswer:
        """Return the classes and the single things on a picture; see `SegmentationClient.segment`."""
        return await self._ask(self._stub.Segment, image, self._plan(keywords), read_segmentation_answer)

    async def segment_batch(
        self, images: Sequence[PictureSource | Picture], **keywords: Unpack[SegmentKeywords]
    ) -> list[SegmentationAnswer | ItemError]:
        """Return what is on each picture, or why it is not known; see `SegmentationClient.segment_batch`."""
        return await self._ask_batch(self._stub.BatchSegment, images, self._plan(keywords), read_segmentation_answer)

    def segment_slide(
        self,
        tiles: Iterable[SlideTile] | AsyncIterable[SlideTile],
        geometry: SlideGeometry,
        *,
        image_id: str = "",
        **keywords: Unpack[SegmentKeywords],
    ) -> AsyncGenerator[SlideEvent]:
        """Yield what is found on a picture that is sent tile by tile; see `SegmentationClient.segment_slide`.

        A ``tiles`` that is not asynchronous is taken from in the event loop and must not block. To leave the loop
        early, wrap the iterator in `contextlib.aclosing`, so that the call ends at once.
        """
        plan = plan_slide(self._timeout_s, self._max_message_bytes, geometry, image_id, keywords)
        return stream_slide_async(self._stub.SegmentStream, tiles, plan, stream_timeout_s=self._stream_timeout_s)

    @cached_property
    def _stub(self) -> "segmentation_pb2_grpc.SegmentationServiceAsyncStub":
        return segmentation_pb2_grpc.SegmentationServiceStub(self._channel)

    def _plan(self, keywords: SegmentKeywords) -> SegmentationPlan:
        return plan_segmentation(self._timeout_s, self._max_message_bytes, keywords)
