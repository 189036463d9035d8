from dataclasses import replace
from pathlib import Path

import pytest

from retinue.runtime.manifest import Accuracy
from retinue.zoo.recipes.rounds.measurement import COIN_BOXES, measure_coins, measure_scenes, measured
from retinue.zoo.recipes.rounds.scenes import CLASSES
from retinue.zoo.two_stage import TwoStage
from tests.unit.zoo.test_export_faster_rcnn import POLICY, export_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the graphs of a detector that has learnt nothing."""
    return export_tiny(tmp_path_factory.mktemp("detector"))


def test_who_has_learnt_nothing_finds_little(folder: Path) -> None:
    figures = measure_scenes(TwoStage(folder, POLICY), count=3)
    assert set(figures) == {"AP", "AP50", *CLASSES}
    assert figures["AP50"] < 0.1


def test_who_says_nothing_finds_no_coin_and_is_never_wrong(folder: Path) -> None:
    figures = measure_coins(TwoStage(folder, replace(POLICY, score_threshold=1.0)))
    assert (figures.found, figures.false) == (0, 0)


def test_figures_come_as_the_manifest_holds_them(folder: Path) -> None:
    figures = [Accuracy.model_validate(figure) for figure in measured(TwoStage(folder, POLICY), scene_count=1)]
    names = [figure.metric for figure in figures]
    assert names == ["AP", "AP50", *(f"AP50 {name}" for name in CLASSES), "coins found", "false boxes"]
    assert {figure.sample_count for figure in figures} == {1}


def test_the_photograph_has_24_coins() -> None:
    assert COIN_BOXES.shape == (24, 4)
    assert (COIN_BOXES[:, 2:] > COIN_BOXES[:, :2]).all()
    assert (COIN_BOXES <= [384, 303, 384, 303]).all()
