import torch
from torch import nn

from retinue.zoo.frozen_norm import FrozenNorm, freeze_norms


def _trained(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(0)
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        assert tensor is not None
        tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return norm


def test_frozen_answers_as_evaluated_batch_normalisation_even_in_training() -> None:
    model = nn.Sequential(_trained(nn.BatchNorm2d(3)))
    x = torch.randn(2, 3, 4, 4)
    wanted = model.eval()(x)
    freeze_norms(model)
    assert isinstance(model[0], FrozenNorm)
    assert torch.equal(model.train()(x), wanted)


def test_epsilon_may_be_zero_and_matters() -> None:
    norm = FrozenNorm(1, eps=0.0)
    norm.running_var.fill_(1e-5)
    x = torch.ones(1, 1, 1, 1)
    assert torch.allclose(norm(x), torch.tensor(1e-5).rsqrt())
    norm.eps = 1e-5
    assert torch.allclose(norm(x), torch.tensor(2e-5).rsqrt())


def test_frozen_has_nothing_to_learn_and_counts_nothing() -> None:
    norm = FrozenNorm(2)
    assert not list(norm.parameters())
    assert set(norm.state_dict()) == {"weight", "bias", "running_mean", "running_var"}
