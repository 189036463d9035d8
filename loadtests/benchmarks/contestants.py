"""The servers that benchmarks compare: ours, and the peers that can be installed, each with the same graph."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from loadtests.benchmarks.classification import MODEL
from loadtests.benchmarks.peers import mlserver, triton
from loadtests.benchmarks.peers.environment import Environment
from loadtests.benchmarks.peers.peer import PeerFailed
from loadtests.service_process import ServiceProcess
from retinue.oip import open_inference_pb2 as oip

CLASSES = 1000
PEERS = Path("out/peers")


class Server(Protocol):
    """What is measured."""

    target: str

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its processes so far."""
        ...


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server that can be started as often as need be, and the request that it takes."""

    name: str
    start: Callable[[], AbstractContextManager[Server]]
    message: Path


def contestants_of(
    folder: Path, graph: Path, jpeg: bytes, *, peers: Path = PEERS, without: Sequence[str] = ()
) -> list[Contestant]:
    """Return ours first, then the peers; one that cannot be installed or does not start is left out, and named.

    Args:
        folder: holds our package under ``models``; takes the peers' files and all logs.
        graph: input ``image`` uint8 [batch, height, width, 3], output ``logits``.
        jpeg: the picture that is sent.
        peers: where the peers' environments lie, or are to lie.
        without: peers to leave out, in lower case.
    """
    cores = len(os.sched_getaffinity(0))
    settings = {"RETINUE_MODELS__ROOTS": f'["{folder / "models"}"]', "RETINUE_MODELS__IS_EMBEDDED_SERVED": "false"}
    runs = itertools.count()

    def ours() -> AbstractContextManager[Server]:
        return ServiceProcess("classification", folder / "service.log", settings)

    def tritons(environment: Environment) -> AbstractContextManager[Server]:
        place = folder / f"triton-{next(runs)}"
        return triton.triton(environment, place, graph, classes=CLASSES, instances=cores)

    def mlservers(environment: Environment) -> AbstractContextManager[Server]:
        return mlserver.mlserver(environment, folder / f"mlserver-{next(runs)}", graph, workers=cores)

    contestants = [Contestant("Retinue", ours, _message(folder, jpeg, MODEL, (1, 1)))]
    for name, module, start in (("Triton", triton, tritons), ("MLServer", mlserver, mlservers)):
        if name.lower() in without:
            continue
        environment = Environment(peers / name.lower(), module.REQUIREMENTS)
        message = _message(folder, jpeg, module.MODEL, module.SHAPE)
        try:
            environment.make()
            with start(environment):
                pass
        except (subprocess.CalledProcessError, OSError, PeerFailed) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        contestants.append(Contestant(name, partial(start, environment), message))
    return contestants


def _message(folder: Path, jpeg: bytes, model: str, shape: Sequence[int]) -> Path:
    """Write the request for the logits of one picture, which is an input of that shape to the server."""
    request = oip.ModelInferRequest(model_name=model)
    request.inputs.add(name="image", datatype="BYTES", shape=shape)
    request.outputs.add(name="logits")
    request.raw_input_contents.append(len(jpeg).to_bytes(4, "little") + jpeg)
    path = folder / f"{model}-{len(shape)}.bin"
    path.write_bytes(request.SerializeToString())
    return path
