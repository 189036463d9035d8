"""What the `retinue` command understands. Imports nothing heavy: each command's work lies in a module of its own."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from retinue.cli.matching_arguments import add_evaluate, add_match, add_track
from retinue.cli.number_arguments import count, distance, pixels, positive, seconds, share
from retinue.cli.parser import Parser, add_server

DEFAULT_ROOT = Path("models")
DEFAULT_TUNING = Path("tuning")
BLENDS = ("crop", "mean", "gaussian")
NMS_KINDS = ("hard", "soft_linear", "soft_gaussian", "diou", "matrix", "none")


class _Version(argparse.Action):
    """Prints the installed version; looked up only when asked for."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 - argparse's signature
        values: str | Sequence[object] | None,  # noqa: ARG002
        option_string: str | None = None,  # noqa: ARG002
    ) -> NoReturn:
        from importlib.metadata import version  # noqa: PLC0415 - costs more than the parser itself

        sys.stdout.write(f"retinue {version('retinue')}\n")
        parser.exit()


def build_parser() -> Parser:
    """Return the parser; its result names the module to run in ``command``."""
    parser = Parser(prog="retinue", description="Services that see: ask them, and look after their models.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_classify(commands.add_parser("classify", help="name what is on pictures", description=_CLASSIFY))
    _add_detect(commands.add_parser("detect", help="find what is on pictures, and where", description=_DETECT))
    add_match(commands.add_parser("match", help="pair what belongs together", description=_MATCH))
    add_evaluate(commands.add_parser("evaluate", help="score detections by COCO's rules", description=_EVALUATE))
    add_track(commands.add_parser("track", help="follow things through frames", description=_TRACK))
    segmenting = commands.add_parser("segment", help="find which pixels belong to what", description=_SEGMENT)
    _add_segment(segmenting)
    models = commands.add_parser("models", help="list, show, verify, warm and import models", description=_MODELS)
    _add_models(models.add_subparsers(title="commands", metavar="COMMAND", required=True))
    _add_tune(commands.add_parser("tune", help="measure how a model runs best on this machine", description=_TUNE))
    return parser


_CLASSIFY = """Ask a classification service what is on pictures. Exit code 1 if any picture has no answer."""
_DETECT = """Ask a detection service which things are on pictures. Exit code 1 if any picture has no answer."""
_MATCH = """Ask a matching service who belongs to whom: A is the reference, B is what is compared with it."""
_EVALUATE = """Ask a matching service for COCO's figures of detections."""
_TRACK = """Ask a matching service which detections of successive frames are the same thing."""
_SEGMENT = """Ask a segmentation service which pixels of pictures, or of one slide, belong to what.
Exit code 1 if any has no answer."""
_TUNE = """Measure providers, workers, threads and batches on this machine, and write the best where services find it.
Nothing else should run meanwhile."""
_MODELS = """Look after model repositories on this machine: folders of <model>/<version>/model.yaml."""


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="retinue.cli.classify")
    _add_asking(parser, "labels")
    parser.add_argument("--top-k", type=count, metavar="N", help="labels per picture, best first")


def _add_detect(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="retinue.cli.detect")
    _add_asking(parser, "boxes")
    parser.add_argument(
        "--class",
        dest="class_names",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="only these classes; stands after the pictures",
    )
    parser.add_argument("--nms", choices=NMS_KINDS, help="how several boxes on one thing become one")
    parser.add_argument(
        "--iou-threshold", "--iou", type=share, metavar="X", help="overlap above which nms acts, 0 to 1"
    )
    parser.add_argument(
        "--max-detections", "--max", type=count, metavar="N", help="at most this many boxes per picture, best first"
    )
    parser.add_argument("--tile", type=count, metavar="SIZE", help="look through tiles of this side, pixels, from 32")
    parser.add_argument("--overlap", type=pixels, metavar="PX", help="how far tiles overlap, up to half a tile")


def _add_segment(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="retinue.cli.segment")
    _add_asking(parser, "segments", image_count="*")
    parser.add_argument(
        "--slide",
        metavar="FILE.tif",
        help="in place of pictures a TIFF of any size; writes <name>-classes and -instances, .tif and .csv, to --out",
    )
    parser.add_argument("--threshold", type=share, metavar="X", help="pixels from this probability on, 0 to 1")
    parser.add_argument("--min-area", type=pixels, metavar="PX", help="leave out instances of fewer pixels")
    parser.add_argument(
        "--max-instances", "--max", type=count, metavar="N", help="at most this many instances per picture, best first"
    )
    parser.add_argument("--tile", type=count, metavar="SIZE", help="look through tiles of this side, pixels, from 32")
    parser.add_argument("--overlap", type=pixels, metavar="PX", help="how far tiles overlap, up to half a tile")
    parser.add_argument("--blend", choices=BLENDS, help="what a pixel is where tiles overlap (crop)")
    parser.add_argument(
        "--csv", metavar="FILE|DIR", help="write one row for each instance; into a folder: one file per picture"
    )


