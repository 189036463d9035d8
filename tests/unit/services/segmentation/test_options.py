"""What a caller may ask for, and what the manifest says where a caller says nothing."""

from pathlib import Path
from typing import Any

import pytest

from retinue.common.v1 import geometry_pb2
from retinue.runtime.errors import InvalidInput
from retinue.runtime.manifest_file import read_manifest
from retinue.runtime.segmentation_manifest import SegmentationManifest
from retinue.segmentation.v1 import segmentation_pb2 as pb
from services.segmentation.options import Forms, forms_of, options_of, tiling_of
from services.segmentation.pipeline import segmentation_manifest_of
from services.segmentation.windows import Tiling
from tests.unit.services.segmentation.tiny_segmenters import BOUNDARY, write_segmenter

NAN, INF = float("nan"), float("inf")


def manifest_with(root: Path, name: str, **changes: Any) -> SegmentationManifest:
    return segmentation_manifest_of(read_manifest(write_segmenter(root, name, **changes)))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("models")
    return root


@pytest.fixture(scope="module")
def manifest(root: Path) -> SegmentationManifest:
    splitting = BOUNDARY | {"min_area_px": 12, "score_threshold": 0.3}
    return manifest_with(root, "one", splitting=splitting, tiles={"tile_size_px": 100, "overlap_px": 41})


@pytest.fixture(scope="module")
def semantic(root: Path) -> SegmentationManifest:
    output = {"activation": "sigmoid", "threshold": 0.4}
    return manifest_with(root, "semantic", family="semantic", output=output)


@pytest.fixture(scope="module")
def stretched(root: Path) -> SegmentationManifest:
    policy = {"fit": "stretch", "height": 48, "width": 48}
    return manifest_with(root, "stretched", policy=policy, sides=(48, 48))


@pytest.fixture(scope="module")
def strided(root: Path) -> SegmentationManifest:
    policy = {"stride_px": 16, "max_pixels": 2040**2}
    return manifest_with(root, "strided", policy=policy, tiles={"tile_size_px": 100, "overlap_px": 41})


def refusal(call: Any, *arguments: Any) -> tuple[str, str]:
    """Return the field that is named and what is said of it."""
    with pytest.raises(InvalidInput) as caught:
        call(*arguments)
    return caught.value.field, caught.value.problem


def asked(*thresholds: tuple[str, float | None], **options: Any) -> pb.SegmentationOptions:
    message = pb.SegmentationOptions(**options)
    for name, threshold in thresholds:
        message.class_thresholds.add(class_name=name, threshold=threshold)
    return message


# --- options


def test_the_manifest_says_what_a_caller_does_not(manifest: SegmentationManifest) -> None:
    options = options_of(asked(), manifest, 77)
    assert options.thresholds == (None, None, None)
    assert options.is_exclusive
    assert (options.score_threshold, options.min_area_px, options.max_instances) == (0.3, 12, 77)


def test_a_semantic_model_has_thresholds_of_its_own_and_no_least_area(semantic: SegmentationManifest) -> None:
    options = options_of(asked(), semantic, 77)
    assert options.thresholds == (0.4, 0.4, 0.4)
    assert not options.is_exclusive
    assert (options.score_threshold, options.min_area_px) == (0, 0)


def test_a_caller_may_say_everything(manifest: SegmentationManifest) -> None:
    """Also what is the default of the wire, such as 0."""
    options = options_of(
        asked(
            ("green", 1.0), ("background", 0.0), mask_threshold=0.5, score_threshold=0.0, min_area_px=0, max_instances=1
        ),
        manifest,
        77,
    )
    assert options.thresholds == (0.0, 0.5, 1.0)
    assert (options.score_threshold, options.min_area_px, options.max_instances) == (0, 0, 1)


def test_a_threshold_of_zero_is_not_none(manifest: SegmentationManifest) -> None:
    assert options_of(asked(mask_threshold=0.0), manifest, 9).thresholds == (0.0, 0.0, 0.0)


def test_a_threshold_of_one_class_leaves_the_others_alone(manifest: SegmentationManifest) -> None:
    options = options_of(asked(("red", 0.25)), manifest, 9)
    assert options.thresholds == (None, 0.25, None)
    assert not options.is_exclusive


@pytest.mark.parametrize("value", [NAN, INF, -INF, -0.001, 1.001])
@pytest.mark.parametrize("name", ["mask_threshold", "score_threshold"])
def test_a_share_out_of_range_is_named(manifest: SegmentationManifest, name: str, value: float) -> None:
    field, problem = refusal(options_of, asked(**{name: value}), manifest, 9)
    assert field == f"options.{name}"
    assert "0 to 1 are allowed" in problem


