"""What Triton's Python backend runs: JPEG bytes to logits, a batch at once. Triton imports this in its own process."""

import json
from typing import Any

import cv2
import numpy as np
import onnxruntime
import triton_python_backend_utils as backend


class TritonPythonModel:
    """One instance; its graph is named by the parameter ``graph`` of the configuration."""

    def initialize(self, args: dict[str, Any]) -> None:
        """Load the graph, one thread."""
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        cv2.setNumThreads(1)
        graph = config["parameters"]["graph"]["string_value"]
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        _, height, width, _ = self._session.get_inputs()[0].shape
        self._size = (width, height)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests that Triton put together."""
        encoded = [backend.get_input_tensor_by_name(one, "image").as_numpy()[:, 0] for one in requests]
        rows = [self._row(jpeg) for part in encoded for jpeg in part]
        logits = self._session.run(["logits"], {"image": np.stack(rows)})[0]
        ends = np.cumsum([len(part) for part in encoded])
        return [
            backend.InferenceResponse([backend.Tensor("logits", logits[end - len(part) : end])])
            for part, end in zip(encoded, ends, strict=True)
        ]

    def _row(self, jpeg: bytes) -> Any:
        picture: Any = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        return cv2.resize(picture, self._size)
