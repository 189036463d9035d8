"""The embedded classification models: trained, calibrated, measured as they are served, and packaged.

    python -m retinue.zoo.recipes.digits --model digits-mobilenet --root services/classification/models

Training sees the train part alone. The open-set method and its threshold are chosen on the validation part. All figures
in the manifest are of the test part: picture file, decoding, the manifest's input policy, ONNX Runtime. Everything is
seeded and runs in one thread: one kind of processor makes the same bits again, another kind may round otherwise.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
import torch

from retinue.runtime.classification_manifest import InputPolicy
from retinue.zoo.classifier import Classifier
from retinue.zoo.export import export_classifier
from retinue.zoo.mobilenet_v3 import SMALL, MobileNetV3
from retinue.zoo.package import write_package
from retinue.zoo.recipes.calibration import Method
from retinue.zoo.recipes.handwriting import read_digits
from retinue.zoo.recipes.measurement import OPENMAX_FILE, ServedGraph, measure
from retinue.zoo.recipes.training import MEAN, STD, Schedule, train
from retinue.zoo.vision_transformer import VisionTransformer

VERSION = "1"
CREATED = "2026-11-24"
DATA = (
    "Digits bundled with scikit-learn: the test part of the UCI set Optical Recognition of Handwritten Digits "
    "(E. Alpaydin and C. Kaynak, 1998), CC BY 4.0. 60 % train, 15 % validation, 25 % test, stratified, by a fixed seed."
)
POLICY = InputPolicy(height=32, width=32, fit="stretch", kernel="area")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that one model differs in from the other."""

    description: str
    build: Callable[[], Classifier]
    schedule: Schedule
    preferred_method: Method
    """Open-set method to keep unless another measures better; the two models' differ so that both ways are served."""


RECIPES = {
    "digits-mobilenet": Recipe(
        "Handwritten digits, light on dark or dark on light: MobileNetV3-small at half width, 32x32 pixels.",
        lambda: MobileNetV3(SMALL, class_count=10, last_channels=256, width=0.5, skipped_strides=2),
        Schedule(epochs=60, learning_rate=4e-3),
        preferred_method="energy",
    ),
    "digits-vit": Recipe(
        "Handwritten digits, light on dark or dark on light: a small Vision Transformer, 32x32 pixels in 4x4 patches.",
        lambda: VisionTransformer(image_size=32, patch_size=4, hidden=96, depth=6, heads=3, mlp=192, class_count=10),
        Schedule(epochs=150, learning_rate=1.5e-3, batch_size=32, patterns_per_digit=0.2, gentle_share=0.5),
        preferred_method="max_softmax",
    ),
}


def make_package(name: str, root: Path, *, overwrite: bool = False, epochs: int | None = None) -> Path:
    """Return the folder of a digits model after training, calibrating, measuring and packaging it.

    Args:
        name: one of `RECIPES`.
        root: the model repository.
        overwrite: whether a package that is there is replaced.
        epochs: another number than the recipe's, to try things out.
    """
    recipe = RECIPES[name]
    schedule = recipe.schedule if epochs is None else replace(recipe.schedule, epochs=epochs)
    torch.set_num_threads(1)  # sums of several threads come out in any order
    torch.manual_seed(schedule.seed)
    model = recipe.build()
    train(model, read_digits("train"), POLICY, schedule)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder, "model.onnx")
        export_classifier(model, graph, height=POLICY.height, width=POLICY.width, mean=MEAN, std=STD)
        place = package_graph(name, graph, root, overwrite=overwrite)
    _log.info("package_written", folder=str(place))
    return place


def package_graph(name: str, graph: Path, root: Path, *, overwrite: bool = False) -> Path:
    """Return the folder of a digits model after calibrating and measuring its exported graph and packaging it."""
    recipe = RECIPES[name]
    calibration = graph.with_name(OPENMAX_FILE)
    measured = measure(ServedGraph(graph, POLICY), recipe.preferred_method, calibration)
    fields = {
        "name": name,
        "version": VERSION,
        "description": recipe.description,
        "task": "classification",
        "family": "logits",
        "labels": [str(digit) for digit in range(10)],
        "input": POLICY.model_dump(exclude_none=True),
        "output": {"embedding": "embedding", "embedding_size": recipe.build().embedding_size},
        **measured,
        "provenance": {
            "source": "Retinue's own, trained from random weights.",
            "recipe": f"python -m retinue.zoo.recipes.digits --model {name} --root services/classification/models",
            "data": DATA,
            "created": CREATED,
        },
        "licence": "Apache-2.0",
    }
    files = {"model.onnx": graph}
    if measured["open_set"]["file"] is not None:
        files[OPENMAX_FILE] = calibration
    return write_package(root, fields, files, overwrite=overwrite)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m retinue.zoo.recipes.digits", description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=sorted(RECIPES), required=True, help="which model to make")
    parser.add_argument("--root", type=Path, required=True, help="the model repository to write it into")
    parser.add_argument("--overwrite", action="store_true", help="replace the package if it is there")
    parser.add_argument("--epochs", type=int, help="another number than the recipe's, to try things out")
    chosen = parser.parse_args(arguments)
    make_package(chosen.model, chosen.root, overwrite=chosen.overwrite, epochs=chosen.epochs)


if __name__ == "__main__":
    main()
