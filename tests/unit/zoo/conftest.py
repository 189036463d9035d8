"""Golden outputs of published implementations, and checkpoints filled with weights that their names determine."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.data.named_weights import named_array

_FOLDER = Path(__file__).parents[2] / "data" / "golden"
Outputs = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Golden:
    """A published layout, its weights, and what the original implementation answers."""

    state: dict[str, torch.Tensor]
    pictures: NDArray[np.uint8]
    logits: NDArray[np.float32]


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """Return the golden case of an architecture by its name."""

    def load(name: str) -> Golden:
        state, outputs = _read(f"torchvision_{name}")
        return Golden(state, outputs["input"], outputs["out_logits"])

    return load


@pytest.fixture(scope="session")
def golden_detection() -> Callable[[str], tuple[dict[str, torch.Tensor], Outputs]]:
    """Return the weights, and the input and outputs, of a detector's golden case by its file name."""
    return _read


def _read(name: str) -> tuple[dict[str, torch.Tensor], Outputs]:
    with np.load(_FOLDER / f"{name}.npz") as file:
        gain = float(file["gain"])
        shapes = {
            str(key): tuple(json.loads(str(shape))) for key, shape in zip(file["keys"], file["shapes"], strict=True)
        }
        outputs = {key: file[key] for key in file.files if key not in ("keys", "shapes", "gain")}
    return named_state(shapes, gain), outputs


def named_state(shapes: Mapping[str, tuple[int, ...]], gain: float = 1.0) -> dict[str, torch.Tensor]:
    """Return the weights that belong to names and shapes."""
    return {
        key: torch.from_numpy(named_array(key, shape, gain, integer=key.endswith("num_batches_tracked")))
        for key, shape in shapes.items()
    }
