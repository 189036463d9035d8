"""Load and unload with the stock client: `ask_triton_repository.py TARGET MODEL TOKEN` prints one JSON object."""

import json
import sys

import numpy as np
import tritonclient.grpc as triton


def main() -> None:
    """Print what the stock client gets."""
    target, model, token = sys.argv[1:]
    client = triton.InferenceServerClient(target)
    headers = {"authorization": f"Bearer {token}"}

    def code(wanted: str = model) -> str:
        tensor = triton.InferInput("image", [1, 2, 2, 3], "UINT8")
        tensor.set_data_from_numpy(np.zeros((1, 2, 2, 3), np.uint8))
        try:
            client.infer(wanted, [tensor], client_timeout=10)
        except triton.InferenceServerException as error:
            return str(error.status())
        return "OK"

    def index() -> dict[str, str]:
        found = client.get_model_repository_index(as_json=True)["models"]
        return {entry["name"]: entry["state"] for entry in found}

    answers: dict[str, object] = {
        "extensions": list(client.get_server_metadata().extensions),
        "before": [code(), client.is_model_ready(model), index()],
    }
    client.unload_model(model, headers=headers)
    answers["unloaded"] = [code(), client.is_model_ready(model), index()]
    client.load_model(model, headers=headers)
    answers["loaded"] = [code(), client.is_model_ready(model), index()]
    try:
        client.load_model(model, headers=headers, config='{"backend": "python"}')
    except triton.InferenceServerException as error:
        answers["with_configuration"] = str(error.status())
    try:
        client.load_model(model)
    except triton.InferenceServerException as error:
        answers["unauthorized"] = str(error.status())
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
