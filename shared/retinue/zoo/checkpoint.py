"""Reading of checkpoint files: the named tensors of `.pth`, `.pt` and `.safetensors` files, however they are wrapped.

Nothing in a file is ever run: pickles are read with an allow-list, and a file that holds more than data is refused.
"""

import argparse
import math
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from retinue.runtime.package import sha256_of
from retinue.zoo.errors import CheckpointInvalid

_WRAPPERS = ("model", "state_dict", "model_state_dict", "model_state", "net", "module", "weights")
_PREFIXES = ("module.", "_orig_mod.", "model.")

# Published files carry the start of their digest, as in mobilenet_v2-b0353104.pth; a date is none.
_DIGEST_IN_NAME = re.compile(r"-(?!(?:19|20)\d{6}\.)([0-9a-f]{8})\.(?:pth|pt)$")

# What a broken or hostile pickle can make the reader raise, apart from running out of memory.
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)


def read_checkpoint(path: Path, *, verify_name: bool = True) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, without the wrappers and prefixes of training tools.

    Floating-point tensors of any precision come as float32.

    Args:
        path: a `.pth`, `.pt` (or other PyTorch) or `.safetensors` file.
        verify_name: whether eight hex digits at the end of a PyTorch file's name, as in ``mobilenet_v2-b0353104.pth``,
            must be the start of its SHA-256 digest.

    Raises:
        CheckpointInvalid: the file cannot be read, has another digest than its name says, holds more than data,
            holds no tensors, or a tensor that is not finite or not stored in full.
    """
    if not path.is_file():
        raise CheckpointInvalid(f"{path.name}: there is no such file")
    said = _DIGEST_IN_NAME.search(path.name)
    if said and verify_name and not (digest := sha256_of(path)).startswith(said[1]):
        raise CheckpointInvalid(
            f"{path.name}: the name says that its sha256 begins with {said[1]}, but it begins with {digest[:8]}: "
            "the file is damaged or was renamed"
        )
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    state = _stripped(_unwrapped(path.name, content))
    return {name: _checked(path.name, name, tensor) for name, tensor in state.items()}


def _read_safetensors(path: Path) -> object:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointInvalid(f"{path.name} is not a safetensors file: {error}") from error


def _read_pickle(path: Path) -> object:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it might fail; then it does, and that is reported
            # Mapped, so that a file of gigabytes is not held twice; the old format cannot be.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except _UNREADABLE as error:
        foreign = re.search(r"GLOBAL ([\w.]+)", str(error))
        if foreign:
            problem = f"holds {foreign[1]}, which is code and not data; save the model's state_dict instead"
        elif "TorchScript" in str(error):
            problem = "is a TorchScript archive, which is code; save the model's state_dict instead"
        else:
            problem = f"is not a PyTorch checkpoint, or is damaged ({type(error).__name__})"
        raise CheckpointInvalid(f"{path.name} {problem}") from error


def _unwrapped(file_name: str, content: object) -> dict[str, Tensor]:
    """Return the named tensors of what a training tool saved, which may lie a level or two down."""
    for _ in range(3):
        if not isinstance(content, Mapping):
            break
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    tensors = content.items() if isinstance(content, Mapping) else ()
    state = {name: value for name, value in tensors if isinstance(name, str) and isinstance(value, Tensor)}
    if not state:
        raise CheckpointInvalid(f"{file_name} holds no named tensors")
    return state


def _stripped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the same tensors without a prefix that all their names have."""
    while prefix := next((p for p in _PREFIXES if all(name.startswith(p) for name in state)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _checked(file_name: str, name: str, tensor: Tensor) -> Tensor:
    """Return a tensor in float32, or in its integer type, that is known to be finite and stored in full."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.is_meta:
        raise CheckpointInvalid(f"{file_name}: {name} is no plain tensor of real numbers")
    # A few bytes can claim to be terabytes by repeating themselves; no training tool saves such.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointInvalid(f"{file_name}: {name} of shape {tuple(tensor.shape)} is not stored in full")
    if not tensor.is_floating_point():
        return tensor.detach()
    tensor = tensor.detach().float()
    if tensor.numel() and not all(math.isfinite(extreme) for extreme in tensor.aminmax()):
        raise CheckpointInvalid(f"{file_name}: {name} holds numbers that are not finite")
    return tensor
