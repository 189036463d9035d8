"""The pipeline against plain numpy: upsampled as a whole, decided pixel by pixel."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from onnx import TensorProto
from PIL import Image

from retinue.ops import split_instances
from retinue.runtime.caller import Caller
from retinue.runtime.engine import Engine
from retinue.runtime.errors import BackendFailed, PackageInvalid
from retinue.runtime.view import Cut
from services.segmentation import pipeline as pipeline_module
from services.segmentation.pipeline import SegmentationOutputs, SegmentationPipeline, segmentation_manifest_of
from services.segmentation.segmentations import Segmentation, SegmentationItem
from tests.unit.services.segmentation.tiny_segmenters import (
    BIAS,
    GUIDE_BIAS,
    WEIGHTS,
    answer,
    answers,
    black,
    graph,
    idle_engine,
    item_of,
    options_with,
    pipeline_of,
    with_blobs,
    with_discs,
    write_segmenter,
)
from tests.unit.serving.tiny_engine import manifest_of

SIZES = [(1, 1), (1, 7), (33, 1), (31, 47), (64, 64), (65, 127)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("models")
    return root


@pytest.fixture(scope="module")
def plain(root: Path) -> SegmentationPipeline:
    return pipeline_of(write_segmenter(root, "plain"))


@pytest.fixture(scope="module")
def half(root: Path) -> SegmentationPipeline:
    return pipeline_of(write_segmenter(root, "half", policy={"factor": 0.5}))


@pytest.fixture(scope="module")
def double(root: Path) -> SegmentationPipeline:
    return pipeline_of(write_segmenter(root, "double", policy={"factor": 2.0, "antialias": False}))


def naive_logits(pixels: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return logits [classes, height, width] and guide [height, width] as the graph makes them."""
    seen = pixels.astype(np.float32)
    logits = (
        np.einsum("hwc,kc->khw", seen, np.asarray(WEIGHTS, np.float32)) + np.asarray(BIAS, np.float32)[:, None, None]
    )
    return logits.astype(np.float32), (seen[..., 2] / 8 + GUIDE_BIAS).astype(np.float32)


def naive_scaled(layer: NDArray[np.float32], height: int, width: int) -> NDArray[np.float64]:
    """Return a layer at another size, as torch's `interpolate(mode="bilinear", align_corners=False)`."""

    def taps(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        place = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, None)
        first = np.minimum(place.astype(np.int64), source - 1)
        return first, np.minimum(first + 1, source - 1), np.clip(place - first, 0, 1)

    top, bottom, down = taps(layer.shape[0], height)
    left, right, along = taps(layer.shape[1], width)
    values = layer.astype(np.float64)
    rows = values[top] * (1 - down[:, None]) + values[bottom] * down[:, None]
    return np.asarray(rows[:, left] * (1 - along) + rows[:, right] * along)


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=0))
    return np.asarray(shifted / shifted.sum(axis=0))


