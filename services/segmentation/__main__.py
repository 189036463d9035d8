"""`python -m services.segmentation`: serve until SIGTERM."""

import sys
from pathlib import Path

import grpc

from retinue.runtime.models import Models
from retinue.segmentation.v1 import segmentation_pb2_grpc
from retinue.serving.entry import run_service
from retinue.serving.metrics import Metrics
from retinue.serving.model_service import ModelService
from services.segmentation.pipeline import SegmentationPipeline
from services.segmentation.segmentations import Segmentation, SegmentationItem
from services.segmentation.servicer import SegmentationServicer
from services.segmentation.settings import SegmentationSettings
from services.segmentation.tensors import SegmentationTensorModels


def _add_to_server(
    server: grpc.Server,
    models: Models[SegmentationItem, Segmentation],
    metrics: Metrics,
    settings: SegmentationSettings,
) -> None:
    servicer = SegmentationServicer(models, metrics, settings)
    segmentation_pb2_grpc.add_SegmentationServiceServicer_to_server(servicer, server)


SERVICE = ModelService(
    task="segmentation",
    full_name="retinue.segmentation.v1.SegmentationService",
    embedded_root=Path(__file__).parent / "models",
    default_model="rounds-unet",
    build=SegmentationPipeline,
    add_to_server=_add_to_server,
    tensor_models=SegmentationTensorModels,
    asking_methods=("Segment", "BatchSegment"),
)


if __name__ == "__main__":
    sys.exit(run_service(SERVICE, SegmentationSettings))
