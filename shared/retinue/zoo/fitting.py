"""Putting a checkpoint's tensors into a network, or saying which of them do not fit."""

from collections.abc import Mapping

from torch import Tensor, nn

from retinue.zoo.errors import CheckpointInvalid, CheckpointMismatch


def shape_of(state: Mapping[str, Tensor], name: str, dimensions: int) -> tuple[int, ...]:
    """Return the shape of a tensor from which a dimension of the network is to be read.

    Raises:
        CheckpointInvalid: the tensor is missing, has another number of dimensions, or is empty.
    """
    if name not in state:
        raise CheckpointInvalid(f"the checkpoint lacks {name}")
    shape = tuple(state[name].shape)
    if len(shape) != dimensions or 0 in shape:
        raise CheckpointInvalid(f"{name} has shape {shape}, not {dimensions} dimensions of at least 1")
    return shape


def fill(model: nn.Module, state: Mapping[str, Tensor], architecture: str) -> None:
    """Make a checkpoint's tensors the network's own, without copying them; it is put into evaluation mode.

    Args:
        model: the network, on the meta device or any other.
        state: tensors by name.
        architecture: what the network is called in a refusal.

    Raises:
        CheckpointMismatch: a tensor is missing, of another shape, or unknown to the network. Only the counters of batch
            normalisation, which nothing reads, may be missing: old files have none.
    """
    expected = model.state_dict()
    state = dict(state)
    for name, tensor in expected.items():
        if name.endswith(".num_batches_tracked"):
            state.setdefault(name, tensor.new_zeros((), device="cpu"))
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    wrong = [
        f"{name}: has {tuple(state[name].shape)}, needs {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    # Weights are float32 by now; whole numbers would pass for weights, and round every answer.
    wrong += [
        f"{name}: holds whole numbers"
        for name, tensor in expected.items()
        if name in state and tensor.is_floating_point() and not state[name].is_floating_point()
    ]
    if missing or unexpected or wrong:
        raise CheckpointMismatch(architecture, missing=missing, unexpected=unexpected, wrong=wrong)
    model.load_state_dict(state, assign=True)
    model.eval()