def seen_by(pipeline: SegmentationPipeline, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the input that the pipeline makes of a picture."""
    rows = pipeline.allocate(pipeline.bucket(item_of(pixels)), 1)
    pipeline.prepare(pixels, rows, 0)
    row: NDArray[np.uint8] = rows[0]
    return row


# --- the input


@pytest.mark.parametrize(
    ("policy", "size", "expected"),
    [
        ({}, (31, 47), (31, 47)),
        ({}, (1, 1), (1, 1)),
        ({"factor": 0.5}, (31, 47), (15, 23)),
        ({"factor": 0.5}, (1, 1), (1, 1)),
        ({"factor": 2.0}, (31, 47), (62, 94)),
        ({"max_pixels": 1024}, (32, 32), (32, 32)),
        ({"max_pixels": 1024}, (64, 64), (32, 32)),
        ({"max_pixels": 1024}, (64, 256), (16, 64)),
        ({"factor": 0.5, "max_pixels": 1024}, (64, 64), (32, 32)),
        ({"factor": 2.0, "max_pixels": 1024}, (17, 17), (32, 32)),
        ({"max_pixels": 1024}, (1, 5000), (1, 1024)),
        ({"max_pixels": 1024}, (5000, 1), (1024, 1)),
        ({"factor": 4.0, "max_pixels": 1024}, (2, 9000), (1, 1024)),
        ({"fit": "stretch", "height": 16, "width": 24}, (31, 47), (16, 24)),
    ],
)
def test_the_input_is_as_large_as_the_manifest_says(
    tmp_path: Path, policy: dict[str, Any], size: tuple[int, int], expected: tuple[int, int]
) -> None:
    sides = (policy["height"], policy["width"]) if "height" in policy else ("height", "width")
    pipeline = pipeline_of(write_segmenter(tmp_path, policy=policy, sides=sides))
    item = item_of(black(*size))
    assert pipeline.bucket(item) == expected
    assert pipeline.allocate(expected, 3).shape == (3, *expected, 3)


@pytest.mark.parametrize("size", [(100, 100), (999, 3), (3, 999), (1, 2000), (57, 211)])
@pytest.mark.parametrize("factor", [0.1, 0.29, 1.0, 3.0])
def test_an_input_never_has_more_pixels_than_the_model_may_see(
    tmp_path: Path, size: tuple[int, int], factor: float
) -> None:
    pipeline = pipeline_of(write_segmenter(tmp_path, policy={"factor": factor, "max_pixels": 1024}))
    rows = pipeline.allocate(pipeline.bucket(item_of(black(*size))), 1)
    assert 1 <= rows[0, ..., 0].size <= 1024


def test_a_window_is_looked_at_at_its_own_resolution(half: SegmentationPipeline) -> None:
    assert half.bucket(item_of(black(31, 47), core=(slice(0, 31), slice(0, 47)))) == (31, 47)


def test_a_picture_of_the_inputs_size_is_taken_as_it_is(plain: SegmentationPipeline) -> None:
    pixels = with_blobs(20, 30)
    assert_array_equal(seen_by(plain, pixels), pixels)


@pytest.mark.parametrize("size", [(31, 47), (64, 64), (3, 200)])
def test_with_antialias_a_picture_is_scaled_as_pillow_does(half: SegmentationPipeline, size: tuple[int, int]) -> None:
    pixels = with_blobs(*size)
    expected = Image.fromarray(pixels).resize((size[1] // 2, size[0] // 2), Image.Resampling.BILINEAR)
    assert_array_equal(seen_by(half, pixels), expected)


def test_without_antialias_a_picture_is_scaled_as_opencv_does(double: SegmentationPipeline) -> None:
    pixels = with_blobs(31, 47)
    assert_array_equal(seen_by(double, pixels), cv2.resize(pixels, (94, 62), interpolation=cv2.INTER_LINEAR))


def test_the_kernel_is_the_one_of_the_manifest(tmp_path: Path) -> None:
    pixels = with_blobs(30, 40)
    for antialias in (True, False):
        policy = {"factor": 0.5, "kernel": "bicubic", "antialias": antialias}
        pipeline = pipeline_of(write_segmenter(tmp_path, f"cubic-{antialias}", policy=policy))
        expected = (
            Image.fromarray(pixels).resize((20, 15), Image.Resampling.BICUBIC)
            if antialias
            else cv2.resize(pixels, (20, 15), interpolation=cv2.INTER_CUBIC)
        )
        assert_array_equal(seen_by(pipeline, pixels), expected)


# --- classes


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["plain", "half", "double"])
def test_the_class_of_a_pixel_is_the_most_probable_one_of_maps_at_its_own_size(
    request: pytest.FixtureRequest, name: str, size: tuple[int, int]
) -> None:
    pipeline = request.getfixturevalue(name)
    pixels = with_blobs(*size)
    logits, _ = naive_logits(seen_by(pipeline, pixels))
    scaled = np.stack([naive_scaled(layer, *size) for layer in logits])
    codes = answer(pipeline, pixels).codes
    assert codes.shape == size
    best_two = np.sort(scaled, axis=0)[-2:]
    is_clear = best_two[1] - best_two[0] > 1e-3  # of others the rounding decides
    assert is_clear.mean() > 0.9 or size == (1, 1)
    assert_array_equal(codes[is_clear], scaled.argmax(axis=0)[is_clear])


@pytest.mark.parametrize("size", SIZES)
def test_probabilities_decide_at_the_pictures_own_size_too(half: SegmentationPipeline, size: tuple[int, int]) -> None:
    """They are made of scaled logits: not scaled themselves."""
    pixels = with_blobs(*size)
    logits, _ = naive_logits(seen_by(half, pixels))
    probabilities = softmax(np.stack([naive_scaled(layer, *size) for layer in logits]))
    codes = answer(half, pixels, thresholds=(0.9, None, 0.25)).codes
    is_clear = (np.abs(probabilities - np.array([0.9, 0, 0.25])[:, None, None]) > 1e-4).all(axis=0)
    assert_array_equal(codes[is_clear][:, 0], (probabilities[0] >= 0.9)[is_clear])
    assert_array_equal(codes[is_clear][:, 2], (probabilities[2] >= 0.25)[is_clear])
    order = np.sort(probabilities, axis=0)
    is_clear = order[-1] - order[-2] > 1e-4
    assert_array_equal(codes[is_clear][:, 1], (probabilities.argmax(axis=0) == 1)[is_clear])


@pytest.mark.parametrize("band_pixels", [1, 50, 1000])
@pytest.mark.parametrize("thresholds", [(None,) * 3, (0.5, 0.5, 0.5)])
def test_bands_say_what_the_whole_says(
    half: SegmentationPipeline, monkeypatch: pytest.MonkeyPatch, band_pixels: int, thresholds: Any
) -> None:
    pixels = with_blobs(45, 61)
    whole = answer(half, pixels, thresholds=thresholds)
    monkeypatch.setattr(pipeline_module, "_BAND_PIXELS", band_pixels)
    banded = answer(half, pixels, thresholds=thresholds)
    assert_array_equal(banded.codes, whole.codes)
    assert banded.found is not None
    assert whole.found is not None
    assert_array_equal(banded.found.label_map, whole.found.label_map)
    assert_allclose(banded.found.sums, whole.found.sums, rtol=1e-9)


def test_sigmoid_gives_each_class_a_probability_of_its_own(tmp_path: Path) -> None:
    output = {"activation": "sigmoid", "threshold": 0.5}
    pipeline = pipeline_of(write_segmenter(tmp_path, family="semantic", output=output))
    pixels = with_blobs(20, 30)
    logits, _ = naive_logits(pixels)
    codes = answer(pipeline, pixels, thresholds=(0.5, 0.5, 0.9)).codes
    for class_id, threshold in enumerate((0.5, 0.5, 0.9)):
        probability = 1 / (1 + np.exp(-logits[class_id].astype(np.float64)))
        is_clear = np.abs(probability - threshold) > 1e-5
        is_clear |= logits[class_id] == 0  # exactly one half
        assert_array_equal(codes[..., class_id][is_clear], (probability >= threshold)[is_clear])


@pytest.mark.parametrize("logit", [3.0e38, -3.0e38, 100.0, 0.0])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_enormous_logits_are_probabilities_too(tmp_path: Path, logit: float, activation: str) -> None:
    model = graph(weights=np.zeros((3, 3)), bias=(-logit, logit, 0))
    output = {"activation": activation, "threshold": 0.5}
    pipeline = pipeline_of(write_segmenter(tmp_path, model=model, output=output))
    codes = answer(pipeline, black(4, 5), thresholds=(0.5, 0.5, 0.5)).codes
    one = {"softmax": np.argmax([-logit, logit, 0]), "sigmoid": None}[activation]
    if logit == 0:
        expected = [0, 0, 0] if activation == "softmax" else [1, 1, 1]
    else:
        expected = [int(-logit >= 0), int(logit >= 0), int(activation == "sigmoid")] if one is None else np.eye(3)[one]
    assert codes[2, 3, :3].tolist() == list(expected)


# --- single things


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["plain", "half", "double"])
def test_things_are_split_on_maps_of_the_pictures_own_size(
    request: pytest.FixtureRequest, name: str, size: tuple[int, int]
) -> None:
    pipeline = request.getfixturevalue(name)
    pixels = with_blobs(*size, seed=3, coarseness=3)
    logits, guide = naive_logits(seen_by(pipeline, pixels))
    probabilities = softmax(np.stack([naive_scaled(layer, *size).astype(np.float32) for layer in logits]))
    boundary = 1 / (1 + np.exp(-naive_scaled(guide, *size)))
    expected = split_instances(1 - probabilities[0], boundary, method="boundary", min_marker_area=4, min_area=5)
    found = answer(pipeline, pixels, min_area_px=5).found
    assert found is not None
    agreeing = (found.label_map > 0) == (expected > 0)
    assert agreeing.mean() > 0.999  # where a threshold is met to the last bit, the rounding decides
    if agreeing.all() and found.label_map.max() == expected.max():
        assert (found.label_map == expected).mean() > 0.99
    for label in range(1, int(found.label_map.max()) + 1):
        is_of = found.label_map == label
        assert_allclose(
            found.sums[label - 1, :3], [layer[is_of].sum() for layer in probabilities], rtol=1e-4, atol=1e-4
        )
        assert found.sums[label - 1, 3] == is_of.sum()


def test_a_disc_is_found_with_its_class(plain: SegmentationPipeline) -> None:
    pixels, count = with_discs(120, 160)
    one = answer(plain, pixels)
    assert one.found is not None
    assert one.found.label_map.max() == count == len(one.found.sums)
    assert_array_equal(one.found.label_map > 0, pixels.max(axis=2) > 0)
    assert_array_equal(one.codes, np.where(pixels[..., 0] > 128, 1, np.where(pixels[..., 1] > 128, 2, 0)))


def test_a_boundary_splits_what_touches(plain: SegmentationPipeline) -> None:
    pixels = black(9, 21)
    pixels[1:8, 1:20, 0] = 230
    pixels[1:8, 10, 2] = 255
    found = answer(plain, pixels).found
    assert found is not None
    assert found.label_map.max() == 2
    assert found.label_map[4, 5] != found.label_map[4, 15]


def test_a_semantic_model_tells_no_things(root: Path) -> None:
    pipeline = pipeline_of(write_segmenter(root, "semantic", family="semantic", has_guide=False))
    assert answer(pipeline, with_blobs(9, 9)).found is None


def test_a_distance_model_needs_no_guide(root: Path) -> None:
    splitting = {"method": "distance"}
    pipeline = pipeline_of(write_segmenter(root, "distance", splitting=splitting, has_guide=False))
    pixels, count = with_discs(80, 120)
    found = answer(pipeline, pixels).found
    assert found is not None
    assert found.label_map.max() == count


def test_a_distance_model_may_have_a_guide(root: Path) -> None:
    splitting = {"method": "distance", "guide": "guide", "guide_threshold": 2.0}
    pipeline = pipeline_of(write_segmenter(root, "guided", splitting=splitting))
    pixels = black(9, 21)
    pixels[1:8, 1:20, 0] = 230
    pixels[4, 5, 2] = pixels[4, 15, 2] = 255  # two peaks
    found = answer(pipeline, pixels).found
    assert found is not None
    assert found.label_map.max() == 2


def test_in_a_window_nothing_is_too_small_and_things_are_told_of_in_its_core(plain: SegmentationPipeline) -> None:
    pixels = black(20, 20)
    pixels[2:4, 2:4, 0] = 230
    pixels[5:15, 8:18, 0] = 230
    pixels[17:19, 2:8, 0] = 230
    core = (slice(4, 18), slice(1, 12))
    (one,) = answers(plain, item_of(pixels, options_with(min_area_px=50), core=core))
    assert one.codes.shape == (20, 20)
    assert one.found is not None
    assert one.found.label_map.shape == (14, 11)
    assert one.found.label_map.max() == 2
    assert_array_equal(one.found.label_map > 0, pixels[core][..., 0] > 0)
    assert one.found.sums[:, -1].tolist() == [40, 6]  # pixels of the core


def test_a_blended_window_has_probabilities_in_place_of_codes(plain: SegmentationPipeline) -> None:
    pixels = with_blobs(20, 30)
    item = item_of(pixels, core=(slice(0, 20), slice(0, 30)), is_blended=True)
    (one,) = answers(plain, item)
    assert one.codes.size == 0
    assert one.probabilities is not None
    assert one.probabilities.dtype == np.float32
    assert_allclose(one.probabilities, softmax(naive_logits(pixels)[0]).transpose(1, 2, 0), atol=1e-6)


# --- batches, and what goes wrong


def test_pictures_of_a_batch_are_answered_each_with_its_own_options(plain: SegmentationPipeline) -> None:
    pictures = [with_blobs(20, 30, seed) for seed in range(3)]
    options = [options_with(), options_with((0.5, 0.5, 0.5)), options_with(min_area_px=30)]
    together = answers(plain, *[item_of(*one) for one in zip(pictures, options, strict=True)])
    for one, pixels, own in zip(together, pictures, options, strict=True):
        (alone,) = answers(plain, item_of(pixels, own))
        assert_array_equal(one.codes, alone.codes)
        assert one.found is not None
        assert alone.found is not None
        assert_array_equal(one.found.label_map, alone.found.label_map)


@pytest.mark.parametrize("is_boundary_poisoned", [False, True])
def test_maps_that_are_not_finite_are_a_fault_of_the_model(
    plain: SegmentationPipeline, *, is_boundary_poisoned: bool
) -> None:
    for value in (np.nan, np.inf, -np.inf):
        maps = np.zeros((1, 3, 4, 5), np.float32), np.zeros((1, 1, 4, 5), np.float32)
        maps[is_boundary_poisoned][0, 0, 1, 2] = value
        with pytest.raises(BackendFailed, match="not finite"):
            plain.finish([item_of(black(4, 5))], SegmentationOutputs(*maps))


def test_a_poisoned_picture_fails_alone(root: Path) -> None:
    """The worker tries each of a failed batch once more, alone."""
    pipeline = pipeline_of(write_segmenter(root, "poison", is_poisonable=True))
    bad = np.full((8, 8, 3), 255, np.uint8)
    engine: Engine[SegmentationItem, Segmentation] = idle_engine(pipeline)
    tickets = [engine.submit(SegmentationItem(Cut(pixels), options_with()), Caller()) for pixels in (bad, black(8, 8))]
    engine.start()
    errors = [ticket.wait_error() for ticket in tickets]
    assert engine.close(20)
    assert isinstance(errors[0], BackendFailed)
    assert errors[1] is None


def test_maps_of_another_size_than_the_input_are_a_fault_of_the_model(root: Path) -> None:
    pipeline = pipeline_of(write_segmenter(root, "shrunk", shrink=2))
    with pytest.raises(BackendFailed, match=r"maps are \[\[1, 3, 4, 4\], \[1, 1, 4, 4\]\]"):
        answer(pipeline, black(8, 8))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy": {"tensor": "picture"}}, "no input picture"),
        ({"dtype": TensorProto.FLOAT}, r"input image is tensor\(float\)"),
        ({"sides": (64, 64)}, "input image"),
        ({"batch": 1}, "input image"),
        ({"logits_name": "scores"}, "no output logits"),
        ({"labels": ("background", "red")}, "output logits"),
        ({"has_guide": False}, "no output guide"),
        ({"policy": {"fit": "stretch", "height": 32, "width": 32}, "sides": (64, 64)}, "input image"),
    ],
)
def test_a_graph_that_does_not_fit_the_manifest_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    folder = write_segmenter(tmp_path, **changes)
    with pytest.raises(PackageInvalid, match=words):
        pipeline_of(folder)


def test_a_package_of_another_task_is_refused() -> None:
    with pytest.raises(PackageInvalid, match="task classification"):
        segmentation_manifest_of(manifest_of())


def test_it_warms_up_with_a_small_picture(plain: SegmentationPipeline, half: SegmentationPipeline) -> None:
    assert plain.warm_up_buckets() == [(128, 128)]
    assert half.warm_up_buckets() == [(64, 64)]
