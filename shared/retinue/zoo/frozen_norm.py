"""Batch normalisation whose statistics and scale never change: what published detectors are trained with."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FrozenNorm(nn.Module):
    """Channels scaled and shifted by constants: keys ``weight``, ``bias``, ``running_mean``, ``running_var``.

    Unlike `torch.nn.BatchNorm2d` it learns nothing, counts no batches and answers the same in training.

    Args:
        channels: of input and output [batch, channels, height, width].
        eps: added to the variance; 0 is allowed, since detectors have been published so.

    >>> FrozenNorm(2)(torch.ones(1, 2, 1, 1)).flatten().round(decimals=4)
    tensor([1., 1.])
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(x - running_mean) / sqrt(running_var + eps) * weight + bias`` by channel."""
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def freeze_norms(module: nn.Module, eps: float = 1e-5) -> None:
    """Replace every batch normalisation inside a module by a frozen one with the same numbers.

    Args:
        module: changed in place.
        eps: of all the frozen ones.

    >>> block = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    >>> freeze_norms(block)
    >>> sorted(block.state_dict())
    ['0.bias', '0.weight', '1.bias', '1.running_mean', '1.running_var', '1.weight']
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenNorm(child.num_features, eps).to(child.weight.device)
            for key in ("weight", "bias", "running_mean", "running_var"):
                getattr(frozen, key).copy_(getattr(child, key).detach())
            setattr(module, name, frozen)
        else:
            freeze_norms(child, eps)
