"""The blocking client of the detection service."""

from collections.abc import Generator, Iterable, Sequence
from functools import cached_property
from typing import Unpack

from retinue.client.detection_answer import DetectionAnswer, read_detection_answer
from retinue.client.detection_request import DetectionPlan, DetectKeywords, plan_detection
from retinue.client.errors import ItemError
from retinue.client.pictures import Picture, PictureSource
from retinue.client.service_client import ServiceClient
from retinue.client.stream import DEFAULT_MAX_IN_FLIGHT
from retinue.detection.v1 import detection_pb2_grpc


class DetectionClient(ServiceClient):
    """Asks a detection service which things are on pictures, and where; made and closed as `ServiceClient` says.

    The keyword arguments of all methods are those of `DetectKeywords`. A picture is anything of `PictureSource`, or
    that with a name in a `Picture`.
    """

    def detect(self, image: PictureSource | Picture, **keywords: Unpack[DetectKeywords]) -> DetectionAnswer:
        """Return the things on a picture.

        Raises:
            CallFailed: the service refused it or could not be reached in time.
            FileNotFoundError: there is no such file; other OSErrors where it cannot be read.
            TypeError: it is no kind of picture, or there is no such keyword.
            ValueError: the picture or a keyword cannot be sent.
        """
        return self._ask(self._stub.Detect, image, self._plan(keywords), read_detection_answer)

    def detect_batch(
        self, images: Sequence[PictureSource | Picture], **keywords: Unpack[DetectKeywords]
    ) -> list[DetectionAnswer | ItemError]:
        """Return the things on each picture, or why they are not known, in the pictures' order, by one call.

        A picture that cannot be read or sent is an `ItemError` in its place as well.

        Raises:
            CallFailed: the whole call failed.
            TypeError: one is no kind of picture, or there is no such keyword.
            ValueError: a keyword is out of range, or the pictures together are above the message limit.
        """
        return self._ask_batch(self._stub.BatchDetect, images, self._plan(keywords), read_detection_answer)

    def detect_stream(
        self,
        images: Iterable[PictureSource | Picture],
        *,
        max_in_flight: int = DEFAULT_MAX_IN_FLIGHT,
        **keywords: Unpack[DetectKeywords],
    ) -> Generator[DetectionAnswer | ItemError]:
        """Yield the things on each picture, or why they are not known, in the pictures' order, over one stream.

        Another thread takes from ``images``, never more than ``max_in_flight`` ahead of what has been yielded; an
        endless source is fine. ``timeout_s`` is the longest wait for the next answer; the stream as a whole ends after
        the client's ``stream_timeout_s``. The call starts with the first answer asked for and is cancelled when the
        iterator is closed.

        Raises:
            CallFailed: the stream failed; pictures without an answer have none.
            Exception: whatever ``images`` raised.
            TypeError: one is no kind of picture, or there is no such keyword.
            ValueError: a keyword is out of range, or ``max_in_flight`` is below 1.
        """
        return self._ask_stream(
            self._stub.DetectStream, images, self._plan(keywords), read_detection_answer, max_in_flight
        )

    @cached_property
    def _stub(self) -> detection_pb2_grpc.DetectionServiceStub:
        return detection_pb2_grpc.DetectionServiceStub(self._channel)

    def _plan(self, keywords: DetectKeywords) -> DetectionPlan:
        return plan_detection(self._timeout_s, self._max_message_bytes, keywords)
