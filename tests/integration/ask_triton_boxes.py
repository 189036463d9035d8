"""Ask a detection service with the stock client: `ask_triton_boxes.py TARGET MODEL PICTURE…` prints one JSON object."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton

OUTPUTS = ("boxes", "scores", "label_ids", "labels", "count")


def ask(client: triton.InferenceServerClient, model: str, files: list[bytes]) -> dict[str, Any]:
    """Return all outputs for pictures sent as files in one batch."""
    tensor = triton.InferInput("image", [len(files), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[data] for data in files], dtype=object))
    wanted = [triton.InferRequestedOutput(name) for name in OUTPUTS]
    answer = client.infer(model, [tensor], outputs=wanted, client_timeout=10)
    return {name: answer.as_numpy(name) for name in OUTPUTS}


def main() -> None:
    """Print what the stock client gets: for each picture alone, and for all of them together."""
    target, model, *pictures = sys.argv[1:]
    client = triton.InferenceServerClient(target)
    files = [Path(picture).read_bytes() for picture in pictures]
    answers = [ask(client, model, [data]) for data in files]
    together = ask(client, model, files)
    counts = together["count"][:, 0].tolist()
    print(
        json.dumps(
            {
                "is_ready": client.is_server_ready() and client.is_model_ready(model),
                "outputs": [output.name for output in client.get_model_metadata(model).outputs],
                "alone": [
                    {
                        "boxes": one["boxes"][0].tolist(),
                        "scores": one["scores"][0].tolist(),
                        "labels": [name.decode() for name in one["labels"].reshape(-1)],
                        "count": one["count"].tolist(),
                    }
                    for one in answers
                ],
                "together": [together["boxes"][row, :count].tolist() for row, count in enumerate(counts)],
            }
        )
    )


if __name__ == "__main__":
    main()
