"""The training loop of the digit recipes: pictures drawn anew each epoch, and patterns that should look like none."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from retinue.runtime.classification_manifest import InputPolicy
from retinue.runtime.resize import fit_into
from retinue.zoo.classifier import Classifier
from retinue.zoo.recipes.handwriting import Digits, random_style, write_digit
from retinue.zoo.recipes.strangers import draw_pattern

MEAN = STD = (0.5, 0.5, 0.5)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how hard to train."""

    epochs: int
    learning_rate: float
    """Peak of a one-cycle schedule."""
    weight_decay: float = 0.05
    batch_size: int = 64
    patterns_per_digit: float = 0.25
    """How many patterns of no digit there are for each digit of an epoch."""
    pattern_weight: float = 0.5
    """Weight of the patterns' loss beside the digits'."""
    gentle_share: float = 0.3
    """Over this share of the epochs pictures grow from plain to as varied as they get; a transformer needs it."""
    seed: int = 20261124


def train(model: Classifier, digits: Digits, policy: InputPolicy, schedule: Schedule) -> None:
    """Train a classifier in place; its weights become their moving average over the steps.

    The loss is cross-entropy on digits, and on patterns of no digit the cross-entropy to equal scores.

    Source:
        Hendrycks et al., ICLR 2019, arXiv:1812.04606 (outlier exposure; its weight 0.5 is the paper's).
    """
    rng = np.random.default_rng(schedule.seed)
    steps = _step_count(digits, schedule)
    optimizer = torch.optim.AdamW(model.parameters(), schedule.learning_rate, weight_decay=schedule.weight_decay)
    pace = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.learning_rate, total_steps=schedule.epochs * steps, pct_start=0.2
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))  # type: ignore[no-untyped-call]
    model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # half the time on a CPU
    for epoch in range(schedule.epochs):
        total, strength = 0.0, min(1.0, epoch / max(1.0, schedule.gentle_share * schedule.epochs))
        for pictures, labels in _epoch(digits, policy, schedule, rng, strength):
            logits = model(pictures)
            loss = functional.cross_entropy(logits[: len(labels)], labels)
            loss = loss - schedule.pattern_weight * functional.log_softmax(logits[len(labels) :], dim=1).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            pace.step()
            average.update_parameters(model)
            total += loss.item()
        _log.info("epoch_trained", epoch=epoch, loss=round(total / steps, 4))
    # Statistics of batch normalisation belong to the weights they were taken with: take those of the averaged ones.
    update_bn((pictures for pictures, _ in _epoch(digits, policy, schedule, rng, 1.0)), average)
    model.load_state_dict(average.module.state_dict())
    model.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


def _step_count(digits: Digits, schedule: Schedule) -> int:
    return -(-len(digits.labels) // schedule.batch_size)


def _epoch(
    digits: Digits, policy: InputPolicy, schedule: Schedule, rng: np.random.Generator, strength: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of pictures, digits first and then patterns, and the labels of the digits."""
    for chosen in np.array_split(rng.permutation(len(digits.labels)), _step_count(digits, schedule)):
        pictures = [write_digit(digits.ink[index], random_style(rng, strength)) for index in chosen]
        pictures += [draw_pattern(rng) for _ in range(round(len(chosen) * schedule.patterns_per_digit))]
        yield normalised(as_rows(pictures, policy)), torch.from_numpy(digits.labels[chosen])


def as_rows(pictures: list[NDArray[np.uint8]], policy: InputPolicy) -> NDArray[np.uint8]:
    """Return pictures as the model's input, uint8 [n, height, width, 3], by the very code that serving uses."""
    rows = np.empty((len(pictures), policy.height, policy.width, 3), dtype=np.uint8)
    for picture, row in zip(pictures, rows, strict=True):
        fit_into(picture, policy, row)
    return rows


def normalised(rows: NDArray[np.uint8]) -> Tensor:
    """Return rows as the network takes them, float32 [n, 3, height, width], as the exported graph does it."""
    pixels = torch.from_numpy(rows).permute(0, 3, 1, 2).float() / 255
    return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
