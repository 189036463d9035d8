"""The embedded detector is what its manifest says: measured again, picture to boxes."""

from pathlib import Path

import pytest

from retinue.runtime.package import Package, open_package
from retinue.zoo.recipes.rounds.detector import NAME, POLICY, VERSION
from retinue.zoo.recipes.rounds.measurement import measure_coins, measured
from retinue.zoo.recipes.rounds.scenes import CLASSES
from retinue.zoo.two_stage import TwoStage

MODELS = Path(__file__).parents[5] / "services" / "detection" / "models"
# What another processor's rounding may change.
AP_TOLERANCE = 0.005


@pytest.fixture(scope="module")
def package() -> Package:
    return open_package(MODELS / NAME / VERSION)


def test_the_package_is_whole_and_small(package: Package) -> None:
    package.verify()
    files = [path for path in package.folder.iterdir() if path.is_file()]
    assert {path.name for path in files} == {"model.yaml", *package.manifest.files}
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    assert package.manifest.labels == ("background", *CLASSES)


def test_all_coins_of_the_photograph_are_found_and_at_most_one_that_is_none(package: Package) -> None:
    figures = measure_coins(TwoStage(package.folder, POLICY))
    assert figures.found == 24
    assert figures.false <= 1


def test_the_manifests_figures_meet_what_was_asked_for(package: Package) -> None:
    stated = {figure.metric: figure.value for figure in package.manifest.accuracy}
    assert stated["AP50"] >= 0.95
    assert stated["AP"] >= 0.70
    assert (stated["coins found"], stated["false boxes"]) == (24, 0)


@pytest.mark.slow
def test_the_held_out_figures_are_the_manifests(package: Package) -> None:
    stated = {figure.metric: figure.value for figure in package.manifest.accuracy}
    again = {figure["metric"]: figure["value"] for figure in measured(TwoStage(package.folder, POLICY))}
    assert again == pytest.approx(stated, abs=AP_TOLERANCE)