@pytest.mark.parametrize(
    ("thresholds", "field", "words"),
    [
        ([("red", NAN)], "[0].threshold", "0 to 1"),
        ([("red", 0.5), ("green", 1.5)], "[1].threshold", "0 to 1"),
        ([("red", None)], "[0].threshold", "required"),
        ([("", 0.5)], "[0].class_name", "no class ''"),
        ([("Red", 0.5)], "[0].class_name", "no class 'Red'"),
        ([("red", 0.5), ("red", 0.5)], "[1].class_name", "twice"),
        ([("x" * 1000, 0.5)], "[0].class_name", "no class"),
    ],
)
def test_a_class_threshold_that_cannot_be_used_is_named(
    manifest: SegmentationManifest, thresholds: Any, field: str, words: str
) -> None:
    named, problem = refusal(options_of, asked(*thresholds), manifest, 9)
    assert named == f"options.class_thresholds{field}"
    assert words in problem
    assert len(problem) < 200


@pytest.mark.parametrize(
    ("name", "value"), [("min_area_px", -1), ("max_instances", 0), ("max_instances", -5), ("max_instances", 10)]
)
def test_a_number_out_of_range_is_named(manifest: SegmentationManifest, name: str, value: int) -> None:
    field, problem = refusal(options_of, asked(**{name: value}), manifest, 9)
    assert field == f"options.{name}"
    assert str(value) in problem


def test_fields_are_named_where_they_stand(manifest: SegmentationManifest) -> None:
    assert refusal(options_of, asked(min_area_px=-1), manifest, 9, "start.options")[0] == "start.options.min_area_px"


# --- forms


@pytest.mark.parametrize(
    ("options", "forms"),
    [
        ({}, Forms("rle", "rle")),
        ({"class_map_encoding": pb.CLASS_MAP_ENCODING_RLE}, Forms("rle", "rle")),
        ({"class_map_encoding": pb.CLASS_MAP_ENCODING_PNG}, Forms("png", "rle")),
        ({"class_map_encoding": pb.CLASS_MAP_ENCODING_NONE}, Forms("none", "rle")),
        ({"instance_encoding": geometry_pb2.MASK_ENCODING_RLE}, Forms("rle", "rle")),
        ({"instance_encoding": geometry_pb2.MASK_ENCODING_PNG}, Forms("rle", "png")),
        ({"instance_encoding": geometry_pb2.MASK_ENCODING_POLYGONS}, Forms("rle", "polygons")),
        ({"instance_encoding": geometry_pb2.MASK_ENCODING_PNG, "is_instance_mask_omitted": True}, Forms("rle", "none")),
    ],
)
def test_forms_are_those_asked_for(manifest: SegmentationManifest, options: dict[str, Any], forms: Forms) -> None:
    assert forms_of(asked(**options), manifest) == forms


def test_every_encoding_of_the_contract_is_known(manifest: SegmentationManifest) -> None:
    for class_map_encoding in pb.ClassMapEncoding.values():
        forms_of(asked(class_map_encoding=class_map_encoding), manifest)
    for instance_encoding in geometry_pb2.MaskEncoding.values():
        forms_of(asked(instance_encoding=instance_encoding), manifest)
    for blend in pb.TileBlend.values():
        tiling_of(asked(tiling=pb.SegmentationTiling(blend=blend)), manifest)


@pytest.mark.parametrize("name", ["class_map_encoding", "instance_encoding"])
def test_an_unknown_encoding_is_named(manifest: SegmentationManifest, name: str) -> None:
    field, problem = refusal(forms_of, asked(**{name: 99}), manifest)
    assert field == f"options.{name}"
    assert "99" in problem


def test_an_unknown_mask_encoding_is_named_though_masks_are_left_out(manifest: SegmentationManifest) -> None:
    assert refusal(forms_of, asked(instance_encoding=99, is_instance_mask_omitted=True), manifest)[0]


@pytest.mark.parametrize("count", [256, 257])
def test_a_png_is_for_at_most_256_classes(root: Path, count: int) -> None:
    labels = tuple(map(str, range(count)))
    manifest = manifest_with(
        root, f"{count}-classes", family="semantic", labels=labels, weights=[[0] * 3] * count, bias=[0] * count
    )
    options = asked(class_map_encoding=pb.CLASS_MAP_ENCODING_PNG)
    if count == 256:
        assert forms_of(options, manifest).classes == "png"
    else:
        field, problem = refusal(forms_of, options, manifest)
        assert field == "options.class_map_encoding"
        assert "256" in problem


# --- tiling


def test_tiles_are_as_the_manifest_says(manifest: SegmentationManifest) -> None:
    assert tiling_of(asked(), manifest) == Tiling(100, 41, "crop", reach_px=20)
    assert tiling_of(asked(tiling=pb.SegmentationTiling()), manifest) == Tiling(100, 41, "crop", reach_px=20)


