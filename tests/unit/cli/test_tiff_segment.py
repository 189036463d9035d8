import zlib

import cv2
import numpy as np
import pytest

from retinue.cli.tiff_segment import MOST_PIXELS, Tags, decode_segment

PIXELS = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 6)
JPEG = cv2.imencode(".jpg", PIXELS[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
DEFLATED = zlib.compress(PIXELS.tobytes())


def tags(compression: int, photometric: int, samples: int = 3) -> Tags:
    return {258: (8,) * samples, 259: (compression,), 262: (photometric,), 277: (samples,), 284: (1,), 317: (1,)}


def test_deflate_is_decoded() -> None:
    np.testing.assert_array_equal(decode_segment(DEFLATED, 48, 64, tags(8, 2)), PIXELS)
    grey = zlib.compress(PIXELS[:, :, 0].tobytes())
    np.testing.assert_array_equal(decode_segment(grey, 48, 64, tags(8, 1, 1)), PIXELS[:, :, 0])


@pytest.mark.parametrize("factor", [cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420])
def test_a_jpeg_is_decoded_whatever_its_subsampling(factor: int) -> None:
    data = cv2.imencode(".jpg", PIXELS[:, :, ::-1], [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])[1].tobytes()
    assert np.abs(decode_segment(data, 48, 64, tags(7, 6)).astype(int) - PIXELS).mean() < 3


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", JPEG[:200], JPEG[:-2], b"x" * 1000])
def test_a_jpeg_that_ends_early_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG has no end"):
        decode_segment(data, 48, 64, tags(7, 6))


@pytest.mark.parametrize("data", [b"", DEFLATED[:-100], bytes(64) + DEFLATED[64:], b"x" * 1000, zlib.compress(b"few")])
def test_damaged_data_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        decode_segment(data, 48, 64, tags(8, 2))


@pytest.mark.parametrize("compression", [0, 6, 9, 33003, 65535])
def test_what_libtiff_does_not_know_is_refused(compression: int) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        decode_segment(DEFLATED, 48, 64, tags(compression, 2))


def test_what_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="above the limit"):
        decode_segment(JPEG, MOST_PIXELS // 64 + 1, 64, tags(7, 6))


def test_what_unpacks_to_more_than_it_says_is_cut_off() -> None:
    bomb = zlib.compress(PIXELS.tobytes() + bytes(50_000_000))
    np.testing.assert_array_equal(decode_segment(bomb, 48, 64, tags(8, 2)), PIXELS)
