"""The blocking client of the segmentation service."""

from collections.abc import Generator, Iterable, Sequence
from functools import cached_property
from typing import Unpack

from retinue.client.errors import ItemError
from retinue.client.pictures import Picture, PictureSource
from retinue.client.segmentation_answer import SegmentationAnswer, read_segmentation_answer
from retinue.client.segmentation_request import SegmentationPlan, SegmentKeywords, plan_segmentation
from retinue.client.service_client import ServiceClient
from retinue.client.slide_answer import SlideEvent
from retinue.client.slide_geometry import SlideGeometry
from retinue.client.slide_request import SlideTile, plan_slide
from retinue.client.slide_stream import stream_slide
from retinue.segmentation.v1 import segmentation_pb2_grpc


class SegmentationClient(ServiceClient):
    """Asks a segmentation service which pixels belong to what; made and closed as `ServiceClient` says.

    The keyword arguments of all methods are those of `SegmentKeywords`. A picture is anything of `PictureSource`, or
    that with a name in a `Picture`.
    """

    def segment(self, image: PictureSource | Picture, **keywords: Unpack[SegmentKeywords]) -> SegmentationAnswer:
        """Return the classes and the single things on a picture.

        Raises:
            CallFailed: the service refused it or could not be reached in time.
            FileNotFoundError: there is no such file; other OSErrors where it cannot be read.
            TypeError: it is no kind of picture, or there is no such keyword.
            ValueError: the picture or a keyword cannot be sent.
        """
        return self._ask(self._stub.Segment, image, self._plan(keywords), read_segmentation_answer)

    def segment_batch(
        self, images: Sequence[PictureSource | Picture], **keywords: Unpack[SegmentKeywords]
    ) -> list[SegmentationAnswer | ItemError]:
        """Return what is on each picture, or why it is not known, in the pictures' order, by one call.

        A picture that cannot be read or sent is an `ItemError` in its place as well.

        Raises:
            CallFailed: the whole call failed.
            TypeError: one is no kind of picture, or there is no such keyword.
            ValueError: a keyword is out of range, or the pictures together are above the message limit.
        """
        return self._ask_batch(self._stub.BatchSegment, images, self._plan(keywords), read_segmentation_answer)

    def segment_slide(
        self,
        tiles: Iterable[SlideTile],
        geometry: SlideGeometry,
        *,
        image_id: str = "",
        **keywords: Unpack[SegmentKeywords],
    ) -> Generator[SlideEvent]:
        """Yield what is found on a picture that fits nowhere, while it is sent tile by tile.

        Finished tiles come as `SegmentedTile`, things that no later tile can change as `SlideInstances`, and last a
        `SlideSummary`. Another thread takes from ``tiles``, no faster than the service, and what is not taken from here
        holds the tiles up in turn, so that memory stays small on both sides. ``timeout_s`` is the longest wait for a
        sign of life, by default two minutes or the client's if that is longer; the stream as a whole ends after the
        client's ``stream_timeout_s``. The call starts with the first event asked for and is cancelled when the iterator
        is closed.

        Args:
            tiles: left edge, top edge and pixels of each; rows of tiles from top to bottom, within a row in any order.
            geometry: what they will be.
            image_id: the slide's name, at most 256 characters.
            keywords: those of `SegmentKeywords`.

        Raises:
            CallFailed: the stream failed; a tile that is missing or does not fit the geometry is named.
            Exception: whatever ``tiles`` raised.
            TypeError: a tile is no kind of picture, or there is no such keyword.
            ValueError: a tile or a keyword cannot be sent.
        """
        plan = plan_slide(self._timeout_s, self._max_message_bytes, geometry, image_id, keywords)
        return stream_slide(self._stub.SegmentStream, tiles, plan, stream_timeout_s=self._stream_timeout_s)

    @cached_property
    def _stub(self) -> segmentation_pb2_grpc.SegmentationServiceStub:
        return segmentation_pb2_grpc.SegmentationServiceStub(self._channel)

    def _plan(self, keywords: SegmentKeywords) -> SegmentationPlan:
        return plan_segmentation(self._timeout_s, self._max_message_bytes, keywords)
