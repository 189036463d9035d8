"""What a manifest says of a segmentation model, and what is refused."""

from typing import Any

import pytest

from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest_file import parse_manifest, validate_manifest, write_manifest
from retinue.runtime.segmentation_manifest import InstanceManifest, ScaleInput, SemanticManifest, StretchInput

SEMANTIC: dict[str, Any] = {
    "manifest_version": 1,
    "name": "tiny",
    "version": "1",
    "task": "segmentation",
    "family": "semantic",
    "labels": ["background", "thing"],
    "input": {"fit": "scale"},
    "files": {"model.onnx": "0" * 64},
    "provenance": {"source": "the test"},
    "licence": "CC0-1.0",
}
INSTANCE = SEMANTIC | {
    "family": "instance",
    "output": {"splitting": {"method": "boundary", "guide": "boundary"}},
}
STRETCH = {"fit": "stretch", "height": 48, "width": 64}


def problem(content: dict[str, Any]) -> str:
    with pytest.raises(PackageInvalid) as caught:
        validate_manifest(content)
    return caught.value.message


def test_a_semantic_model_needs_to_say_little() -> None:
    manifest = validate_manifest(SEMANTIC)
    assert isinstance(manifest, SemanticManifest)
    assert isinstance(manifest.input, ScaleInput)
    assert (manifest.input.tensor, manifest.input.factor, manifest.input.max_pixels) == ("image", 1.0, 4_194_304)
    assert (manifest.input.kernel, manifest.input.antialias) == ("bilinear", True)
    output = manifest.output
    assert (output.logits, output.activation, output.threshold) == ("logits", "softmax", None)
    assert (manifest.tiles.tile_size_px, manifest.tiles.overlap_px) == (512, 64)


def test_an_instance_model_says_how_things_are_split() -> None:
    manifest = validate_manifest(INSTANCE)
    assert isinstance(manifest, InstanceManifest)
    splitting = manifest.output.splitting
    assert (splitting.method, splitting.guide, splitting.interior_threshold) == ("boundary", "boundary", 0.5)
    assert (splitting.guide_threshold, splitting.min_marker_area_px, splitting.min_area_px) == (None, 10, 10)
    assert splitting.score_threshold == 0


def test_a_manifest_survives_its_file(tmp_path: Any) -> None:
    for content in (SEMANTIC, INSTANCE, SEMANTIC | {"input": STRETCH}):
        manifest = validate_manifest(content)
        write_manifest(manifest, tmp_path)
        assert parse_manifest((tmp_path / "model.yaml").read_text()) == manifest


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (SEMANTIC | {"family": "panoptic"}, "semantic, instance"),
        (SEMANTIC | {"labels": []}, "labels"),
        (SEMANTIC | {"input": {"fit": "crop"}}, "input"),
        (SEMANTIC | {"input": {}}, "input"),
        (SEMANTIC | {"input": {"fit": "scale", "height": 3}}, "input.scale.height"),
        (SEMANTIC | {"input": {"fit": "stretch"}}, "input.stretch.height"),
        (SEMANTIC | {"input": STRETCH | {"height": 8193}}, "input.stretch.height"),
        (SEMANTIC | {"input": {"fit": "scale", "factor": 0}}, "factor"),
        (SEMANTIC | {"input": {"fit": "scale", "factor": 17}}, "factor"),
        (SEMANTIC | {"input": {"fit": "scale", "factor": float("nan")}}, "factor"),
        (SEMANTIC | {"input": {"fit": "scale", "max_pixels": 1023}}, "max_pixels"),
        (SEMANTIC | {"input": {"fit": "scale", "max_pixels": 4095}}, "below 4096, a window of two strides"),
        (SEMANTIC | {"input": {"fit": "scale", "stride_px": 0}}, "stride_px"),
        (SEMANTIC | {"input": {"fit": "scale", "stride_px": 1025}}, "stride_px"),
        (SEMANTIC | {"input": STRETCH | {"stride_px": 8}}, "input.stretch.stride_px"),
        (SEMANTIC | {"input": {"fit": "scale", "kernel": "lanczos"}}, "kernel"),
        (SEMANTIC | {"output": {"activation": "sigmoid"}}, "threshold is required"),
        (SEMANTIC | {"output": {"threshold": 1.1}}, "output.threshold"),
        (SEMANTIC | {"output": {"splitting": {"method": "distance"}}}, "output.splitting"),
        (SEMANTIC | {"tiles": {"tile_size_px": 31}}, "tiles.tile_size_px"),
        (SEMANTIC | {"tiles": {"tile_size_px": 64, "overlap_px": 33}}, "above half"),
        (SEMANTIC | {"tiles": {"overlap_px": -1}}, "tiles.overlap_px"),
        (INSTANCE | {"labels": ["background"]}, "labels"),
        (INSTANCE | {"output": {}}, "output.splitting"),
        (INSTANCE | {"output": {"splitting": {"method": "boundary"}}}, "guide is required"),
        (INSTANCE | {"output": {"splitting": {"method": "hover", "guide": "x"}}}, "splitting.method"),
        (INSTANCE | {"output": {"splitting": {"method": "distance", "min_area_px": -1}}}, "min_area_px"),
        (INSTANCE | {"output": {"splitting": {"method": "distance", "guide_threshold": -0.1}}}, "guide_threshold"),
        (INSTANCE | {"output": {"splitting": {"method": "distance", "interior_threshold": 2}}}, "interior_threshold"),
    ],
)
def test_what_cannot_be_is_named(content: dict[str, Any], words: str) -> None:
    assert words in problem(content)


@pytest.mark.parametrize(
    ("policy", "tiles", "default", "most"),
    [
        ({"fit": "scale"}, {}, 512, 2048),
        ({"fit": "scale", "max_pixels": 1024, "stride_px": 1}, {}, 32, 32),
        ({"fit": "scale", "max_pixels": 10_000}, {"tile_size_px": 64, "overlap_px": 9}, 64, 96),
        ({"fit": "scale", "max_pixels": 10_000, "stride_px": 1}, {"tile_size_px": 64, "overlap_px": 9}, 64, 100),
        ({"fit": "scale", "max_pixels": 10**9}, {}, 512, 8192),
        ({"fit": "scale", "max_pixels": 10**9, "stride_px": 1000}, {}, 512, 8000),
        (STRETCH | {"width": 48}, {}, 48, 48),
    ],
)
def test_tiles_are_no_larger_than_the_model_may_see(
    policy: dict[str, Any], tiles: dict[str, Any], default: int, most: int
) -> None:
    manifest = validate_manifest(SEMANTIC | {"input": policy, "tiles": tiles})
    assert isinstance(manifest, SemanticManifest)
    assert (manifest.default_tile_size_px, manifest.most_tile_size_px) == (default, most)


@pytest.mark.parametrize(
    ("policy", "stride"),
    [({"fit": "scale"}, 32), ({"fit": "scale", "stride_px": 8}, 8), (STRETCH, 1)],
)
def test_windows_begin_at_multiples_of_a_stride(policy: dict[str, Any], stride: int) -> None:
    manifest = validate_manifest(SEMANTIC | {"input": policy})
    assert isinstance(manifest, SemanticManifest)
    assert manifest.stride_px == stride


def test_an_input_of_one_size_says_it() -> None:
    manifest = validate_manifest(INSTANCE | {"input": STRETCH})
    assert isinstance(manifest, InstanceManifest)
    assert isinstance(manifest.input, StretchInput)
    assert (manifest.input.height, manifest.input.width) == (48, 64)
