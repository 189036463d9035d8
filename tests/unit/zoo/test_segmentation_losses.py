import math

import numpy as np
import pytest
import torch

from retinue.zoo.segmentation_losses import cross_entropy_loss, dice_loss, focal_loss


@pytest.fixture
def maps() -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and ones and zeros, [2, 3, 4, 5]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 4, 5, generator=generator) * 3, (torch.rand(2, 3, 4, 5, generator=generator) > 0.6).float()


def test_dice_is_the_plain_formula(maps: tuple[torch.Tensor, torch.Tensor]) -> None:
    probabilities, targets = maps[0].sigmoid(), maps[1]
    p, t = probabilities.numpy().astype(np.float64), targets.numpy()
    shares = [(2 * (p[:, c] * t[:, c]).sum() + 0.5) / (p[:, c].sum() + t[:, c].sum() + 0.5) for c in range(p.shape[1])]
    assert dice_loss(probabilities, targets, smooth=0.5).item() == pytest.approx(1 - np.mean(shares), abs=1e-6)


def test_dice_of_what_is_right_is_nothing_and_of_an_absent_class_too() -> None:
    ones, zeros = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    assert dice_loss(ones, ones) == dice_loss(zeros, zeros) == 0
    assert dice_loss(zeros, ones, smooth=1e-6).item() == pytest.approx(1)


def test_cross_entropy_is_the_plain_formula(maps: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, weights = maps[0], torch.tensor([1.0, 0.5, 3.0])
    classes = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(1))
    z = logits.numpy().astype(np.float64)
    surprise = np.log(np.exp(z).sum(1)) - np.take_along_axis(z, classes.numpy()[:, None], 1)[:, 0]
    weight = weights.numpy()[classes.numpy()]
    assert cross_entropy_loss(logits, classes).item() == pytest.approx(surprise.mean(), rel=1e-5)
    weighted = cross_entropy_loss(logits, classes, class_weights=weights).item()
    assert weighted == pytest.approx((weight * surprise).sum() / weight.sum(), rel=1e-5)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (None, 1.0), (0.7, 0.0), (None, 0.0)])
def test_focal_loss_is_the_plain_formula(
    alpha: float | None, gamma: float, maps: tuple[torch.Tensor, torch.Tensor]
) -> None:
    logits, targets = maps
    p = 1 / (1 + np.exp(-logits.numpy().astype(np.float64)))
    right = np.where(targets.numpy() == 1, p, 1 - p)
    a = 1.0 if alpha is None else np.where(targets.numpy() == 1, alpha, 1 - alpha)
    expected = (-a * (1 - right) ** gamma * np.log(right)).mean()
    assert focal_loss(logits, targets, alpha=alpha, gamma=gamma).item() == pytest.approx(expected, rel=1e-5)


def test_losses_of_the_surest_logits_are_finite_and_so_are_their_gradients() -> None:
    for logit in (-200.0, 200.0):
        for target in (0.0, 1.0):
            logits = torch.full((1, 2, 1, 1), logit, requires_grad=True)
            targets = torch.full((1, 2, 1, 1), target)
            loss = focal_loss(logits, targets) + dice_loss(logits.sigmoid(), targets)
            loss = loss + cross_entropy_loss(logits, torch.ones(1, 1, 1, dtype=torch.int64))
            loss.backward()  # type: ignore[no-untyped-call]
            assert math.isfinite(loss.item())
            assert logits.grad is not None
            assert logits.grad.isfinite().all()


def test_maps_that_do_not_fit_and_options_out_of_range_are_refused() -> None:
    maps = torch.zeros(1, 2, 3, 3)
    for loss in (dice_loss, focal_loss):
        with pytest.raises(ValueError, match="must be"):
            loss(maps, maps[:, :1])
        with pytest.raises(ValueError, match="must be"):
            loss(maps[0], maps[0])
    with pytest.raises(ValueError, match="not of the same maps"):
        cross_entropy_loss(maps, torch.zeros(1, 3, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="smooth must be above 0"):
        dice_loss(maps, maps, smooth=0)
    for options in ({"gamma": -1.0}, {"alpha": 1.5}):
        with pytest.raises(ValueError, match="gamma must be at least 0"):
            focal_loss(maps, maps, **options)
