"""The blocking client of the classification service."""

from collections.abc import Generator, Iterable, Sequence
from types import TracebackType
from typing import Self, Unpack

import grpc

from retinue.classification.v1 import classification_pb2_grpc
from retinue.client.call import DEFAULT_STREAM_TIMEOUT_S, DEFAULT_TIMEOUT_S, checked_timeout_s
from retinue.client.channel import DEFAULT_MAX_MESSAGE_BYTES, DEFAULT_TARGET, Target, open_channel
from retinue.client.classification_answer import (
    Classification,
    read_classification,
    read_results,
    read_streamed,
)
from retinue.client.classification_request import ClassificationPlan, ClassifyKeywords, plan_classification
from retinue.client.errors import ItemError, call_failed
from retinue.client.pictures import Picture, PictureSource
from retinue.client.stream import DEFAULT_MAX_IN_FLIGHT, stream_in_order


class ClassificationClient:
    """Asks a classification service what is on pictures. Threads may share one; close it or use it in a `with`.

    Args:
        target: where the service is, see `Target`.
        credentials: for TLS; plain text without.
        timeout_s: deadline of a call that names none, seconds, above 0.
        stream_timeout_s: deadline of a whole stream, seconds, above 0.
        max_message_bytes: largest message in either direction; the service has a limit of its own.

    Raises:
        ValueError: the target, a deadline or the limit cannot be used.

    The keyword arguments of all methods are those of `ClassifyKeywords`. A picture is anything of `PictureSource`, or
    that with a name in a `Picture`.
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
        self._channel = open_channel(target, credentials=credentials, max_message_bytes=max_message_bytes)
        self._stub = classification_pb2_grpc.ClassificationServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; calls under way are cancelled."""
        self._channel.close()

    def classify(self, image: PictureSource | Picture, **keywords: Unpack[ClassifyKeywords]) -> Classification:
        """Return what is on a picture.

        Raises:
            CallFailed: the service refused it or could not be reached in time.
            FileNotFoundError: there is no such file; other OSErrors where it cannot be read.
            TypeError: it is no kind of picture, or there is no such keyword.
            ValueError: the picture or a keyword cannot be sent.
        """
        plan = self._plan(keywords)
        request = plan.single(image)
        try:
            response = self._stub.Classify(request, timeout=plan.call.timeout_s, metadata=plan.call.metadata)
        except grpc.RpcError as error:
            raise call_failed(error, plan.call.request_id) from error
        return read_classification(response)

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
        plan = self._plan(keywords)
        request, refusals = plan.batched(images)
        if not request.images:
            return [refusal for refusal in refusals if refusal is not None]
        try:
            response = self._stub.BatchClassify(request, timeout=plan.call.timeout_s, metadata=plan.call.metadata)
        except grpc.RpcError as error:
            raise call_failed(error, plan.call.request_id) from error
        return read_results(response, refusals, plan.call.request_id)

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
        plan = self._plan(keywords)
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight is {max_in_flight}, must be at least 1")
        return stream_in_order(
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
