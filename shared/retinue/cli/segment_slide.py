"""`retinue segment --slide`: a TIFF that fits nowhere becomes label images and CSVs of its classes and instances."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from retinue.cli.class_csv import ENDING as CLASSES_ENDING
from retinue.cli.class_csv import write_class_csv
from retinue.cli.fresh_names import FreshNames
from retinue.cli.instance_csv import ENDING, InstanceCsv
from retinue.cli.label_image import TILE_SIDE, LabelImage
from retinue.cli.muted_libraries import muted_libraries
from retinue.cli.refusal import Refused
from retinue.cli.segmentation_table import class_table
from retinue.cli.slide_file import SlideFile
from retinue.cli.terminal import plain, stdout_console
from retinue.client.errors import CallFailed
from retinue.client.pictures import MAX_ID_CHARACTERS, image_id_of
from retinue.client.segmentation import SegmentationClient
from retinue.client.segmentation_request import SegmentKeywords
from retinue.client.slide_answer import SegmentedTile, SlideInstances, SlideSummary

CLASS_IMAGE_ENDING = "-classes.tif"
LABELS_ENDING = "-instances.tif"

_KEYS = {
    CLASS_IMAGE_ENDING: "class_image",
    CLASSES_ENDING: "class_csv",
    LABELS_ENDING: "label_image",
    ENDING: "csv",
}
"""What is written, by its ending, and how JSON calls it."""
_PART = ".part"  # files get their names when they are whole
_STREAM_TIMEOUT_S = 7 * 86400.0


def run_slide(arguments: argparse.Namespace, keywords: SegmentKeywords) -> int:
    """Segment a slide, write its classes and its instances, print its classes and return 0.

    A model that tells classes only has no files of instances, and ``csv`` is then for its classes.

    Args:
        arguments: ``slide``, ``server``, ``timeout_s``, ``out``, ``csv`` and ``json`` are looked at.
        keywords: what is asked of the service.

    Raises:
        Refused: an argument or the file cannot be used; or the service failed, and nothing is left behind.
    """
    path = Path(arguments.slide)
    with SlideFile(path) as slide:
        names = FreshNames(arguments.out or Path(), [path], option="--out")
        files = {ending: names.place(path, ending) for ending in _KEYS}
        files[ENDING] = _csv_path(arguments.csv, path, ENDING) or files[ENDING]
        parts = {_part(file) for file in files.values()}
        try:
            with (
                muted_libraries(),
                _progress(arguments) as progress,
                InstanceCsv(str(_part(files[ENDING])), [path]) as rows,
                LabelImage(files[LABELS_ENDING].parent, slide.width, slide.height) as labels,
                ExitStack() as stack,
            ):
                summary, classes = _Run(slide, rows, labels, progress, stack).run(arguments, keywords)
                if summary.is_semantic_only:
                    class_csv = _csv_path(arguments.csv, path, CLASSES_ENDING) or files[CLASSES_ENDING]
                    files = {CLASS_IMAGE_ENDING: files[CLASS_IMAGE_ENDING], CLASSES_ENDING: class_csv}
                    parts.add(_part(class_csv))
                images = {CLASS_IMAGE_ENDING: classes, LABELS_ENDING: labels}
                written = [ending for ending in images if ending in files]
                saving = progress.add_task("writing", total=len(written) * -(-slide.height // TILE_SIDE))
                for ending in written:
                    images[ending].save(_part(files[ending]), lambda: progress.advance(saving))
            # Now that the rows of instances are closed: they may be a part of the same name.
            write_class_csv(_part(files[CLASSES_ENDING]), path, summary.classes, slide.width * slide.height)
            for file in files.values():
                _part(file).replace(file)
        except OSError as error:
            raise Refused(f"{error.filename or files[CLASS_IMAGE_ENDING]}: {error.strerror}", exit_code=1) from error
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
    _tell(arguments, slide, summary, files)
    return 0


class _Run:
    """One slide on its way through a service."""

    def __init__(
        self, slide: SlideFile, rows: InstanceCsv, labels: LabelImage, progress: Progress, stack: ExitStack
    ) -> None:
        self._slide = slide
        self._rows = rows
        self._labels = labels
        self._progress = progress
        self._stack = stack
        self._classes: LabelImage | None = None

    def run(self, arguments: argparse.Namespace, keywords: SegmentKeywords) -> tuple[SlideSummary, LabelImage]:
        """Return the summary and the image of classes, when everything is painted and told."""
        task = self._progress.add_task("segmenting", total=self._slide.geometry.tile_count)
        summary: SlideSummary | None = None
        with _client(arguments) as client:
            try:
                events = client.segment_slide(
                    self._slide.tiles(),
                    self._slide.geometry,
                    image_id=image_id_of(self._slide.path)[:MAX_ID_CHARACTERS],
                    **(keywords | SegmentKeywords(class_map="rle", instance_masks="rle")),
                )
                for event in events:
                    match event:
                        case SegmentedTile():
                            self._lay(event)
                            self._progress.advance(task)
                        case SlideInstances():
                            self._take(event)
                        case SlideSummary():
                            summary = event
            except CallFailed as failure:
                raise Refused(f"{arguments.server}: {failure}", exit_code=1) from failure
            except ValueError as error:
                raise Refused(str(error)) from error
        if summary is None or self._classes is None:
            raise Refused(f"{arguments.server}: there was no {'tile' if summary else 'summary'}", exit_code=1)
        return summary, self._classes

    def _lay(self, tile: SegmentedTile) -> None:
        pixels = tile.class_map
        if self._classes is None:  # how many classes there are, and so how wide a pixel is, the first tile says
            image = LabelImage(self._labels.folder, self._slide.width, self._slide.height, pixels.dtype)
            self._classes = self._stack.enter_context(image)
        self._classes.put(tile.x, tile.y, pixels)

    def _take(self, event: SlideInstances) -> None:
        for one in event.instances:
            self._labels.paint(one.box[0], one.box[1], one.box_mask(), one.number)
        self._rows.write(self._slide.path, ((one.number, one) for one in event.instances))


def _csv_path(target: str | None, slide: Path, ending: str) -> Path | None:
    """Return the file that ``--csv`` means; None where it says nothing."""
    if target is None:
        return None
    if target.endswith("/") or Path(target).is_dir():
        return FreshNames(Path(target), [slide], option="--csv").place(slide, ending)
    if Path(target).resolve() == slide.resolve():
        raise Refused(f"--csv {target}: it is the slide")
    return Path(target)


def _part(path: Path) -> Path:
    return path.with_name(path.name + _PART)


def _client(arguments: argparse.Namespace) -> SegmentationClient:
    try:
        return SegmentationClient(
            arguments.server.split(","), timeout_s=arguments.timeout_s, stream_timeout_s=_STREAM_TIMEOUT_S
        )
    except ValueError as error:
        raise Refused(f"--server: {error}") from error


def _tell(arguments: argparse.Namespace, slide: SlideFile, summary: SlideSummary, files: Mapping[str, Path]) -> None:
    """Print what was found and where it is."""
    if arguments.json:
        content = {
            "file": str(slide.path),
            "image": {"width": slide.width, "height": slide.height},
            "classes": [
                {
                    "label_id": one.label_id,
                    "label": one.label,
                    "pixel_count": one.pixel_count,
                    "instance_count": one.instance_count,
                    "instance_area_px": one.instance_area_px,
                }
                for one in summary.classes
            ],
            "instance_count": summary.instance_count,
            **{_KEYS[ending]: str(file) for ending, file in files.items()},
            "model": {"name": summary.model_name, "version": summary.model_version},
        }
        sys.stdout.write(json.dumps(content) + "\n")
        return
    console = stdout_console()
    head = Text().append_text(plain(str(slide.path), style="bold"))
    if not summary.is_semantic_only:
        head.append(f"  {summary.instance_count} instances")
    console.print(head, overflow="fold")
    pixel_count = slide.width * slide.height
    console.print(
        class_table(
            [(one.label, one.pixel_count, one.pixel_count / pixel_count, one.instance_count) for one in summary.classes]
        )
    )
    for path in files.values():
        console.print(plain(str(path)), overflow="fold")


class _Rate(ProgressColumn):
    """How many tiles are done in a second."""

    def render(self, task: Task) -> Text:
        """Return the rate, as soon as there is one."""
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:.1f} tiles/s", style="progress.data.speed")


@contextmanager
def _progress(arguments: argparse.Namespace) -> Iterator[Progress]:
    """Give a bar on stderr, hidden where nobody looks."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not sys.stderr.isatty() or (arguments.json and sys.stdout.isatty()),
    ) as progress:
        yield progress
