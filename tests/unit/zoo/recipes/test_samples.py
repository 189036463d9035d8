"""The demo's pictures are those that the recipe makes, and are as varied as they are said to be."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retinue.runtime.picture import PictureLimits, open_picture
from retinue.zoo.recipes.samples import SAMPLES, Sample, encode_sample, main

FOLDER = Path(__file__).parents[4] / "services" / "classification" / "samples"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file_name)
def test_a_committed_sample_shows_what_the_recipe_makes(sample: Sample) -> None:
    committed, made = (
        open_picture(data, PictureLimits()).pixels().astype(int)
        for data in ((FOLDER / sample.file_name).read_bytes(), encode_sample(sample))
    )
    assert committed.shape == made.shape
    assert np.abs(committed - made).mean() < 2  # encoders of other releases may round otherwise


def test_samples_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 200_000


def test_one_sample_is_upright_only_by_its_exif_tag() -> None:
    turned = [sample for sample in SAMPLES if sample.is_turned]
    assert len(turned) == 1
    data = encode_sample(turned[0])
    info = open_picture(data, PictureLimits()).info
    assert (info.exif_orientation, info.is_orientation_applied) == (6, True)
    stored = np.asarray(Image.open(io.BytesIO(data)))
    upright = open_picture(data, PictureLimits()).pixels()
    assert np.abs(np.rot90(stored, -1).astype(int) - upright).max() <= 3  # two JPEG decoders may round otherwise


def test_the_command_writes_every_sample(tmp_path: Path) -> None:
    main(["--folder", str(tmp_path / "new")])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(sample.file_name for sample in SAMPLES)
