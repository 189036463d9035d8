"""Golden outputs of published detectors, and the weights that they belong to."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.data.named_weights import named_array

_FOLDER = Path(__file__).parent / "golden"


def golden_detector(name: str) -> tuple[dict[str, torch.Tensor], dict[str, NDArray[Any]]]:
    """Return the weights, and the input and outputs, of a detector's golden case by its file name."""
    with np.load(_FOLDER / f"{name}.npz") as file:
        shapes = zip(file["keys"], file["shapes"], strict=True)
        state = {
            str(key): torch.from_numpy(
                named_array(
                    str(key),
                    tuple(json.loads(str(shape))),
                    float(file["gain"]),
                    integer=str(key).endswith("num_batches_tracked"),
                )
            )
            for key, shape in shapes
        }
        return state, {key: file[key] for key in file.files if key not in ("keys", "shapes", "gain")}
