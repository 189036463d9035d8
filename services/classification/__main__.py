"""`python -m services.classification`: serve until SIGTERM."""

import sys
from pathlib import Path

import grpc

from retinue.classification.v1 import classification_pb2_grpc
from retinue.runtime.models import Models
from retinue.serving.entry import run_service
from retinue.serving.metrics import Metrics
from retinue.serving.model_service import ModelService
from services.classification.pipeline import Classification, ClassificationItem, ClassificationPipeline
from services.classification.servicer import ClassificationServicer
from services.classification.settings import ClassificationSettings
from services.classification.tensors import ClassificationTensorModels


def _add_to_server(
    server: grpc.Server,
    models: Models[ClassificationItem, Classification],
    metrics: Metrics,
    settings: ClassificationSettings,
) -> None:
    servicer = ClassificationServicer(models, metrics, settings)
    classification_pb2_grpc.add_ClassificationServiceServicer_to_server(servicer, server)


SERVICE = ModelService(
    task="classification",
    full_name="retinue.classification.v1.ClassificationService",
    embedded_root=Path(__file__).parent / "models",
    default_model="digits-mobilenet",
    build=ClassificationPipeline,
    add_to_server=_add_to_server,
    tensor_models=ClassificationTensorModels,
    asking_methods=("Classify", "BatchClassify"),
)


if __name__ == "__main__":
    sys.exit(run_service(SERVICE, ClassificationSettings))
