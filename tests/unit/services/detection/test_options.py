"""What a caller may ask for, and what the manifest says where a caller says nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retinue.detection.v1 import detection_pb2 as pb
from retinue.runtime.detection_manifest import DetectionManifest
from retinue.runtime.errors import InvalidInput
from retinue.runtime.manifest_file import read_manifest
from services.detection.options import options_of, tiling_of
from services.detection.pipeline import detection_manifest_of
from services.detection.tiling import Tiling
from tests.unit.services.detection.tiny_detectors import write_two_stage, write_yolo

NAN, INF = float("nan"), float("inf")
LABELS = ("ring", "disc", "N/A", "cross", "N/A")
SELECTION = {
    "score_threshold": 0.3,
    "nms": "diou",
    "iou_threshold": 0.6,
    "is_class_agnostic": True,
    "max_detections": 7,
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> DetectionManifest:
    root: Path = tmp_path_factory.mktemp("models")
    folder = write_yolo(root, np.zeros((1, 9)), labels=LABELS, selection=SELECTION)
    return detection_manifest_of(read_manifest(folder))


@pytest.fixture(scope="module")
def two_stage(tmp_path_factory: pytest.TempPathFactory) -> DetectionManifest:
    folder = write_two_stage(tmp_path_factory.mktemp("models"), labels=("nothing", "ring", "disc"))
    return detection_manifest_of(read_manifest(folder))


def refusal(call: Any, *arguments: Any) -> tuple[str, str]:
    """Return the field that is named and what is said of it."""
    with pytest.raises(InvalidInput) as caught:
        call(*arguments)
    return caught.value.field, caught.value.problem


# --- options


def test_the_manifest_says_what_a_caller_does_not(manifest: DetectionManifest) -> None:
    options = options_of(pb.DetectionOptions(), manifest)
    assert options.score_threshold == 0.3
    assert options.class_ids is None
    assert options.nms == "diou"
    assert options.iou_threshold == 0.6
    assert options.sigma == 0.5
    assert options.is_class_agnostic is True
    assert options.max_detections == 7


def test_a_caller_may_say_everything(manifest: DetectionManifest) -> None:
    """Also what is the default of the wire, such as 0 and false."""
    asked = pb.DetectionOptions(
        score_threshold=0.0,
        nms_kind=pb.NMS_KIND_HARD,
        iou_threshold=0.0,
        sigma=2.0,
        is_class_agnostic=False,
        max_detections=1,
        class_ids=[3, 0, 3],
    )
    options = options_of(asked, manifest)
    assert (options.score_threshold, options.nms, options.iou_threshold) == (0.0, "hard", 0.0)
    assert (options.sigma, options.is_class_agnostic, options.max_detections) == (2.0, False, 1)
    assert options.class_ids == (0, 3)


@pytest.mark.parametrize("kind", [kind for kind in pb.NmsKind.values() if kind != pb.NMS_KIND_UNSPECIFIED])
def test_every_kind_of_the_contract_is_known_by_its_own_name(manifest: DetectionManifest, kind: Any) -> None:
    name = pb.NmsKind.Name(kind).removeprefix("NMS_KIND_").lower()
    assert options_of(pb.DetectionOptions(nms_kind=kind), manifest).nms == name


def test_a_name_stands_for_every_class_of_that_name(manifest: DetectionManifest) -> None:
    options = options_of(pb.DetectionOptions(class_names=["N/A", "ring"], class_ids=[3]), manifest)
    assert options.class_ids == (0, 2, 3, 4)


@pytest.mark.parametrize(("number", "is_taken"), [(0.0, True), (1.0, True), (1e-45, True), (-1e-45, False)])
@pytest.mark.parametrize("name", ["score_threshold", "iou_threshold"])
def test_shares_reach_from_0_to_1(manifest: DetectionManifest, name: str, number: float, is_taken: bool) -> None:  # noqa: FBT001
    asked = pb.DetectionOptions()
    setattr(asked, name, number)
    if is_taken:
        assert getattr(options_of(asked, manifest), name) == pytest.approx(number)
    else:
        assert refusal(options_of, asked, manifest)[0] == f"options.{name}"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        *[
            ({name: bad}, f"options.{name}")
            for name in ("score_threshold", "iou_threshold")
            for bad in (-0.1, 1.1, NAN, INF, -INF)
        ],
        *[({"sigma": bad}, "options.sigma") for bad in (0.0, -0.0, -1.0, NAN, INF, -INF)],
        *[({"max_detections": bad}, "options.max_detections") for bad in (0, -1, -(2**31))],
        *[({"nms_kind": bad}, "options.nms_kind") for bad in (7, -1, 2**31 - 1)],
        *[({"class_ids": [0, bad]}, "options.class_ids[1]") for bad in (-1, 5, 2**31 - 1, -(2**31))],
        *[({"class_names": ["ring", bad]}, "options.class_names[1]") for bad in ("", "Ring", "ring ", "x" * 100_000)],
    ],
)
def test_what_is_out_of_range_is_named(manifest: DetectionManifest, asked: Any, field: str) -> None:
    got, problem = refusal(options_of, pb.DetectionOptions(**asked), manifest)
    assert got == field
    assert len(problem) < 200


def test_a_class_that_is_not_there_is_told_with_what_is(
    manifest: DetectionManifest, two_stage: DetectionManifest
) -> None:
    assert refusal(options_of, pb.DetectionOptions(class_ids=[5]), manifest)[1] == "is 5; 0 to 4 are allowed"
    assert refusal(options_of, pb.DetectionOptions(class_ids=[3]), two_stage)[1] == "is 3; 1 to 2 are allowed"


@pytest.mark.parametrize("asked", [{"class_ids": [0]}, {"class_names": ["nothing"]}])
def test_background_is_no_class(two_stage: DetectionManifest, asked: Any) -> None:
    field, _ = refusal(options_of, pb.DetectionOptions(**asked), two_stage)
    assert field == f"options.{next(iter(asked))}[0]"


def test_many_names_are_looked_up_in_no_time(two_stage: DetectionManifest) -> None:
    """And not one by one in the list of labels, of which a model may have thousands."""
    labels = ("nothing", *map(str, range(20_000)))
    many = two_stage.model_copy(update={"labels": labels})
    options = options_of(pb.DetectionOptions(class_names=["19999"] * 20_000), many)
    assert options.class_ids == (20_000,)


# --- tiling


def tiled(**asked: Any) -> pb.DetectionOptions:
    return pb.DetectionOptions(tiling=pb.DetectionTiling(**asked))


def test_without_tiling_pictures_are_whole() -> None:
    assert tiling_of(pb.DetectionOptions()) is None


def test_a_tile_size_is_all_that_tiling_needs() -> None:
    assert tiling_of(tiled(tile_size_px=64)) == Tiling(64, 12, "ios", 0.5, is_whole_picture_added=False)


def test_a_caller_may_say_everything_of_tiling() -> None:
    asked = tiled(
        tile_size_px=33,
        overlap_px=0,
        merge_metric=pb.MERGE_METRIC_IOU,
        merge_threshold=0.0,
        is_whole_picture_added=True,
    )
    assert tiling_of(asked) == Tiling(33, 0, "iou", 0.0, is_whole_picture_added=True)


@pytest.mark.parametrize(
    "asked",
    [
        {"tile_size_px": 32},
        {"tile_size_px": 2**31 - 1},
        {"tile_size_px": 2**31 - 1, "overlap_px": 2**30 - 1},
        {"tile_size_px": 33, "overlap_px": 16},
        {"tile_size_px": 32, "merge_threshold": 1.0},
    ],
)
def test_the_ends_of_every_range_are_taken(asked: Any) -> None:
    """A tile that no picture fills is the picture."""
    tiling = tiling_of(tiled(**asked))
    assert tiling is not None
    if tiling.tile_size_px > 65535:
        assert len(tiling.plan(65535, 1)) == 1


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "tile_size_px"),
        *[({"tile_size_px": bad}, "tile_size_px") for bad in (0, -5, 31, -(2**31))],
        *[({"tile_size_px": 33, "overlap_px": bad}, "overlap_px") for bad in (-1, 17, 33, 2**31 - 1, -(2**31))],
        *[({"tile_size_px": 64, "merge_metric": bad}, "merge_metric") for bad in (3, -1)],
        *[({"tile_size_px": 64, "merge_threshold": bad}, "merge_threshold") for bad in (-0.1, 1.1, NAN, INF)],
    ],
)
def test_tiling_out_of_range_is_named(asked: Any, field: str) -> None:
    assert refusal(tiling_of, tiled(**asked))[0] == f"options.tiling.{field}"
