"""Ask a service with the stock client of the ecosystem: `ask_triton.py TARGET PICTURE…` prints one JSON object."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton

MODEL = "digits-mobilenet"


def ask(client: triton.InferenceServerClient, files: list[bytes], outputs: list[triton.InferRequestedOutput]) -> Any:
    """Return the answer to pictures sent as files."""
    tensor = triton.InferInput("image", [len(files), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[data] for data in files], dtype=object))
    return client.infer(MODEL, [tensor], outputs=outputs, client_timeout=10)


def main() -> None:
    """Print what the stock client gets."""
    target, *pictures = sys.argv[1:]
    client = triton.InferenceServerClient(target)
    answers: dict[str, object] = {
        "is_live": client.is_server_live(),
        "is_ready": client.is_server_ready() and client.is_model_ready(MODEL),
        "is_unknown_model_found": True,
    }
    try:
        client.get_model_metadata("nobody")
    except triton.InferenceServerException as error:
        answers["is_unknown_model_found"] = error.status() != "StatusCode.NOT_FOUND"
    named = [triton.InferRequestedOutput(name) for name in ("logits", "label")]
    for picture in map(Path, pictures):
        whole = ask(client, [picture.read_bytes()], named)
        best = ask(client, [picture.read_bytes()], [triton.InferRequestedOutput("scores", class_count=1)])
        answers[picture.name] = {
            "label": whole.as_numpy("label")[0, 0].decode(),
            "logits": whole.as_numpy("logits")[0].tolist(),
            "classification": best.as_numpy("scores")[0, 0].decode(),
        }
    batch = ask(client, [Path(picture).read_bytes() for picture in pictures], named)
    answers["batch"] = [label.decode() for label in batch.as_numpy("label")[:, 0]]
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
