"""Golden outputs of published implementations, and checkpoints filled with weights that their names determine."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.data.named_weights import named_array

_FOLDER = Path(__file__).parents[2] / "data" / "golden"


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
        with np.load(_FOLDER / f"torchvision_{name}.npz") as file:
            gain = float(file["gain"])
            state = {
                str(key): torch.from_numpy(
                    named_array(
                        str(key), tuple(json.loads(str(shape))), gain, integer=str(key).endswith("num_batches_tracked")
                    )
                )
                for key, shape in zip(file["keys"], file["shapes"], strict=True)
            }
            return Golden(state, file["input"], file["out_logits"])

    return load
