"""What MLServer runs: JPEG bytes to logits. MLServer imports this in its own processes."""

from typing import Any

import cv2
import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Classifier(MLModel):  # type: ignore[misc]  # of another environment
    """One copy in each worker process; its graph is the ``uri`` of the settings."""

    async def load(self) -> bool:
        """Load the graph, one thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        cv2.setNumThreads(1)
        self._session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        _, height, width, _ = self._session.get_inputs()[0].shape
        self._size = (width, height)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request of one picture."""
        data: Any = payload.inputs[0].data
        data = getattr(data, "root", data)
        jpeg = data[0] if isinstance(data, list) else data
        picture: Any = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        logits = self._session.run(["logits"], {"image": cv2.resize(picture, self._size)[None]})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("logits", logits)])
