"""What segmentation networks learn from: Dice, cross-entropy and focal loss of maps."""

import torch
from torch import Tensor
from torch.nn import functional


def dice_loss(probabilities: Tensor, targets: Tensor, *, smooth: float = 1.0) -> Tensor:
    """Return 1 less the soft Dice coefficient, the mean over channels; a batch counts as one large picture.

    Args:
        probabilities: float [batch, channels, height, width] in [0, 1].
        targets: of the same shape, 0 or 1, or shares between.
        smooth: added above and below, above 0: a channel that is nowhere wanted and nowhere found loses nothing.

    Returns:
        A scalar in [0, 1].

    Raises:
        ValueError: the shapes differ or are not of four dimensions, or ``smooth`` is not positive.

    Source:
        Milletari et al., 3DV 2016, arXiv:1606.04797, with plain sums in the denominator.

    >>> half = torch.tensor([[[[1.0, 0.0, 1.0, 0.0]]]])
    >>> dice_loss(half, torch.tensor([[[[1.0, 1.0, 0.0, 0.0]]]]), smooth=1e-9)
    tensor(0.5000)
    """
    _check_same(probabilities, targets)
    if not smooth > 0:
        raise ValueError(f"smooth must be above 0, not {smooth}")
    shared = (probabilities * targets).sum((0, 2, 3))
    both = probabilities.sum((0, 2, 3)) + targets.sum((0, 2, 3))
    return 1 - ((2 * shared + smooth) / (both + smooth)).mean()


def cross_entropy_loss(logits: Tensor, classes: Tensor, *, class_weights: Tensor | None = None) -> Tensor:
    """Return the mean of ``-log softmax`` of the right class, weighted by class.

    Args:
        logits: float [batch, classes, height, width].
        classes: int64 [batch, height, width] in [0, classes).
        class_weights: float [classes], at least 0; None: all the same. The mean is that of the weighted pixels.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: the shapes do not fit.

    >>> cross_entropy_loss(torch.zeros(1, 4, 1, 1), torch.zeros(1, 1, 1, dtype=torch.int64))
    tensor(1.3863)
    """
    if logits.ndim != 4 or classes.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(f"logits {tuple(logits.shape)} and classes {tuple(classes.shape)} are not of the same maps")
    return functional.cross_entropy(logits, classes, class_weights)


def focal_loss(logits: Tensor, targets: Tensor, *, alpha: float | None = 0.25, gamma: float = 2.0) -> Tensor:
    """Return the mean binary focal loss: cross-entropy in which what is known already counts little.

    With ``p`` the probability of what is the case, ``-a (1 - p) ** gamma * log(p)``.

    Args:
        logits: float [batch, channels, height, width], of independent yes or no.
        targets: of the same shape, 0 or 1.
        alpha: ``a`` of ones, in [0, 1]; that of zeros is ``1 - alpha``. None: 1 for both.
        gamma: at least 0, which makes it cross-entropy.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: the shapes differ or are not of four dimensions, or an option is out of range.

    Source:
        Lin et al., ICCV 2017, arXiv:1708.02002, equation 5; there the sum is divided by the number of ones.

    >>> focal_loss(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), alpha=None)
    tensor(0.1733)
    """
    _check_same(logits, targets)
    if gamma < 0 or (alpha is not None and not 0 <= alpha <= 1):
        raise ValueError(f"gamma must be at least 0 and alpha in [0, 1], not {gamma} and {alpha}")
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    # 1 - p without its rounding: the sigmoid of the logit on the wrong side.
    wrong = torch.sigmoid(torch.where(targets > 0.5, -logits, logits))
    loss = entropy if gamma == 0 else entropy * wrong**gamma
    if alpha is not None:
        loss = loss * torch.where(targets > 0.5, alpha, 1 - alpha)
    return loss.mean()


def _check_same(one: Tensor, other: Tensor) -> None:
    if one.ndim != 4 or one.shape != other.shape:
        raise ValueError(
            f"maps must be [batch, channels, height, width], both, not {tuple(one.shape)} and {tuple(other.shape)}"
        )
