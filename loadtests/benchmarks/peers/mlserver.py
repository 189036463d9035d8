"""MLServer, with one worker process per core."""

import json
import shutil
from pathlib import Path

from loadtests.benchmarks.peers.environment import Environment
from loadtests.benchmarks.peers.peer import Peer, free_port

REQUIREMENTS = ("mlserver", "uvloop<0.22", "onnxruntime", "opencv-python-headless")
MODEL = "classifier"
SHAPE = (1,)  # of one picture


def mlserver(environment: Environment, folder: Path, graph: Path, *, workers: int) -> Peer:
    """Return an MLServer that has not been started.

    Args:
        environment: with `REQUIREMENTS`.
        folder: takes its model and its log.
        graph: input ``image`` uint8 [batch, height, width, 3], output ``logits``.
        workers: how many processes answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("mlserver_model.py"), folder / "mlserver_model.py")
    model = {
        "name": MODEL,
        "implementation": "mlserver_model.Classifier",
        "parameters": {"uri": str(graph)},
    }
    (folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    ports = [free_port() for _ in range(3)]
    settings = {
        "host": "127.0.0.1",
        "grpc_port": ports[0],
        "http_port": ports[1],
        "metrics_port": ports[2],
        "parallel_workers": workers,
        "debug": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return Peer(
        "MLServer",
        [str(environment.bin / "mlserver"), "start", str(folder)],
        environment={"PYTHONPATH": str(folder)},
        target=f"127.0.0.1:{ports[0]}",
        model=MODEL,
        log=folder / "mlserver.log",
    )
