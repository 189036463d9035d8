"""Typed clients of the services: pictures in, answers as values out."""

from retinue.client.channel import Target
from retinue.client.class_regions import NO_CLASS, ClassRegion
from retinue.client.classification import ClassificationClient
from retinue.client.classification_answer import Classification, Label, ScoredLabel
from retinue.client.classification_async import AsyncClassificationClient
from retinue.client.classification_drawing import draw_classification
from retinue.client.classification_request import ClassifyKeywords
from retinue.client.curve_drawing import draw_curves
from retinue.client.detection import DetectionClient
from retinue.client.detection_answer import Detection, DetectionAnswer
from retinue.client.detection_async import AsyncDetectionClient
from retinue.client.detection_drawing import draw_detections
from retinue.client.detection_request import DetectKeywords
from retinue.client.errors import CallFailed, DeadlinePassed, ItemError, Overloaded, ServiceUnavailable
from retinue.client.evaluation_answer import ClassEvaluation, CocoSummary, Evaluation, PrecisionRecallCurve
from retinue.client.evaluation_request import EvaluateKeywords, EvaluationImage
from retinue.client.image_info import ImageInfo
from retinue.client.matching import MatchingClient
from retinue.client.matching_answers import (
    Assignment,
    BoxesMatching,
    DetrMatching,
    InstancesMatching,
    Pairs,
    PairScores,
    PointsMatching,
)
from retinue.client.matching_async import AsyncMatchingClient
from retinue.client.matching_problems import (
    AssignmentProblem,
    BoxesProblem,
    DetrProblem,
    InstancesProblem,
    PointsProblem,
)
from retinue.client.pictures import Picture, PictureSource
from retinue.client.segmentation import SegmentationClient
from retinue.client.segmentation_answer import Instance, SegmentationAnswer
from retinue.client.segmentation_async import AsyncSegmentationClient
from retinue.client.segmentation_drawing import draw_segmentation
from retinue.client.segmentation_request import SegmentKeywords
from retinue.client.segmentation_tiling import SegmentationTiling
from retinue.client.slide_answer import (
    ClassSummary,
    SegmentedTile,
    SlideEvent,
    SlideInstance,
    SlideInstances,
    SlideSummary,
)
from retinue.client.slide_geometry import SlideGeometry
from retinue.client.slide_request import SlideTile
from retinue.client.tiling import Tiling
from retinue.client.timings import Timings
from retinue.client.tracking_answer import TrackedFrame
from retinue.client.tracking_request import TrackFrame, TrackKeywords

__all__ = [
    "NO_CLASS",
    "Assignment",
    "AssignmentProblem",
    "AsyncClassificationClient",
    "AsyncDetectionClient",
    "AsyncMatchingClient",
    "AsyncSegmentationClient",
    "BoxesMatching",
    "BoxesProblem",
    "CallFailed",
    "ClassEvaluation",
    "ClassRegion",
    "ClassSummary",
    "Classification",
    "ClassificationClient",
    "ClassifyKeywords",
    "CocoSummary",
    "DeadlinePassed",
    "DetectKeywords",
    "Detection",
    "DetectionAnswer",
    "DetectionClient",
    "DetrMatching",
    "DetrProblem",
    "EvaluateKeywords",
    "Evaluation",
    "EvaluationImage",
    "ImageInfo",
    "Instance",
    "InstancesMatching",
    "InstancesProblem",
    "ItemError",
    "Label",
    "MatchingClient",
    "Overloaded",
    "PairScores",
    "Pairs",
    "Picture",
    "PictureSource",
    "PointsMatching",
    "PointsProblem",
    "PrecisionRecallCurve",
    "ScoredLabel",
    "SegmentKeywords",
    "SegmentationAnswer",
    "SegmentationClient",
    "SegmentationTiling",
    "SegmentedTile",
    "ServiceUnavailable",
    "SlideEvent",
    "SlideGeometry",
    "SlideInstance",
    "SlideInstances",
    "SlideSummary",
    "SlideTile",
    "Target",
    "Tiling",
    "Timings",
    "TrackFrame",
    "TrackKeywords",
    "TrackedFrame",
    "draw_classification",
    "draw_curves",
    "draw_detections",
    "draw_segmentation",
]
