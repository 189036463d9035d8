import math

import torch

from retinue.zoo.sine_positions import sine_positions


def test_positions_are_sines_and_cosines_of_the_share_of_the_way() -> None:
    positions = sine_positions(torch.ones(1, 3, 5, dtype=torch.bool), 8)
    row, column = 1, 3
    angle_row, angle_column = 2 * math.pi * (row + 1) / 3, 2 * math.pi * (column + 1) / 5
    wanted = [
        f(angle / 10_000 ** (k / 2))
        for angle in (angle_row, angle_column)
        for k in (0, 1)
        for f in (math.sin, math.cos)
    ]
    assert torch.allclose(positions[0, row, column], torch.tensor(wanted), atol=1e-5)  # the share's own epsilon


def test_each_picture_counts_its_own_cells() -> None:
    is_inside = torch.zeros(2, 4, 6, dtype=torch.bool)
    is_inside[0, :2, :3] = True
    is_inside[1] = True
    positions = sine_positions(is_inside, 8)
    alone = sine_positions(torch.ones(1, 2, 3, dtype=torch.bool), 8)
    assert torch.equal(positions[0, :2, :3], alone[0])
