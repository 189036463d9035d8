"""What ONNX Runtime's GPU providers are told: where engines are kept, for which shapes, in what arithmetic.

Written by the documentation; no GPU was at hand, so none of it has been run on one (docs/backends.md).

Source:
    ONNX Runtime's pages on the CUDA and the TensorRT execution provider; names and values are theirs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from retinue.runtime.backend import TensorInfo
from retinue.runtime.manifest import Precision
from retinue.runtime.provider import Provider

Options = dict[str, str]
_WORKSPACE_BYTES = 2 << 30


def provider_options(
    provider: Provider,
    *,
    inputs: Mapping[str, TensorInfo],
    batch_sizes: Sequence[int],
    precision: Precision = "float32",
    cache: Path | None = None,
    is_captured: bool = False,
) -> Options:
    """Return the options of one provider for one graph; the CPU's has none.

    Args:
        provider: one of ONNX Runtime's.
        inputs: of the graph.
        batch_sizes: sizes to be ready for, ascending, at least one.
        precision: ``float16`` lets TensorRT choose kernels of 16 bits.
        cache: the folder in which TensorRT keeps its engines; None keeps none, and each start builds them anew.
        is_captured: whether runs are recorded as CUDA graphs.

    >>> provider_options("cpu", inputs={}, batch_sizes=[1])
    {}
    """
    if provider == "cuda":
        options = {
            "arena_extend_strategy": "kSameAsRequested",  # by default the arena doubles, and memory is shared
            "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE tries all kernels again for every new shape
            "use_tf32": "0",  # ten bits of mantissa are not what the golden answers were made with
        }
        return options | ({"enable_cuda_graph": "1"} if is_captured else {})
    if provider != "tensorrt":
        return {}
    options = {
        "trt_max_workspace_size": str(_WORKSPACE_BYTES),
        "trt_fp16_enable": _flag(precision == "float16"),
        "trt_engine_cache_enable": _flag(cache is not None),
        "trt_timing_cache_enable": _flag(cache is not None),
        "trt_context_memory_sharing_enable": "True",
    }
    if cache is not None:
        options |= {"trt_engine_cache_path": str(cache), "trt_timing_cache_path": str(cache)}
    if is_captured:
        options["trt_cuda_graph_enable"] = "True"
    return options | profile_options(inputs, batch_sizes)


def profile_options(inputs: Mapping[str, TensorInfo], batch_sizes: Sequence[int]) -> Options:
    """Return for which shapes TensorRT builds its engine, so that it is built once.

    Only where nothing but the batch is open can they be told ahead. A graph with other open sides gets no profile: its
    engine grows with the shapes that it meets, which `retinue models warm` shows it.

    >>> image = TensorInfo("image", "tensor(uint8)", (None, 224, 224, 3))
    >>> profile_options({"image": image}, [1, 2, 4])["trt_profile_max_shapes"]
    'image:4x224x224x3'
    """
    if not is_batch_alone_open(inputs):
        return {}

    def shapes(size: int) -> str:
        return ",".join(f"{name}:{'x'.join(map(str, fixed_shape(info, size)))}" for name, info in inputs.items())

    return {
        "trt_profile_min_shapes": shapes(batch_sizes[0]),
        "trt_profile_opt_shapes": shapes(batch_sizes[-1]),
        "trt_profile_max_shapes": shapes(batch_sizes[-1]),
    }


def is_batch_alone_open(inputs: Mapping[str, TensorInfo]) -> bool:
    """Say whether a graph has one input, of which only the first side is open."""
    if len(inputs) != 1:
        return False
    [info] = inputs.values()
    return bool(info.shape) and info.shape[0] is None and None not in info.shape[1:]


def fixed_shape(info: TensorInfo, size: int) -> tuple[int, ...]:
    """Return the shape of an input with its open sides set to ``size``."""
    return tuple(size if side is None else side for side in info.shape)


def _flag(is_on: bool) -> str:  # noqa: FBT001 - a value in other words
    return "True" if is_on else "False"
