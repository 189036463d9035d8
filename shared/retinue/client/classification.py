"""The blocking client of the classification service."""

from collections.abc import Generator, Iterable, Sequence
from functools import cached_property
from typing import Unpack

from retinue.classification.v1 import classification_pb2_grpc
from retinue.client.classification_answer import Classification, read_classification
from retinue.client.classification_request import ClassificationPlan, ClassifyKeywords, plan_classification
from retinue.client.errors import ItemError
from retinue.client.pictures import Picture, PictureSource
from retinue.client.service_client import ServiceClient
from retinue.client.stream import DEFAULT_MAX_IN_FLIGHT


class ClassificationClient(ServiceClient):
    """Asks a classification service what is on pictures; made and closed as `ServiceClient` says.

    The keyword arguments of all methods are those of `ClassifyKeywords`. A picture is anything of `PictureSource`, or
    that with a name in a `Picture`.
    """

    def classify(self, image: PictureSource | Picture, **keywords: Unpack[ClassifyKeywords]) -> Classification:
        """Return what is on a picture.

        Raises:
            CallFailed: the service refused it or could not be reached in time.
            FileNotFoundError: there is no such file; other OSErrors where it cannot be read.
            TypeError: it is no kind of picture, or there is no such keyword.
            ValueError: the picture or a keyword cannot be sent.
        """
        return self._ask(self._stub.Classify, image, self._plan(keywords), read_classification)

    def classify_batch(
        self, images: Sequence[PictureSource | Picture], **keywords: Unpack[ClassifyKeywords]
    ) -> list[Classification | ItemError]:
        """Return what is on each picture, or why that is not known, in their order, by one call.

        A picture that cannot be read or sent is an `ItemError` in its place as well.

        Raises:
            CallFailed: the whole call failed.
            TypeError: one is no kind of picture, or there is no such keyword.
            ValueError: a keyword is out of range, or the pictures together are above the message limit.
        """
        return self._ask_batch(self._stub.BatchClassify, images, self._plan(keywords), read_classification)

    def classify_stream(
        self,
        images: Iterable[PictureSource | Picture],
        *,
        max_in_flight: int = DEFAULT_MAX_IN_FLIGHT,
        **keywords: Unpack[ClassifyKeywords],
    ) -> Generator[Classification | ItemError]:
        """Yield what is on each picture, or why that is not known, in their order, over one stream.

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
            self._stub.ClassifyStream, images, self._plan(keywords), read_classification, max_in_flight
        )

    @cached_property
    def _stub(self) -> classification_pb2_grpc.ClassificationServiceStub:
        return classification_pb2_grpc.ClassificationServiceStub(self._channel)

    def _plan(self, keywords: ClassifyKeywords) -> ClassificationPlan:
        return plan_classification(self._timeout_s, self._max_message_bytes, keywords)
