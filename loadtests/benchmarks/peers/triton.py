"""Triton: its real core and gRPC front end, as the package nvidia-pytriton brings them, with its Python backend."""

import shutil
import sysconfig
from pathlib import Path

from loadtests.benchmarks.peers.environment import Environment
from loadtests.benchmarks.peers.peer import Peer, free_port

REQUIREMENTS = ("nvidia-pytriton", "onnxruntime", "opencv-python-headless")
MODEL = "classifier"
SHAPE = (1, 1)  # of one picture: batch and column
_CONFIG = """\
backend: "python"
max_batch_size: 16
input [{{ name: "image" data_type: TYPE_STRING dims: [1] }}]
output [{{ name: "logits" data_type: TYPE_FP32 dims: [{classes}] }}]
instance_group [{{ kind: KIND_CPU count: {instances} }}]
dynamic_batching {{ max_queue_delay_microseconds: 0 }}
parameters {{ key: "graph" value {{ string_value: "{graph}" }} }}
"""


def triton(environment: Environment, folder: Path, graph: Path, *, classes: int, instances: int) -> Peer:
    """Return a Triton that has not been started, one instance per core, batches of what waits.

    Args:
        environment: with `REQUIREMENTS`.
        folder: takes its model repository and its log.
        graph: input ``image`` uint8 [batch, height, width, 3], output ``logits``.
        classes: how many logits there are.
        instances: processes of its Python backend.
    """
    model = folder / "repository" / MODEL
    (model / "1").mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("triton_model.py"), model / "1" / "model.py")
    config = _CONFIG.format(classes=classes, instances=instances, graph=graph)
    (model / "config.pbtxt").write_text(config, encoding="utf-8")
    server = environment.packages / "pytriton" / "tritonserver"
    version = sysconfig.get_python_version()
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, server / "backends" / "python" / stub.name)  # as deep as it was: it finds libraries by its place
    ports = [free_port() for _ in range(3)]
    return Peer(
        "Triton",
        [
            str(server / "bin" / "tritonserver"),
            f"--model-repository={folder / 'repository'}",
            f"--backend-directory={server / 'backends'}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={ports[0]}",
            "--http-address=127.0.0.1",
            f"--http-port={ports[1]}",
            f"--metrics-port={ports[2]}",
        ],
        environment={
            "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR")),  # of the Python that its stub embeds
            "PATH": f"{environment.bin}:/usr/bin:/bin",
            "PYTHONPATH": str(environment.packages),
        },
        target=f"127.0.0.1:{ports[0]}",
        model=MODEL,
        log=folder / "triton.log",
    )
