import pytest
import torch
from torch.nn import functional

from retinue.zoo.positions import Interpolation, resampled_positions

WAYS: tuple[Interpolation, ...] = ("torchvision", "timm")


def _positions(rows: int = 14, columns: int = 14, prefix: int = 1) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(1, prefix + rows * columns, 6)


@pytest.mark.parametrize("interpolation", WAYS)
def test_same_grid_gives_the_same_positions(interpolation: Interpolation) -> None:
    positions = _positions()
    assert resampled_positions(positions, (14, 14), interpolation=interpolation) is positions


@pytest.mark.parametrize("interpolation", WAYS)
@pytest.mark.parametrize("prefix", [0, 1, 2])
def test_prefix_tokens_are_not_touched(interpolation: Interpolation, prefix: int) -> None:
    positions = _positions(prefix=prefix)
    resampled = resampled_positions(positions, (24, 10), prefix_tokens=prefix, interpolation=interpolation)
    assert resampled.shape == (1, prefix + 240, 6)
    assert torch.equal(resampled[:, :prefix], positions[:, :prefix])


def test_the_two_ways_are_the_published_ones() -> None:
    positions = _positions()
    grid = positions[:, 1:].reshape(1, 14, 14, 6).permute(0, 3, 1, 2)
    for interpolation, options in (
        ("torchvision", {"align_corners": True}),
        ("timm", {"align_corners": False, "antialias": True}),
    ):
        expected = functional.interpolate(grid, (24, 24), mode="bicubic", **options).permute(0, 2, 3, 1)
        resampled = resampled_positions(positions, (24, 24), interpolation=interpolation)  # type: ignore[arg-type]  # a name
        assert torch.equal(resampled[:, 1:], expected.reshape(1, 576, 6))


def test_the_two_ways_differ_much() -> None:
    """By more than one standard deviation of the positions: choosing the wrong one is no trifle."""
    positions = _positions()
    one, other = (resampled_positions(positions, (24, 24), interpolation=way) for way in WAYS)
    assert float((one - other).abs().max()) > 0.5


def test_torchvisions_way_keeps_the_corners() -> None:
    positions = _positions()
    resampled = resampled_positions(positions, (24, 24), interpolation="torchvision")
    assert torch.allclose(resampled[:, [1, 24, -24, -1]], positions[:, [1, 14, -14, -1]], atol=1e-5)


@pytest.mark.parametrize("interpolation", WAYS)
def test_oblong_grids_keep_rows_and_columns_apart(interpolation: Interpolation) -> None:
    """Positions that tell only the column tell only the column afterwards."""
    columns = torch.linspace(0, 1, 10).expand(4, 10).reshape(1, 40, 1)
    resampled = resampled_positions(columns, (9, 5), source_grid=(4, 10), prefix_tokens=0, interpolation=interpolation)
    rows = resampled.reshape(9, 5)
    assert torch.allclose(rows, rows[:1].expand(9, 5), atol=1e-6)


def test_half_precision_comes_back_as_float32() -> None:
    assert resampled_positions(_positions().half(), (7, 7), interpolation="timm").dtype == torch.float32


@pytest.mark.parametrize(
    ("count", "prefix", "grid", "problem"),
    [(196, 1, (7, 7), "are not a square"), (1, 1, (7, 7), "are not a square"), (197, 1, (0, 7), "at least 1x1")],
)
def test_what_does_not_fit_is_refused(count: int, prefix: int, grid: tuple[int, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        resampled_positions(torch.zeros(1, count, 4), grid, prefix_tokens=prefix, interpolation="timm")


def test_wrong_source_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="are not 5x5"):
        resampled_positions(torch.zeros(1, 17, 4), (7, 7), source_grid=(5, 5), interpolation="timm")
