"""Typed clients of the services: pictures in, answers as values out."""

from retinue.client.channel import Target
from retinue.client.classification import ClassificationClient
from retinue.client.classification_answer import Classification, Label, ScoredLabel
from retinue.client.classification_async import AsyncClassificationClient
from retinue.client.classification_drawing import draw_classification
from retinue.client.classification_request import ClassifyKeywords
from retinue.client.errors import CallFailed, DeadlinePassed, ItemError, Overloaded, ServiceUnavailable
from retinue.client.image_info import ImageInfo
from retinue.client.pictures import Picture, PictureSource
from retinue.client.timings import Timings

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
