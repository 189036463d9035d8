"""Typed clients of the services: pictures in, answers as values out."""

from retinue.client.channel import Target
from retinue.client.classification import ClassificationClient
from retinue.client.classification_answer import Classification, ImageInfo, Label, ScoredLabel, Timings
from retinue.client.classification_async import AsyncClassificationClient
from retinue.client.classification_request import ClassifyKeywords
from retinue.client.drawing import draw_classification
from retinue.client.errors import CallFailed, DeadlinePassed, ItemError, Overloaded, ServiceUnavailable
from retinue.client.pictures import Picture, PictureSource

__all__ = [
    "AsyncClassificationClient",
    "CallFailed",
    "Classification",
    "ClassificationClient",
    "ClassifyKeywords",
    "DeadlinePassed",
    "ImageInfo",
    "ItemError",
    "Label",
    "Overloaded",
    "Picture",
    "PictureSource",
    "ScoredLabel",
    "ServiceUnavailable",
    "Target",
    "Timings",
    "draw_classification",
]
