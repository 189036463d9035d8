"""The results of a batch or stream: for each picture its answer, or the error that stands in its place."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import grpc

from retinue.client.errors import CallFailed, ItemError, item_error

Answer = TypeVar("Answer")


def read_results(
    results: Sequence[Any],
    refusals: Sequence[ItemError | None],
    read: Callable[[Any], Answer],
    request_id: str,
) -> list[Answer | ItemError]:
    """Return the results of a batch with those of the pictures that were not sent put back in their places.

    Args:
        results: messages, of the pictures that were sent; see `read_result`.
        refusals: by picture, why it was not sent; None where it was.
        read: makes the answer of a response.
        request_id: the id of the call.

    Raises:
        CallFailed: there are not as many results as pictures were sent.
    """
    sent_count = sum(refusal is None for refusal in refusals)
    if len(results) != sent_count:
        message = f"the service gave {len(results)} results for {sent_count} pictures"
        raise CallFailed(grpc.StatusCode.INTERNAL, message, "BATCH_BROKEN", request_id=request_id)
    remaining = iter(results)
    return [read_result(next(remaining), read, request_id) if refusal is None else refusal for refusal in refusals]


def read_result(result: Any, read: Callable[[Any], Answer], request_id: str) -> Answer | ItemError:
    """Return the answer to one picture, or its error.

    Args:
        result: a message with ``image_id`` and one of ``response`` and ``error``.
        read: makes the answer of a response.
        request_id: the id of the call.
    """
    if result.HasField("response"):
        return read(result.response)
    return item_error(result.image_id, result.error, request_id)  # one with neither is an error as well
