import pytest

from loadtests.load.pictures import SIDES_PX, picture_set
from retinue.runtime.picture import PictureLimits, open_picture


@pytest.mark.parametrize("service", ["classification", "detection", "segmentation"])
def test_pictures_are_read_by_the_services_in_all_formats_and_many_sizes(service: str) -> None:
    pictures = picture_set(service, 24, seed=1)
    opened = [open_picture(picture.encoded, PictureLimits()) for picture in pictures]
    assert len({one.info.format for one in opened}) == 5
    assert [(one.info.width, one.info.height) for one in opened] == [(one.width, one.height) for one in pictures]
    assert len({max(picture.width, picture.height) for picture in pictures} & set(SIDES_PX)) >= 5


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    first, again, other = (picture_set("classification", 6, seed) for seed in (3, 3, 4))
    assert first == again != other


def test_pictures_are_not_all_one_picture() -> None:
    pictures = picture_set("classification", 24, seed=1)
    assert len({picture.name.rpartition("-")[0] for picture in pictures}) >= 4
    assert len({picture.encoded for picture in pictures}) == 24
