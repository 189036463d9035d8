"""Writing down of PyTorch modules as ONNX graphs, and running of graphs to check them."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from retinue.runtime.onnx_runtime import onnxruntime
from retinue.zoo.graph import tidy

OPSET = 17  # from here on LayerNormalization is one operator; every runtime in use reads it
# Protocol buffers end at 2 GiB; beyond this the weights go to a file of their own beside the graph.
EXTERNAL_DATA_BYTES = 1_900_000_000


def traced(
    module: nn.Module,
    example: Sequence[Tensor],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]],
) -> onnx.ModelProto:
    """Return the graph of a module as PyTorch writes it down, tidied.

    Args:
        module: put into evaluation mode.
        example: tensors to follow through it.
        inputs: names of what it takes.
        outputs: names of what it gives.
        free: for each input and output the dimensions that are not fixed, with their names.

    Notes:
        PyTorch's exporter by tracing is used: it needs no further package and folds batch normalisation itself.
    """
    # A folder of its own: above 2 GiB the exporter puts every weight into a file beside the graph.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "traced.onnx")
        with warnings.catch_warnings():
            # Newer releases announce the end of this exporter at every call: for us to know, not for users.
            warnings.simplefilter("ignore", DeprecationWarning)
            # That Python numbers become constants: the checks of each export would find a wrong one.
            warnings.simplefilter("ignore", TracerWarning)
            torch.onnx.export(
                module.eval(),
                tuple(example),
                str(path),  # of a Path it does not see that it may write beside it
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=OPSET,
                dynamic_axes={name: dict(dimensions) for name, dimensions in free.items()},
                dynamo=False,
            )
        return tidy(onnx.load(path))


def save_graph(graph: onnx.ModelProto, path: Path, external_data_bytes: int = EXTERNAL_DATA_BYTES) -> tuple[Path, ...]:
    """Write a graph, its weights beside it if they are large; return the files."""
    if sum(len(weight.raw_data) for weight in graph.graph.initializer) <= external_data_bytes:
        onnx.save_model(graph, path)
        return (path,)
    data = path.with_name(f"{path.name}.data")
    data.unlink(missing_ok=True)  # the writer appends
    onnx.save_model(graph, path, save_as_external_data=True, location=data.name)
    return (path, data)


def session_of(path: Path) -> onnxruntime.InferenceSession:
    """Return a quiet session on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # what it says while optimising is no concern of the caller
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def relative_difference(answer: NDArray[np.float32], wanted: NDArray[np.floating]) -> float:
    """Return the largest difference as a share of the spread of what is wanted; infinite if anything is not finite."""
    if not np.isfinite(answer).all():
        return float("inf")
    return float(np.abs(answer - wanted).max()) / max(1e-6, float(np.ptp(wanted)))
