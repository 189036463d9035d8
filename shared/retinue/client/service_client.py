"""What the blocking clients share: a channel to one service, and the three ways to send it pictures."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from retinue.client.broken_answer import BrokenAnswer
from retinue.client.call import DEFAULT_STREAM_TIMEOUT_S, DEFAULT_TIMEOUT_S, Call, checked_timeout_s
from retinue.client.channel import DEFAULT_MAX_MESSAGE_BYTES, DEFAULT_TARGET, Target, open_channel
from retinue.client.errors import ItemError, call_failed
from retinue.client.pictures import Picture, PictureSource
from retinue.client.request_plan import RequestPlan
from retinue.client.results import read_result, read_results
from retinue.client.stream import stream_in_order

Single = TypeVar("Single")
Batched = TypeVar("Batched")
Streamed = TypeVar("Streamed")
Answer = TypeVar("Answer")
Response = TypeVar("Response")


class ServiceClient:
    """A client of one service. Threads may share one; close it or use it in a `with`.

    Args:
        target: where the service is, see `Target`.
        credentials: for TLS; plain text without.
        timeout_s: deadline of a call that names none, seconds, above 0.
        stream_timeout_s: deadline of a whole stream, seconds, above 0.
        max_message_bytes: largest message in either direction; the service has a limit of its own.

    Raises:
        ValueError: the target, a deadline or the limit cannot be used.
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; calls under way are cancelled."""
        self._channel.close()

    def _call(self, method: "grpc.UnaryUnaryMultiCallable[Single, Response]", request: Single, call: Call) -> Response:
        broken = BrokenAnswer(call.timeout_s)
        while True:
            try:
                return method(request, timeout=broken.left_s, metadata=call.metadata)
            except grpc.RpcError as error:
                if not broken.is_to_be_repeated(error):
                    raise call_failed(error, call.request_id) from error

    def _call_with_all(
        self, method: "grpc.StreamUnaryMultiCallable[Streamed, Response]", requests: Iterable[Streamed], call: Call
    ) -> Response:
        """Send all requests, which are taken from in another thread, and return the answer to them together."""
        failures: list[Exception] = []
        is_called = threading.Event()

        def feed() -> Iterator[Streamed]:
            try:
                yield from requests
            except Exception as error:  # noqa: BLE001 - nothing is swallowed: the caller's thread raises it
                failures.append(error)
                is_called.wait()
                answer.cancel()

        answer = method.future(feed(), timeout=call.timeout_s, metadata=call.metadata)
        is_called.set()
        try:
            return answer.result()
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            if failures:
                raise failures[0] from None
            if isinstance(error, grpc.RpcError):
                raise call_failed(error, call.request_id) from error
            raise
        finally:
            answer.cancel()

    def _ask(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Single, Any]",
        image: PictureSource | Picture,
        plan: RequestPlan[Single, Batched, Streamed],
        read: Callable[[Any], Answer],
    ) -> Answer:
        return read(self._call(method, plan.single(image), plan.call))

    def _ask_batch(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Batched, Any]",
        images: Sequence[PictureSource | Picture],
        plan: RequestPlan[Single, Batched, Streamed],
        read: Callable[[Any], Answer],
    ) -> list[Answer | ItemError]:
        request, refusals = plan.batched(images)
        if None not in refusals:
            return [refusal for refusal in refusals if refusal is not None]
        response = self._call(method, request, plan.call)
        return read_results(response.results, refusals, read, plan.call.request_id)

    def _ask_stream(
        self,
        method: "grpc.StreamStreamMultiCallable[Streamed, Any]",
        images: Iterable[PictureSource | Picture],
        plan: RequestPlan[Single, Batched, Streamed],
        read: Callable[[Any], Answer],
        max_in_flight: int,
    ) -> Generator[Answer | ItemError]:
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight is {max_in_flight}, must be at least 1")
        return stream_in_order(
            method,
            images,
            build=plan.streamed,
            read=lambda response: read_result(response.result, read, plan.call.request_id),
            call=plan.call,
            stream_timeout_s=self._stream_timeout_s,
            max_in_flight=max_in_flight,
        )
