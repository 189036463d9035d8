"""Ask a segmentation service with the stock client: `ask_triton_maps.py TARGET MODEL OUTPUT PICTURE…`.

Writes what it gets to the file OUTPUT (npz) and prints one JSON object.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton

OUTPUTS = ("class_map", "class_pixels", "instance_map")


def main() -> None:
    """Ask for all pictures in one batch."""
    target, model, output, *pictures = sys.argv[1:]
    client = triton.InferenceServerClient(target)
    files = [[Path(picture).read_bytes()] for picture in pictures]
    tensor = triton.InferInput("image", [len(files), 1], "BYTES")
    tensor.set_data_from_numpy(np.array(files, dtype=object))
    wanted = [triton.InferRequestedOutput(name) for name in OUTPUTS]
    answer = client.infer(model, [tensor], outputs=wanted, client_timeout=20)
    np.savez(output, **{name: answer.as_numpy(name) for name in OUTPUTS})
    metadata = client.get_model_metadata(model)
    print(
        json.dumps(
            {
                "is_ready": client.is_server_ready() and client.is_model_ready(model),
                "outputs": [[one.name, one.datatype, list(one.shape)] for one in metadata.outputs],
            }
        )
    )


if __name__ == "__main__":
    main()
