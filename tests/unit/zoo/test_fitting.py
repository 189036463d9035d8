import re

import pytest
import torch
from torch import nn

from retinue.zoo.errors import CheckpointInvalid, CheckpointMismatch
from retinue.zoo.fitting import fill, shape_of


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def test_tensors_become_the_networks_own() -> None:
    state = dict(_net().state_dict())
    with torch.device("meta"):
        model = _net()
    fill(model, state, "net")
    assert model.get_parameter("0.weight").data_ptr() == state["0.weight"].data_ptr()
    assert not model.training


def test_counters_may_be_missing() -> None:
    state = {name: tensor for name, tensor in _net().state_dict().items() if "tracked" not in name}
    with torch.device("meta"):
        model = _net()
    fill(model, state, "net")
    assert int(model.get_buffer("1.num_batches_tracked")) == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"0.bias": None}, "missing: 0.bias"),
        ({"what": torch.ones(1)}, "unexpected: what"),
        ({"1.weight": torch.ones(4)}, r"wrong: 1.weight: has (4,), needs (3,)"),
        ({"1.bias": torch.ones(3, dtype=torch.int64)}, "wrong: 1.bias: holds whole numbers"),
    ],
)
def test_each_kind_of_misfit_is_named(change: dict[str, torch.Tensor | None], problem: str) -> None:
    changed = {**_net().state_dict(), **change}
    with pytest.raises(CheckpointMismatch, match=re.escape(f"does not fit net: {problem}")):
        fill(_net(), {name: tensor for name, tensor in changed.items() if tensor is not None}, "net")


def test_all_misfits_are_told_together() -> None:
    state = {"0.weight": torch.ones(1), "0.bias": torch.ones(3), "what": torch.ones(1)}
    with pytest.raises(CheckpointMismatch) as caught:
        fill(_net(), state, "net")
    assert caught.value.missing == ("1.weight", "1.bias", "1.running_mean", "1.running_var")
    assert caught.value.unexpected == ("what",)
    assert caught.value.wrong == ("0.weight: has (1,), needs (3, 2)",)


@pytest.mark.parametrize("shape", [(3,), (3, 2, 1), (0, 2)])
def test_shape_of_another_rank_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointInvalid, match="w has shape"):
        shape_of({"w": torch.zeros(shape)}, "w", 2)


def test_shape_of_a_missing_tensor_is_refused() -> None:
    with pytest.raises(CheckpointInvalid, match="lacks w"):
        shape_of({}, "w", 2)
