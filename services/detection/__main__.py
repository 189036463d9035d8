"""`python -m services.detection`: serve until SIGTERM."""

import sys
from pathlib import Path

import grpc

from retinue.detection.v1 import detection_pb2_grpc
from retinue.runtime.models import Models
from retinue.serving.entry import run_service
from retinue.serving.metrics import Metrics
from retinue.serving.model_service import ModelService
from services.detection.detections import DetectionItem, Detections
from services.detection.pipeline import DetectionPipeline
from services.detection.servicer import DetectionServicer
from services.detection.settings import DetectionSettings
from services.detection.tensors import DetectionTensorModels


def _add_to_server(
    server: grpc.Server,
    models: Models[DetectionItem, Detections],
    metrics: Metrics,
    settings: DetectionSettings,
) -> None:
    servicer = DetectionServicer(models, metrics, settings)
    detection_pb2_grpc.add_DetectionServiceServicer_to_server(servicer, server)


SERVICE = ModelService(
    task="detection",
    full_name="retinue.detection.v1.DetectionService",
    embedded_root=Path(__file__).parent / "models",
    default_model="rounds-frcnn",
    build=DetectionPipeline,
    add_to_server=_add_to_server,
    tensor_models=DetectionTensorModels,
    asking_methods=("Detect", "BatchDetect"),
)


if __name__ == "__main__":
    sys.exit(run_service(SERVICE, DetectionSettings))