def test_a_caller_may_say_how_tiles_are_laid(manifest: SegmentationManifest) -> None:
    tiling = pb.SegmentationTiling(tile_size_px=32, overlap_px=0, blend=pb.TILE_BLEND_GAUSSIAN)
    assert tiling_of(asked(tiling=tiling), manifest) == Tiling(32, 0, "gaussian", reach_px=20)
    tiling = pb.SegmentationTiling(tile_size_px=33, overlap_px=16, blend=pb.TILE_BLEND_MEAN)
    assert tiling_of(asked(tiling=tiling), manifest) == Tiling(33, 16, "mean", reach_px=20)


def test_the_overlap_of_the_manifest_gives_way_to_a_small_tile(manifest: SegmentationManifest) -> None:
    assert tiling_of(asked(tiling=pb.SegmentationTiling(tile_size_px=50)), manifest).overlap_px == 25


@pytest.mark.parametrize(
    ("tiling", "field"),
    [
        ({"tile_size_px": 0}, "tile_size_px"),
        ({"tile_size_px": -64}, "tile_size_px"),
        ({"tile_size_px": 31}, "tile_size_px"),
        ({"tile_size_px": 2049}, "tile_size_px"),  # more than the model may see at a time
        ({"tile_size_px": 2**31 - 1}, "tile_size_px"),
        ({"overlap_px": -1}, "overlap_px"),
        ({"overlap_px": 51}, "overlap_px"),
        ({"tile_size_px": 33, "overlap_px": 17}, "overlap_px"),
        ({"blend": 9}, "blend"),
    ],
)
def test_tiles_that_cannot_be_laid_are_named(
    manifest: SegmentationManifest, tiling: dict[str, Any], field: str
) -> None:
    options = asked(tiling=pb.SegmentationTiling(**tiling))
    named, problem = refusal(tiling_of, options, manifest, "start.options")
    assert named == f"start.options.tiling.{field}"
    assert str(tiling[field]) in problem


@pytest.mark.parametrize(
    ("tiling", "expected"),
    [
        ({}, (112, 48)),
        ({"tile_size_px": 32}, (32, 16)),
        ({"tile_size_px": 64, "overlap_px": 32}, (64, 32)),
        ({"tile_size_px": 65, "overlap_px": 0}, (80, 0)),
        ({"tile_size_px": 65, "overlap_px": 1}, (80, 16)),
        ({"tile_size_px": 33, "overlap_px": 16}, (48, 16)),
        ({"tile_size_px": 47, "overlap_px": 23}, (48, 32)),  # more than half, but the next window is further on
        ({"tile_size_px": 2032}, (2032, 48)),
    ],
)
def test_tiles_are_rounded_up_to_the_stride_of_the_model(
    strided: SegmentationManifest, tiling: dict[str, Any], expected: tuple[int, int]
) -> None:
    found = tiling_of(asked(tiling=pb.SegmentationTiling(**tiling)), strided)
    assert (found.tile_size_px, found.overlap_px) == expected
    assert (found.stride_px, found.reach_px) == (16, 20)


def test_a_tile_has_two_strides_at_least(root: Path) -> None:
    manifest = manifest_with(root, "coarse", policy={"stride_px": 48}, tiles={"tile_size_px": 50, "overlap_px": 25})
    assert tiling_of(asked(), manifest) == Tiling(96, 48, "crop", reach_px=12, stride_px=48)


def test_the_largest_tile_is_a_multiple_of_the_stride(strided: SegmentationManifest) -> None:
    field, problem = refusal(tiling_of, asked(tiling=pb.SegmentationTiling(tile_size_px=2033)), strided)
    assert field == "options.tiling.tile_size_px"
    assert "32 to 2032 are allowed" in problem


def test_an_input_of_one_size_is_the_size_of_its_tiles(stretched: SegmentationManifest) -> None:
    assert tiling_of(asked(), stretched) == Tiling(48, 16, "crop", reach_px=8)
    assert tiling_of(asked(tiling=pb.SegmentationTiling(tile_size_px=48)), stretched).tile_size_px == 48
    field, problem = refusal(tiling_of, asked(tiling=pb.SegmentationTiling(tile_size_px=64)), stretched)
    assert field == "options.tiling.tile_size_px"
    assert "48x48" in problem


def test_an_input_that_is_no_square_has_no_tiles(root: Path) -> None:
    policy = {"fit": "stretch", "height": 48, "width": 64}
    manifest = manifest_with(root, "oblong", policy=policy, sides=(48, 64))
    assert "64x48" in refusal(tiling_of, asked(), manifest)[1]


def test_tiles_of_a_manifest_are_no_larger_than_its_model_may_see(root: Path) -> None:
    manifest = manifest_with(root, "small", policy={"max_pixels": 1600}, tiles={"tile_size_px": 512, "overlap_px": 64})
    assert tiling_of(asked(), manifest) == Tiling(40, 20, "crop", reach_px=32)