def _add_asking(parser: argparse.ArgumentParser, findings: str, image_count: str = "+") -> None:
    """Add what every command that asks a service has."""
    parser.add_argument(
        "images", metavar="IMAGE", nargs=image_count, help="a file, a folder (with all below it) or a 'pattern'"
    )
    parser.add_argument(
        "--model", metavar="NAME[@VERSION]", help="the model to ask; default: the service's own default"
    )
    parser.add_argument(
        "--score-threshold", "--score", type=share, metavar="X", help=f"leave out {findings} below this score, 0 to 1"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per picture and line")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"write the pictures with their {findings} drawn, as PNG"
    )
    add_server(parser, "the next answer")


def _add_models(commands: "argparse._SubParsersAction[Parser]") -> None:
    listing = commands.add_parser("list", help="list the models")
    listing.set_defaults(command="retinue.cli.models_list")
    showing = commands.add_parser("show", help="show what a model's manifest says")
    showing.set_defaults(command="retinue.cli.models_show")
    showing.add_argument("model", metavar="NAME[@VERSION]")
    verifying = commands.add_parser("verify", help="check digests, and that each graph loads and answers")
    verifying.set_defaults(command="retinue.cli.models_verify")
    verifying.add_argument("models", metavar="NAME[@VERSION]", nargs="*", help="what to check; default: everything")
    warming = commands.add_parser("warm", help="compile models ahead: TensorRT's engines, OpenVINO's graphs")
    warming.set_defaults(command="retinue.cli.models_warm")
    warming.add_argument("models", metavar="NAME[@VERSION]", nargs="*", help="what to compile; default: everything")
    warming.add_argument("--provider", choices=("tensorrt", "openvino"), default="tensorrt", help="(%(default)s)")
    warming.add_argument(
        "--cache", type=Path, required=True, metavar="DIR", help="the services' engine.cache, written to"
    )
    warming.add_argument(
        "--max-batch", type=count, default=4, metavar="N", help="the services' engine.max_batch_size (%(default)s)"
    )
    warming.add_argument(
        "--image",
        type=Path,
        action="append",
        metavar="FILE",
        help="a picture of a size that will come, for models of open sides; default: 500x375",
    )
    for parser in (listing, showing, verifying, warming):
        parser.add_argument(
            "--root",
            type=Path,
            action="append",
            metavar="DIR",
            help=f"a model repository ({DEFAULT_ROOT}); may be repeated",
        )
    _add_import(commands.add_parser("import", help="make a model package of a PyTorch checkpoint or a YOLO"))


def _add_tune(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="retinue.cli.tune")
    parser.add_argument("model", metavar="NAME[@VERSION]", help="the model; its latest version if none is named")
    parser.add_argument(
        "--root",
        type=Path,
        action="append",
        metavar="DIR",
        help=f"a model repository ({DEFAULT_ROOT}); may be repeated",
    )
    parser.add_argument(
        "--slo-ms", type=positive, default=50.0, metavar="MS", help="99 %% of answers are to come within (%(default)g)"
    )
    parser.add_argument(
        "--budget-s", type=seconds, default=120.0, metavar="S", help="about how long it may take (%(default)g)"
    )
    parser.add_argument(
        "--max-batch", type=count, default=32, metavar="N", help="the largest batch to try (%(default)s)"
    )
    parser.add_argument(
        "--image", type=Path, action="append", metavar="FILE", help="a picture to ask about; default: one of 500x375"
    )
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_TUNING, metavar="DIR", help="where the results are written (%(default)s)"
    )


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="retinue.cli.models_import")
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="a .pt, .pth or .safetensors file, or a YOLO's .onnx"
    )
    parser.add_argument("--name", required=True, help="what to call the model")
    parser.add_argument("--version", default="1", help="what to call this version (%(default)s)")
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, metavar="DIR", help="the repository (%(default)s)")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="names of the classes, one a line, by class id")
    parser.add_argument("--architecture", metavar="NAME", help="what it must be; default: what it turns out to be")
    parser.add_argument(
        "--preprocessing", metavar="NAME", help="how pictures were prepared; default: told by the names"
    )
    parser.add_argument("--image-size", type=count, metavar="N", help="side of the input, pixels; default: as trained")
    parser.add_argument("--activation", choices=("softmax", "sigmoid"), help="of a classifier; default: softmax")
    parser.add_argument("--short-side", type=count, metavar="N", help="of a detector: shorter side, pixels; mostly 800")
    parser.add_argument("--long-side", type=count, metavar="N", help="of a detector: longest side, pixels; mostly 1333")
    parser.add_argument("--factor", type=distance, metavar="X", help="of a UNet: what sides of pictures are scaled by")
    parser.add_argument("--licence", metavar="SPDX", default="unknown", help="licence of the weights (%(default)s)")
    parser.add_argument("--source", metavar="TEXT", help="who made the weights, from what")
    parser.add_argument("--description", metavar="TEXT", default="", help="one sentence for people")
    parser.add_argument("--overwrite", action="store_true", help="replace a package of that name and version")
