"""The names of what may run a graph."""

from collections.abc import Mapping
from typing import Literal

Provider = Literal["cpu", "openvino", "cuda", "tensorrt"]
"""``cpu``, ``cuda`` and ``tensorrt`` are ONNX Runtime's; ``openvino`` is OpenVINO itself, on the CPU."""

ONNX_RUNTIME_NAMES: Mapping[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""What ONNX Runtime calls its own."""

ON_CPU = frozenset[str]({"cpu", "openvino"})
"""What leaves batches of any size to the CPU's cores, where workers share waiting items out."""
