import pytest

from retinue.zoo.detr_policy import DetrPolicy


@pytest.mark.parametrize(
    ("size", "scaled"),
    [
        ((480, 640), (800, 1066)),
        ((640, 480), (1066, 800)),
        ((800, 1000), (800, 1000)),
        ((100, 1000), (133, 1330)),
        ((1, 5000), (1, 1333)),
        ((5000, 1), (1333, 1)),
    ],
)
def test_sizes_are_those_of_the_original(size: tuple[int, int], scaled: tuple[int, int]) -> None:
    assert DetrPolicy().scaled_size(*size) == scaled
