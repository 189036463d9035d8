"""Ask the matching service with the ecosystem's stock client: `ask_triton_assign.py TARGET` prints one JSON object."""

import json
import sys

import numpy as np
import tritonclient.grpc as triton

MODEL = "assign"


def main() -> None:
    """Print what the stock client gets."""
    (target,) = sys.argv[1:]
    client = triton.InferenceServerClient(target)
    costs = np.array([[4, 1, 3], [2, 0, np.inf]], np.float32)
    tensor = triton.InferInput("cost", list(costs.shape), "FP32")
    tensor.set_data_from_numpy(costs)
    answer = client.infer(MODEL, [tensor], client_timeout=10)
    pairs = answer.as_numpy("pairs")
    metadata = client.get_model_metadata(MODEL)
    try:
        client.infer(MODEL, [tensor.set_data_from_numpy(costs * np.nan)], client_timeout=10)
        refusal = ""
    except triton.InferenceServerException as error:
        refusal = f"{error.status()} {error.message()}"
    answers = {
        "is_ready": client.is_server_ready() and client.is_model_ready(MODEL),
        "dtype": str(pairs.dtype),
        "pairs": pairs.tolist(),
        "total_cost": answer.as_numpy("total_cost").tolist(),
        "inputs": [[one.name, one.datatype, list(map(int, one.shape))] for one in metadata.inputs],
        "answered": client.get_inference_statistics(MODEL).model_stats[0].inference_stats.success.count,
        "refusal": refusal,
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
