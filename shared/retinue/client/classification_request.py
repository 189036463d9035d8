"""What a caller may ask of a classification service, checked and turned into messages before anything is sent."""

from typing import Literal

from retinue.classification.v1 import classification_pb2
from retinue.client.keywords import CallKeywords, check_known, checked_count, checked_share
from retinue.client.request_plan import RequestMessages, RequestPlan, plan_request

Activation = Literal["softmax", "sigmoid"]

ClassificationPlan = RequestPlan[
    classification_pb2.ClassifyRequest,
    classification_pb2.BatchClassifyRequest,
    classification_pb2.ClassifyStreamRequest,
]

_MESSAGES = RequestMessages(
    classification_pb2.ClassifyRequest,
    classification_pb2.BatchClassifyRequest,
    classification_pb2.ClassifyStreamRequest,
)
_ACTIVATIONS = {
    None: classification_pb2.ACTIVATION_UNSPECIFIED,
    "softmax": classification_pb2.ACTIVATION_SOFTMAX,
    "sigmoid": classification_pb2.ACTIVATION_SIGMOID,
}


class ClassifyKeywords(CallKeywords, total=False):
    """The keyword arguments of every classify method; all may be left out or None."""

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
    check_known(keywords, ClassifyKeywords)
    activation = keywords.get("activation")
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}, must be 'softmax' or 'sigmoid'")
    options = classification_pb2.ClassificationOptions(
        top_k=checked_count("top_k", keywords.get("top_k")),
        score_threshold=checked_share("score_threshold", keywords.get("score_threshold")),
        activation=_ACTIVATIONS[activation],
        return_logits=keywords.get("return_logits", False),
        return_embedding=keywords.get("return_embedding", False),
    )
    return plan_request(
        _MESSAGES, options, keywords, default_timeout_s=default_timeout_s, max_message_bytes=max_message_bytes
    )
