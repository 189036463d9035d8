"""A network that halves its maps says the same through windows as of the whole picture, wherever the picture ends."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retinue.runtime.caller import Caller
from retinue.runtime.deferred import Deferred
from retinue.runtime.slots import Slots
from retinue.segmentation.v1 import segmentation_pb2 as pb
from retinue.zoo.export_unet import export_unet
from retinue.zoo.recipes.rounds.scenes import smear_scene
from retinue.zoo.unet import UNet
from services.segmentation.options import options_of, tiling_of
from services.segmentation.pipeline import SegmentationPipeline
from services.segmentation.segmentations import Codes, SegmentationItem, Thing
from services.segmentation.things import things_of
from services.segmentation.tiled import TiledPicture
from tests.unit.services.segmentation.tiny_segmenters import (
    answer,
    answers,
    item_of,
    picture_of,
    pipeline_of,
    running_engine,
    with_blobs,
    write_segmenter,
)

EMBEDDED = Path(__file__).parents[3] / "services" / "segmentation" / "models" / "rounds-unet" / "1"


def receptive_field(depth: int) -> int:
    """Of a UNet: two 3x3 convolutions a level, down and up, and two at the coarsest, around its cell."""
    cell = 1 << depth
    return 1 + 2 * (4 * (cell - 1) + 2 * cell + cell - 1)


def random_unet(root: Path, depth: int) -> SegmentationPipeline:
    """Return a UNet of random weights, whose answer hangs on every pixel that it sees."""
    torch.manual_seed(depth)
    model = UNet(3, widths=(6,) * depth + (8,))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1.0, 0.3)
            torch.nn.init.normal_(module.bias, 0.0, 0.3)
    path = root / f"{depth}.onnx"
    export_unet(model, path)
    folder = write_segmenter(
        root,
        f"unet-{depth}",
        family="semantic",
        model=path.read_bytes(),
        policy={"stride_px": model.stride_px},
        tiles={"tile_size_px": 512, "overlap_px": receptive_field(depth)},
    )
    return pipeline_of(folder)


@pytest.fixture(scope="module")
def unets(tmp_path_factory: pytest.TempPathFactory) -> dict[int, SegmentationPipeline]:
    root: Path = tmp_path_factory.mktemp("models")
    return {depth: random_unet(root, depth) for depth in (1, 2, 3)}


def through_windows(
    pipeline: SegmentationPipeline, pixels: NDArray[np.uint8], asked: pb.SegmentationOptions
) -> tuple[Codes, list[Thing]]:
    tiling, options = tiling_of(asked, pipeline.manifest), options_of(asked, pipeline.manifest, 10**6)
    with running_engine(pipeline) as engine:
        return Deferred(TiledPicture(engine, picture_of(pixels), options, tiling, Caller(), Slots(1))).wait()


@given(
    depth=st.sampled_from([1, 2, 3]),
    size=st.tuples(st.integers(1, 330), st.integers(1, 330)),
    more=st.integers(0, 40),
    beside=st.integers(0, 9),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_classes_of_a_unet_through_windows_are_those_of_the_whole(
    unets: dict[int, SegmentationPipeline],
    *,
    depth: int,
    size: tuple[int, int],
    more: int,
    beside: int,
    seed: int,
) -> None:
    """From an overlap of the receptive field on, whatever side and overlap are asked for, and of any picture."""
    pipeline, pixels = unets[depth], with_blobs(*size, seed, coarseness=2)
    asked, field = pb.SegmentationOptions(), receptive_field(depth)
    asked.tiling.overlap_px = field + beside
    asked.tiling.tile_size_px = 2 * (field + beside) + more
    codes, _ = through_windows(pipeline, pixels, asked)
    assert (codes != answer(pipeline, pixels).codes).mean() <= 1e-4  # sums of floats may differ in the last bit


def test_a_window_beside_the_stride_says_something_else(unets: dict[int, SegmentationPipeline]) -> None:
    """So that the law above has something to find."""
    pixels = with_blobs(200, 200, coarseness=2)
    whole = answer(unets[3], pixels).codes
    for shift, is_same in ((8, True), (5, False)):
        part = answer(unets[3], np.ascontiguousarray(pixels[shift:, shift:])).codes
        inner = np.s_[64:-64, 64:-64]
        assert np.array_equal(part[inner], whole[shift:, shift:][inner]) == is_same


@pytest.mark.slow
@pytest.mark.parametrize("size", [(701, 877), (613, 1001), (520, 545), (1100, 310)])
def test_things_of_the_embedded_model_through_windows_are_those_of_the_whole(size: tuple[int, int]) -> None:
    """With the tiles that its manifest names, of pictures whose sides are multiples of nothing."""
    pipeline = pipeline_of(EMBEDDED)
    pixels = smear_scene(np.random.default_rng(sum(size)), *size).picture
    asked = pb.SegmentationOptions()
    asked.tiling.SetInParent()
    options = options_of(asked, pipeline.manifest, 10**6)
    (whole,) = answers(pipeline, SegmentationItem(item_of(pixels).view, options))
    assert whole.found is not None
    codes, things = through_windows(pipeline, pixels, asked)
    expected = things_of(whole.found, options)
    assert len(expected) > 20
    assert len(things) == len(expected)
    assert (codes == whole.codes).mean() > 0.9999
    assert best_ious(expected, things, size).min() >= 0.98


def best_ious(expected: list[Thing], found: list[Thing], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return for each expected thing the largest IoU with one that was found."""
    maps = [np.zeros(size, np.int64) for _ in range(2)]
    for labels, things in zip(maps, (expected, found), strict=True):
        for number, thing in enumerate(things, start=1):
            height, width = thing.crop.mask.shape
            labels[thing.crop.y :, thing.crop.x :][:height, :width][thing.crop.mask] = number
    shared = np.zeros((len(expected) + 1, len(found) + 1))
    np.add.at(shared, (maps[0], maps[1]), 1)
    union = shared.sum(axis=1)[:, None] + shared.sum(axis=0) - shared
    ious: NDArray[np.float64] = (shared / np.maximum(union, 1))[1:, 1:].max(axis=1)
    return ious
