"""Typed clients of the services: pictures in, answers as values out."""

from retinue.client.channel import Target
from retinue.client.classification import ClassificationClient
from retinue.client.classification_answer import Classification, Label, ScoredLabel
from retinue.client.classification_async import AsyncClassificationClient
from retinue.client.classification_drawing import draw_classification
from retinue.client.classification_request import ClassifyKeywords
from retinue.client.detection import DetectionClient
from retinue.client.detection_answer import Detection, DetectionAnswer
from retinue.client.detection_async import AsyncDetectionClient
from retinue.client.detection_drawing import draw_detections
from retinue.client.detection_request import DetectKeywords
from retinue.client.errors import CallFailed, DeadlinePassed, ItemError, Overloaded, ServiceUnavailable
from retinue.client.image_info import ImageInfo
from retinue.client.pictures import Picture, PictureSource
from retinue.client.tiling import Tiling
from retinue.client.timings import Timings

__all__ = [
    "AsyncClassificationClient",
    "AsyncDetectionClient",
    "CallFailed",
    "Classification",
    "ClassificationClient",
    "ClassifyKeywords",
    "DeadlinePassed",
    "DetectKeywords",
    "Detection",
    "DetectionAnswer",
    "DetectionClient",
    "ImageInfo",
    "ItemError",
    "Label",
    "Overloaded",
    "Picture",
    "PictureSource",
    "ScoredLabel",
    "ServiceUnavailable",
    "Target",
    "Tiling",
    "Timings",
    "draw_classification",
    "draw_detections",
]
