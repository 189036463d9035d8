"""Pictures of bytes are scaled to floats as torch scales them, into memory that may be larger."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import resize_bilinear

PICTURE = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)


def test_a_picture_between_pixel_centres_is_blended_by_distance() -> None:
    scaled = resize_bilinear(np.array([[[0], [100]], [[200], [60]]], np.uint8), 4, 2)

    assert scaled[..., 0].tolist() == [[0, 100], [50, 90], [150, 70], [200, 60]]


def test_shrinking_looks_at_two_pixels_only() -> None:
    """Without antialiasing the pixels in between do not count."""
    row = np.array([[[0], [10], [20], [30], [40], [50]]], np.uint8)

    assert resize_bilinear(row, 1, 2)[0, :, 0].tolist() == [10, 40]
    assert resize_bilinear(row, 1, 1)[0, :, 0].tolist() == [25]


def test_a_picture_of_the_right_size_is_copied() -> None:
    scaled = resize_bilinear(PICTURE, 7, 9)

    np.testing.assert_array_equal(scaled, PICTURE.astype(np.float32))
    assert scaled.dtype == np.float32


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 40), (40, 3), (13, 13)])
def test_one_pixel_fills_any_size(height: int, width: int) -> None:
    scaled = resize_bilinear(np.full((1, 1, 3), 255, np.uint8), height, width)

    assert scaled.shape == (height, width, 3)
    np.testing.assert_allclose(scaled, 255, rtol=0, atol=5e-5)  # the shares of a pixel and itself: a few roundings


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 17])
def test_channels_are_scaled_each_by_itself(channels: int) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (5, 6, channels), np.uint8)
    scaled = resize_bilinear(picture, 8, 11)

    for channel in range(channels):
        np.testing.assert_array_equal(scaled[..., channel], resize_bilinear(picture[..., [channel]], 8, 11)[..., 0])


@pytest.mark.parametrize(("height", "width"), [(7, 9), (3, 20), (20, 3)])
def test_a_larger_out_is_written_in_its_corner_only(height: int, width: int) -> None:
    out = np.full((22, 25, 3), -1, np.float32)
    scaled = resize_bilinear(PICTURE, height, width, out=out)

    assert scaled.base is out
    np.testing.assert_array_equal(out[:height, :width], resize_bilinear(PICTURE, height, width))
    assert (out[height:] == -1).all()
    assert (out[:, width:] == -1).all()


def test_an_out_of_just_the_size_is_written_as_a_whole() -> None:
    out = np.full((4, 5, 3), np.nan, np.float32)
    resize_bilinear(PICTURE, 4, 5, out=out)

    np.testing.assert_array_equal(out, resize_bilinear(PICTURE, 4, 5))


def test_the_layout_of_the_picture_in_memory_does_not_matter() -> None:
    read_only = PICTURE.copy()
    read_only.setflags(write=False)
    views: list[NDArray[np.uint8]] = [
        PICTURE[::-1],
        PICTURE[:, ::2],
        PICTURE[..., ::-1],
        PICTURE.transpose(1, 0, 2),
        np.asfortranarray(PICTURE),
        np.broadcast_to(PICTURE[:1, :1], PICTURE.shape),
        read_only,
    ]

    for view in views:
        np.testing.assert_array_equal(resize_bilinear(view, 11, 5), resize_bilinear(np.array(view, order="C"), 11, 5))


@pytest.mark.parametrize("rows", [(0, 20), (0, 1), (19, 20), (3, 11), (5, 5), (20, 20)])
def test_some_rows_are_those_of_the_whole(rows: tuple[int, int]) -> None:
    band = resize_bilinear(PICTURE, 20, 5, rows=rows)

    assert band.shape == (rows[1] - rows[0], 5, 3)
    np.testing.assert_array_equal(band, resize_bilinear(PICTURE, 20, 5)[slice(*rows)])


def test_some_rows_go_to_the_top_of_out() -> None:
    out = np.full((6, 8, 3), -1, np.float32)
    resize_bilinear(PICTURE, 20, 5, rows=(7, 11), out=out)

    np.testing.assert_array_equal(out[:4, :5], resize_bilinear(PICTURE, 20, 5)[7:11])
    assert (out[4:] == -1).all()
    assert (out[:, 5:] == -1).all()


def test_floats_are_scaled_as_bytes_are() -> None:
    for order in ("C", "F"):
        floats = np.array(PICTURE, np.float32, order=order)
        np.testing.assert_array_equal(resize_bilinear(floats, 11, 20), resize_bilinear(PICTURE, 11, 20))


def test_nan_and_infinity_stay_where_they_are_blended() -> None:
    row = np.array([[[0], [np.nan], [2], [3], [np.inf], [5]]], np.float32)
    scaled = resize_bilinear(row, 1, 12)[0, :, 0]

    assert np.isnan(scaled[1:5]).all()
    assert scaled[5:7].tolist() == [2.25, 2.75]


def test_the_picture_is_not_changed() -> None:
    picture = PICTURE.copy()
    resize_bilinear(picture, 20, 20)

    np.testing.assert_array_equal(picture, PICTURE)


def test_sizes_may_be_numbers_of_numpy() -> None:
    height: Any = np.int64(3)
    width: Any = np.uint8(4)

    assert resize_bilinear(PICTURE, height, width).shape == (3, 4, 3)


def test_no_float_copy_of_the_picture_is_made() -> None:
    picture = np.zeros((1500, 2000, 3), np.uint8)
    out = np.empty((100, 100, 3), np.float32)
    resize_bilinear(picture, 100, 100, out=out)
    tracemalloc.start()
    resize_bilinear(picture, 100, 100, out=out)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < 100_000


def _unaligned() -> NDArray[np.float32]:
    return np.frombuffer(bytearray(7 * 9 * 3 * 4 + 1), np.uint8)[1:].view(np.float32).reshape(7, 9, 3)


def _read_only() -> NDArray[np.float32]:
    array = np.zeros((7, 9, 3), np.float32)
    array.setflags(write=False)
    return array


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("picture", {"picture": PICTURE.astype(np.int8)}),
        ("picture", {"picture": PICTURE.astype(np.float64)}),
        ("picture", {"picture": PICTURE.astype(np.float16)}),
        ("picture", {"picture": PICTURE.astype(np.uint16)}),
        ("picture", {"picture": PICTURE > 9}),
        ("picture", {"picture": PICTURE[..., 0]}),
        ("picture", {"picture": PICTURE[None]}),
        ("picture", {"picture": PICTURE[:0]}),
        ("picture", {"picture": PICTURE[:, :0]}),
        ("picture", {"picture": PICTURE[..., :0]}),
        ("picture", {"picture": None}),
        ("picture", {"picture": [[[1, 2, 3]]]}),
        ("height", {"height": 0}),
        ("height", {"height": -1}),
        ("height", {"height": 2.0}),
        ("height", {"height": "2"}),
        ("height", {"height": None}),
        ("width", {"width": 0}),
        ("width", {"width": -(10**30)}),
        ("width", {"width": np.float32(3)}),
        ("width", {"width": 2**24 + 1}),
        ("height", {"height": 10**30, "rows": (0, 1), "out": np.zeros((1, 9, 3), np.float32)}),
        ("rows", {"rows": (0, 8)}),
        ("rows", {"rows": (-1, 3)}),
        ("rows", {"rows": (4, 3)}),
        ("rows", {"rows": (0.0, 3)}),
        ("rows", {"rows": (1,)}),
        ("rows", {"rows": (1, 2, 3)}),
        ("rows", {"rows": 3}),
        ("rows", {"rows": "03"}),
        ("out", {"out": np.zeros((2, 9, 3), np.float32), "rows": (3, 6)}),
        ("out", {"out": np.zeros((7, 9, 3))}),
        ("out", {"out": np.zeros((7, 9, 3), np.uint8)}),
        ("out", {"out": np.zeros((7, 9, 3), ">f4")}),
        ("out", {"out": np.zeros((7, 9), np.float32)}),
        ("out", {"out": np.zeros((1, 7, 9, 3), np.float32)}),
        ("out", {"out": np.zeros((6, 9, 3), np.float32)}),
        ("out", {"out": np.zeros((7, 8, 3), np.float32)}),
        ("out", {"out": np.zeros((7, 9, 4), np.float32)}),
        ("out", {"out": np.zeros((7, 18, 3), np.float32)[:, ::2]}),
        ("out", {"out": np.asfortranarray(np.zeros((7, 9, 3), np.float32))}),
        ("out", {"out": _unaligned()}),
        ("out", {"out": _read_only()}),
        ("out", {"out": [[[0.0]]]}),
    ],
)
def test_wrong_arguments_are_named(name: str, change: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"picture": PICTURE, "height": 7, "width": 9} | change
    with pytest.raises(ValueError, match=f"^{name}: must be "):
        resize_bilinear(**arguments)


def test_what_is_refused_leaves_out_as_it_was() -> None:
    out = np.full((7, 9, 3), 5, np.float32)
    with pytest.raises(ValueError, match=r"^width: "):
        resize_bilinear(PICTURE, 3, 0, out=out)

    assert (out == 5).all()
