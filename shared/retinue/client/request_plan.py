"""A checked request that waits for its pictures: one, several, or one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from retinue.client.call import Call, plan_call
from retinue.client.errors import ItemError, picture_refused
from retinue.client.keywords import CallKeywords, parse_model
from retinue.client.pictures import Picture, PictureSource, image_id_of, image_message
from retinue.common.v1 import image_pb2, model_pb2

Single = TypeVar("Single")
Batched = TypeVar("Batched")
Streamed = TypeVar("Streamed")

_MESSAGE_ROOM_BYTES = 4096  # for everything of a message but its picture and options: ids, model


@dataclass(frozen=True, slots=True)
class RequestMessages(Generic[Single, Batched, Streamed]):
    """The messages in which a service takes pictures.

    Args:
        single: of ``image``, ``model``, ``options``.
        batched: of ``images``, ``model``, ``options``.
        streamed: of ``request``, which is a ``single``; None where the service has no stream of pictures.
    """

    single: Callable[..., Single]
    batched: Callable[..., Batched]
    streamed: Callable[..., Streamed] | None = None


@dataclass(frozen=True, slots=True)
class RequestPlan(Generic[Single, Batched, Streamed]):
    """A checked request without its pictures, and the call that carries it."""

    messages: RequestMessages[Single, Batched, Streamed]
    model: model_pb2.ModelRef | None
    options: Any
    max_message_bytes: int
    call: Call

    def single(self, picture: PictureSource | Picture) -> Single:
        """Return the request for one picture; raises as `image_message` does."""
        return self.messages.single(image=self._image(picture), model=self.model, options=self.options)

    def streamed(self, picture: PictureSource | Picture) -> Streamed | ItemError:
        """Return the message for one picture of a stream, or why it cannot be sent.

        Raises:
            TypeError: it is no kind of picture, or the service has no stream of them.
        """
        if self.messages.streamed is None:
            raise TypeError("this service has no stream of pictures")
        try:
            return self.messages.streamed(request=self.single(picture))
        except (OSError, ValueError) as error:
            return picture_refused(image_id_of(picture), error, self.call.request_id)

    def batched(self, pictures: Sequence[PictureSource | Picture]) -> tuple[Batched, list[ItemError | None]]:
        """Return the request for all pictures that can be sent; and by picture why it cannot, or None where it can.

        Raises:
            TypeError: one is no kind of picture.
            ValueError: together they are above the message limit.
        """
        request: Any = self.messages.batched(model=self.model, options=self.options)
        refusals: list[ItemError | None] = []
        for picture in pictures:
            try:
                request.images.append(self._image(picture))
                refusals.append(None)
            except (OSError, ValueError) as error:
                refusals.append(picture_refused(image_id_of(picture), error, self.call.request_id))
        if request.ByteSize() > self.max_message_bytes:
            raise ValueError(
                f"the batch has {request.ByteSize()} bytes, at most {self.max_message_bytes} are sent: use a stream"
            )
        return request, refusals

    def _image(self, picture: PictureSource | Picture) -> image_pb2.Image:
        room_bytes = self.max_message_bytes - _MESSAGE_ROOM_BYTES - self.options.ByteSize()
        return image_message(picture, max_bytes=max(1, room_bytes))


def plan_request(
    messages: RequestMessages[Single, Batched, Streamed],
    options: Any,
    keywords: CallKeywords,
    *,
    default_timeout_s: float,
    max_message_bytes: int,
) -> RequestPlan[Single, Batched, Streamed]:
    """Return the plan of a call with these options and keywords.

    Args:
        messages: what the service takes.
        options: the service's own message of them, checked.
        keywords: those that every service has; others are passed over.
        default_timeout_s: deadline of a call that names none, seconds.
        max_message_bytes: the most that is sent in one message.

    Raises:
        ValueError: a keyword is out of range; the message names it.
    """
    model = keywords.get("model")
    return RequestPlan(
        messages=messages,
        model=None if model is None else parse_model(model),
        options=options,
        max_message_bytes=max_message_bytes,
        call=plan_call(default_timeout_s, keywords.get("timeout_s"), keywords.get("request_id")),
    )
