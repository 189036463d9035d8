"""A UNet's checkpoint becomes a package whose manifest says what it was read off."""

from pathlib import Path
from typing import Any

import pytest
import torch

from retinue.runtime.package import open_package
from retinue.runtime.segmentation_manifest import ScaleInput, SemanticManifest
from retinue.zoo.errors import CheckpointInvalid, PackageExists, PackageRefused
from retinue.zoo.segmenter_import import import_segmenter, is_segmenter
from retinue.zoo.unet import UNet


def checkpoint(folder: Path, class_count: int = 3, name: str = "unet.pth") -> Path:
    torch.manual_seed(0)
    state = UNet(class_count, widths=(4, 6, 8)).state_dict()
    torch.save({**state, "mask_values": [0, 255]}, folder / name)
    return folder / name


def imported(path: Path, **options: Any) -> SemanticManifest:
    package = open_package(import_segmenter(path, path.parent / "models", name="mine", **options))
    package.verify()
    return SemanticManifest.of(package.manifest)


def test_classes_are_numbered_or_named(tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    assert imported(path).labels == ("class_0000", "class_0001", "class_0002")
    assert imported(path, labels=["a", "b", "c"], overwrite=True).labels == ("a", "b", "c")
    with pytest.raises(PackageRefused, match="2 names for 3 classes"):
        imported(path, labels=["a", "b"], overwrite=True)


def test_the_most_probable_class_counts_and_of_a_single_one_half(tmp_path: Path) -> None:
    several = imported(checkpoint(tmp_path)).output
    assert (several.activation, several.threshold) == ("softmax", None)
    single = imported(checkpoint(tmp_path, 1), overwrite=True).output
    assert (single.activation, single.threshold) == ("sigmoid", 0.5)


@pytest.mark.parametrize(
    ("name", "options", "factor"),
    [
        ("unet_carvana_scale0.5_epoch2.pth", {}, 0.5),
        ("unet_carvana_scale1.0_epoch2.pth", {}, 1.0),
        ("unet.pth", {}, 1.0),
        ("unet_carvana_scale0.5_epoch2.pth", {"factor": 0.25}, 0.25),
    ],
)
def test_the_scale_is_that_of_the_files_name_unless_it_is_given(
    tmp_path: Path, name: str, options: dict[str, Any], factor: float
) -> None:
    policy = imported(checkpoint(tmp_path, name=name), **options).input
    assert isinstance(policy, ScaleInput)
    assert (policy.factor, policy.kernel, policy.antialias) == (factor, "bicubic", True)
    assert policy.stride_px == 4  # of a network of three levels


def test_what_is_no_unet_is_refused(tmp_path: Path) -> None:
    state = {"features.0.weight": torch.zeros(1)}
    assert not is_segmenter(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointInvalid, match="no segmentation model that the zoo knows"):
        imported(tmp_path / "other.pth")


def test_a_package_that_is_there_is_kept_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "models" / "mine" / "1").mkdir(parents=True)
    with pytest.raises(PackageExists):
        imported(tmp_path / "none.pth")
