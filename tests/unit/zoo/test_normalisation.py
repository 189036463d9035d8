import pytest
import torch
from torch import nn

from retinue.zoo.normalisation import Normalisation, inside

NORMALISATION = Normalisation((0.4, 0.5, 0.6), (0.2, 0.3, 0.25))


@pytest.mark.parametrize("padding", [0, 1])
def test_a_stem_takes_the_scale_over_and_is_left_as_it_was(padding: int) -> None:
    stem = nn.Conv2d(3, 4, 3, padding=padding)
    before = [weight.clone() for weight in stem.parameters()]
    image = torch.randint(0, 256, (1, 5, 6, 3), dtype=torch.uint8)
    wanted = stem(NORMALISATION.normalised(image))
    with NORMALISATION.folded_into(stem) as shift:
        assert (shift is None) == (padding == 0)
        pixels = image.permute(0, 3, 1, 2).float()
        answer = stem(pixels if shift is None else pixels - shift)
    assert torch.allclose(answer, wanted, atol=1e-4)  # pixels of hundreds in float32
    assert all(torch.equal(*pair) for pair in zip(before, stem.parameters(), strict=True))


@pytest.mark.parametrize("std", [(0.2, 0.0, 0.2), (0.2, 0.2)])
def test_a_normalisation_that_divides_by_nothing_is_refused(std: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="std above 0"):
        Normalisation((0.5, 0.5, 0.5), std)


def test_each_picture_of_a_batch_has_its_own_extent() -> None:
    mask = inside(torch.zeros(2, 3, 4, 5), torch.tensor([[4, 5], [1, 2]]))
    assert mask.flatten(1).sum(1).tolist() == [20, 2]
    assert mask[1, 0, 0].tolist() == [True, True, False, False, False]
