"""`python -m services.classification`: serve until SIGTERM."""

import argparse
import sys
from pathlib import Path

import grpc

from retinue.classification.v1 import classification_pb2_grpc
from retinue.runtime.models import Models
from retinue.serving.host import Service, serve
from retinue.serving.metrics import Metrics
from retinue.serving.settings import ServiceSettings, SettingsInvalid, load_settings
from services.classification.pipeline import Classification, ClassificationItem, ClassificationPipeline
from services.classification.servicer import ClassificationServicer
from services.classification.settings import ClassificationSettings
from services.classification.tensors import ClassificationTensorModels


def _add_to_server(
    server: grpc.Server,
    models: Models[ClassificationItem, Classification],
    metrics: Metrics,
    settings: ServiceSettings,
) -> None:
    servicer = ClassificationServicer(models, metrics, settings)
    classification_pb2_grpc.add_ClassificationServiceServicer_to_server(servicer, server)


SERVICE = Service(
    task="classification",
    full_name="retinue.classification.v1.ClassificationService",
    embedded_root=Path(__file__).parent / "models",
    default_model="digits-mobilenet",
    build=ClassificationPipeline,
    add_to_server=_add_to_server,
    tensor_models=ClassificationTensorModels,
)


def main() -> int:
    """Serve classification and return the exit code of the process."""
    parser = argparse.ArgumentParser(prog="python -m services.classification", description="Serve classification.")
    parser.add_argument("--config", type=Path, help="YAML file with settings; RETINUE_… variables come before it")
    arguments = parser.parse_args()
    try:
        settings = load_settings(ClassificationSettings, arguments.config)
    except SettingsInvalid as error:
        print(f"settings: {error}", file=sys.stderr)  # noqa: T201 - the log is not configured yet
        return 2
    return serve(SERVICE, settings)


if __name__ == "__main__":
    sys.exit(main())
