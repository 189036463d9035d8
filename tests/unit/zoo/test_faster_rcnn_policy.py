import pytest

from retinue.zoo.faster_rcnn_policy import MOBILENET, MOBILENET_320, FasterRcnnPolicy


@pytest.mark.parametrize(
    ("size", "scaled"),
    [((320, 427), (800, 1067)), ((427, 320), (1067, 800)), ((100, 1000), (133, 1333)), ((1, 5000), (1, 1333))],
)
def test_the_shorter_side_is_scaled_unless_the_longer_would_be_too_long(
    size: tuple[int, int], scaled: tuple[int, int]
) -> None:
    assert FasterRcnnPolicy().scaled_size(*size) == scaled


def test_sizes_are_padded_up() -> None:
    assert FasterRcnnPolicy().padded_size(32, 33) == (32, 64)


def test_the_published_mobilenets_differ_in_resolution_and_proposals_only() -> None:
    assert (MOBILENET.short_side, MOBILENET_320.short_side, MOBILENET_320.long_side) == (800, 320, 640)
    assert (MOBILENET.proposals, MOBILENET_320.proposals, MOBILENET_320.proposals_per_level) == (1000, 150, 150)
    assert MOBILENET.anchors_per_cell == MOBILENET_320.anchors_per_cell == 15
    assert MOBILENET.strides == (32, 32, 64)
