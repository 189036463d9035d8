"""What a caller may ask of a classification service, checked and turned into messages before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from retinue.classification.v1 import classification_pb2
from retinue.client.call import Call, plan_call
from retinue.client.errors import ItemError, picture_refused
from retinue.client.pictures import Picture, PictureSource, image_id_of, image_message
from retinue.common.v1 import image_pb2, model_pb2

Activation = Literal["softmax", "sigmoid"]

_ACTIVATIONS = {
    None: classification_pb2.ACTIVATION_UNSPECIFIED,
    "softmax": classification_pb2.ACTIVATION_SOFTMAX,
    "sigmoid": classification_pb2.ACTIVATION_SIGMOID,
}
_MESSAGE_ROOM_BYTES = 4096  # for everything of a message but its picture: ids, model, options


class ClassifyKeywords(TypedDict, total=False):
    """The keyword arguments of every classify method; all may be left out or None."""

    model: str | None
    """``"name"`` or ``"name@version"``; by default the service's default model, its latest version."""
    top_k: int | None
    """At most this many labels, best first, at least 1; by default 5."""
    score_threshold: float | None
    """Labels below this score are left out, in [0, 1]; by default none is."""
    activation: Activation | None
    """How logits become scores: ``"softmax"``, ``"sigmoid"``; by default as the model says."""
    return_logits: bool
    """Whether to return the logits of all classes."""
    return_embedding: bool
    """Whether to return the features before the last layer."""
    timeout_s: float | None
    """Deadline of this call, seconds, above 0; by default the client's."""
    request_id: str | None
    """What the call is called in the service's logs; by default a fresh one."""


@dataclass(frozen=True, slots=True)
class ClassificationPlan:
    """A checked request without its pictures, and the call that carries it."""

    model: model_pb2.ModelRef | None
    options: classification_pb2.ClassificationOptions
    max_message_bytes: int
    call: Call

    def single(self, picture: PictureSource | Picture) -> classification_pb2.ClassifyRequest:
        """Return the request for one picture; raises as `image_message` does."""
        return classification_pb2.ClassifyRequest(image=self._image(picture), model=self.model, options=self.options)

    def streamed(self, picture: PictureSource | Picture) -> classification_pb2.ClassifyStreamRequest | ItemError:
        """Return the message for one picture of a stream, or why it cannot be sent.

        Raises:
            TypeError: it is no kind of picture.
        """
        try:
            return classification_pb2.ClassifyStreamRequest(request=self.single(picture))
        except (OSError, ValueError) as error:
            return picture_refused(image_id_of(picture), error, self.call.request_id)

    def batched(
        self, pictures: Sequence[PictureSource | Picture]
    ) -> tuple[classification_pb2.BatchClassifyRequest, list[ItemError | None]]:
        """Return the request for all pictures that can be sent; and by picture why it cannot, or None where it can.

        Raises:
            TypeError: one is no kind of picture.
            ValueError: together they are above the message limit.
        """
        request = classification_pb2.BatchClassifyRequest(model=self.model, options=self.options)
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
        return image_message(picture, max_bytes=max(1, self.max_message_bytes - _MESSAGE_ROOM_BYTES))


def plan_classification(
    default_timeout_s: float,
    max_message_bytes: int,
    keywords: ClassifyKeywords,
) -> ClassificationPlan:
    """Return the plan of a call with these keywords.

    Raises:
        TypeError: there is a keyword that is not one of `ClassifyKeywords`.
        ValueError: one is out of range; the message names it.
    """
    unknown = keywords.keys() - ClassifyKeywords.__annotations__.keys()
    if unknown:
        raise TypeError(
            f"unknown keyword {', '.join(sorted(unknown))}; known: {', '.join(ClassifyKeywords.__annotations__)}"
        )
    activation = keywords.get("activation")
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}, must be 'softmax' or 'sigmoid'")
    top_k = keywords.get("top_k")
    if top_k is not None and not 1 <= top_k < 2**31:
        raise ValueError(f"top_k is {top_k}, must be at least 1")
    score_threshold = keywords.get("score_threshold")
    if score_threshold is not None and not 0 <= score_threshold <= 1:
        raise ValueError(f"score_threshold is {score_threshold}, must be in [0, 1]")
    model = keywords.get("model")
    return ClassificationPlan(
        model=None if model is None else parse_model(model),
        options=classification_pb2.ClassificationOptions(
            top_k=top_k,
            score_threshold=score_threshold,
            activation=_ACTIVATIONS[activation],
            return_logits=keywords.get("return_logits", False),
            return_embedding=keywords.get("return_embedding", False),
        ),
        max_message_bytes=max_message_bytes,
        call=plan_call(default_timeout_s, keywords.get("timeout_s"), keywords.get("request_id")),
    )


def parse_model(text: str) -> model_pb2.ModelRef:
    """Return the model that ``name`` or ``name@version`` names.

    Raises:
        ValueError: the name is empty, or there is an ``@`` and no version after it.

    >>> parse_model("pollen@2").version
    '2'
    """
    name, at, version = text.partition("@")
    if not name or bool(at) != bool(version):
        raise ValueError(f"model is {text!r}, must be name or name@version")
    return model_pb2.ModelRef(name=name, version=version)
