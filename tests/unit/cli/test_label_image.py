from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from retinue.cli.label_image import LabelImage
from tests.unit.client.scripted_segmentation import things


def saved(folder: Path, label_map: NDArray[np.int32]) -> Path:
    """Paint every number of a map and return the file."""
    height, width = label_map.shape
    with LabelImage(folder, width, height) as image:
        for number in np.unique(label_map[label_map > 0]).tolist():
            mask = label_map == number
            y, x = (int(places.min()) for places in np.nonzero(mask))
            image.paint(x, y, mask[y:, x:], number)
        image.save(folder / "labels.tif", lambda: None)
    return folder / "labels.tif"


@pytest.mark.parametrize("shape", [(1, 1), (30, 40), (256, 512), (257, 300), (700, 255)])
def test_what_was_painted_is_read_back(tmp_path: Path, shape: tuple[int, int]) -> None:
    label_map = np.zeros(shape, np.int32)
    part = things()[: shape[0], : shape[1]]
    label_map[-part.shape[0] :, -part.shape[1] :] = part
    label_map[0, 0] = 2**31 - 1
    with tifffile.TiffFile(saved(tmp_path, label_map)) as file:
        page = file.pages.first
        assert (page.shape, page.dtype, page.is_tiled) == (shape, np.dtype(np.int32), True)
        np.testing.assert_array_equal(page.asarray(), label_map)


def test_nothing_but_the_image_is_left_behind(tmp_path: Path) -> None:
    saved(tmp_path, things())
    assert [path.name for path in tmp_path.iterdir()] == ["labels.tif"]


def test_an_image_above_4_gib_is_a_big_tiff_and_costs_little(tmp_path: Path) -> None:
    with LabelImage(tmp_path, 2**17, 2**14) as image:
        image.paint(2**17 - 1, 2**14 - 1, np.ones((1, 1), np.bool_), 7)
        with pytest.raises(
            InterruptedError
        ):  # the file's head is there after the first row, and the rest is not needed
            image.save(tmp_path / "labels.tif", _interrupted)
    assert (tmp_path / "labels.tif").read_bytes()[:3] == b"II+"


def _interrupted() -> None:
    raise InterruptedError


def test_rows_of_tiles_are_told_as_they_are_done(tmp_path: Path) -> None:
    done: list[int] = []
    with LabelImage(tmp_path, 10, 600) as image:
        image.save(tmp_path / "labels.tif", lambda: done.append(1))
    assert len(done) == 3


@pytest.mark.parametrize(("x", "y"), [(-1, 0), (0, -1), (8, 0), (0, 8)])
def test_a_mask_outside_is_refused(tmp_path: Path, x: int, y: int) -> None:
    with LabelImage(tmp_path, 10, 10) as image, pytest.raises(ValueError, match="instance 5 does not lie"):
        image.paint(x, y, np.ones((3, 3), np.bool_), 5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_are_laid_side_by_side(tmp_path: Path, dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (300, 270), dtype)
    with LabelImage(tmp_path, 270, 300, dtype) as image:
        for y in range(0, 300, 100):
            for x in range(0, 270, 90):
                image.put(x, y, pixels[y : y + 100, x : x + 90])
        image.save(tmp_path / "labels.tif", lambda: None)
    found = tifffile.imread(tmp_path / "labels.tif")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels)


def test_a_tile_outside_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with LabelImage(tmp_path, 10, 10, np.uint8) as image:
        with pytest.raises(ValueError, match="tile x=8, y=0 does not lie"):
            image.put(8, 0, np.zeros((3, 3), np.uint8))
        with pytest.raises(ValueError, match="is of uint16, those before of uint8"):
            image.put(0, 0, np.zeros((3, 3), np.uint16))


def test_an_empty_mask_is_nothing(tmp_path: Path) -> None:
    with LabelImage(tmp_path, 10, 10) as image:
        image.paint(0, 0, np.zeros((3, 3), np.bool_), 5)
        image.save(tmp_path / "labels.tif", lambda: None)
    assert not tifffile.imread(tmp_path / "labels.tif").any()
