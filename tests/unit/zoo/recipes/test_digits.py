"""The embedded models are what their manifests say: measured again, from picture file to answer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import OpenMax, energy_score, max_softmax_score
from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.package import Package, open_package
from retinue.zoo.recipes.calibration import Answers
from retinue.zoo.recipes.digits import POLICY, RECIPES, main
from retinue.zoo.recipes.measurement import OPENMAX_FILE, RENDERINGS, ServedGraph, accuracies, digit_files
from retinue.zoo.recipes.samples import SAMPLES

CLASSIFICATION = Path(__file__).parents[4] / "services" / "classification"
# What another processor's rounding may change: two pictures of 450.
ACCURACY_TOLERANCE = 0.005
LEAST_TOP1 = {"digits-mobilenet": 0.985, "digits-vit": 0.97}


@pytest.fixture(params=sorted(RECIPES))
def package(request: pytest.FixtureRequest) -> Package:
    return open_package(CLASSIFICATION / "models" / request.param / "1")


def _are_unknown(package: Package, answers: Answers) -> list[bool]:
    open_set = ClassificationManifest.of(package.manifest).open_set
    assert open_set is not None
    scores: NDArray[np.floating[Any]]
    match open_set.method:
        case "max_softmax":
            scores = max_softmax_score(answers.logits)
        case "energy":
            scores = energy_score(answers.logits, open_set.temperature)
        case "openmax":
            scores = OpenMax.load(package.path(OPENMAX_FILE)).score(answers.embeddings, answers.logits)
    return [bool(score > open_set.threshold) for score in scores]


def test_the_package_is_whole_and_small(package: Package) -> None:
    package.verify()
    files = [path for path in package.folder.iterdir() if path.is_file()]
    assert {path.name for path in files} == {"model.yaml", *package.manifest.files}
    assert sum(path.stat().st_size for path in files) <= 3_000_000


def test_the_manifest_holds_the_recipe(package: Package) -> None:
    recipe = RECIPES[package.name]
    assert package.manifest.input == POLICY
    assert package.manifest.description == recipe.description
    assert package.manifest.labels == tuple("0123456789")


def test_the_held_out_figures_are_the_manifests(package: Package) -> None:
    files, labels = digit_files("test")
    measured = accuracies(
        ServedGraph(package.path("model.onnx"), ClassificationManifest.of(package.manifest).input).answer(files), labels
    )
    stated = [figure.value for figure in package.manifest.accuracy if figure.metric == "top1"]
    assert measured == pytest.approx(stated, abs=ACCURACY_TOLERANCE)
    for rendering, top1 in zip(RENDERINGS[:2], measured, strict=False):
        assert top1 >= LEAST_TOP1[package.name], rendering


def test_the_samples_are_told_and_the_texture_is_unknown(package: Package) -> None:
    files = [(CLASSIFICATION / "samples" / sample.file_name).read_bytes() for sample in SAMPLES]
    answers = ServedGraph(package.path("model.onnx"), ClassificationManifest.of(package.manifest).input).answer(files)
    told = [package.manifest.labels[label] for label in answers.logits.argmax(axis=1)]
    for sample, label, is_unknown in zip(SAMPLES, told, _are_unknown(package, answers), strict=True):
        assert is_unknown == (sample.label is None), sample.file_name
        assert sample.label in (None, label), sample.file_name


def test_an_unknown_model_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--model", "letters", "--root", str(tmp_path)])
    assert "invalid choice: 'letters'" in capsys.readouterr().err


@pytest.mark.slow
def test_the_recipe_writes_a_package_that_can_be_opened(tmp_path: Path) -> None:
    """Twelve epochs: enough to get every digit right sometimes, not to be good."""
    main(["--model", "digits-mobilenet", "--root", str(tmp_path), "--epochs", "12"])
    package = open_package(tmp_path / "digits-mobilenet" / "1")
    package.verify()
    assert len(package.manifest.accuracy) == len(RENDERINGS) + 2
