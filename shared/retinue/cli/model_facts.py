"""What the manifest of a model says that only its task or family has, for people."""

from collections.abc import Iterator

from retinue.runtime.classification_manifest import ClassificationManifest, InputPolicy, OpenSet
from retinue.runtime.detection_manifest import LetterboxInput, Selection, ShorterSideInput
from retinue.runtime.manifest import Manifest, Part
from retinue.runtime.segmentation_manifest import (
    InstanceManifest,
    ScaleInput,
    SemanticManifest,
    Splitting,
    StretchInput,
)


def task_facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield names and values, in the order in which they are shown."""
    yield "input", _input(manifest.input)
    if isinstance(manifest, ClassificationManifest):
        output = manifest.output
        yield "scores", output.activation
        yield "embedding", "none" if output.embedding is None else f"{output.embedding_size} features"
        yield "open set", "not calibrated" if manifest.open_set is None else _open_set(manifest.open_set)
    selection = getattr(manifest.output, "selection", None)
    if isinstance(selection, Selection):
        yield "boxes", _selection(selection)
    if isinstance(manifest, SemanticManifest | InstanceManifest):
        threshold = manifest.output.threshold
        yield "classes of pixels", "the most probable" if threshold is None else f"from {threshold:g} on"
        at = "" if manifest.stride_px == 1 else f", at multiples of {manifest.stride_px}"
        yield "tiles", f"{manifest.tiles.tile_size_px} pixels, overlap {manifest.tiles.overlap_px}{at}"
    if isinstance(manifest, InstanceManifest):
        yield "instances", _splitting(manifest.output.splitting)


def input_size(manifest: Manifest) -> str:
    """Return the size of a model's input, width before height, for a table."""
    match manifest.input:
        case InputPolicy(width=width, height=height) | LetterboxInput(width=width, height=height):
            return f"{width}x{height}"
        case StretchInput(width=width, height=height):
            return f"{width}x{height}"
        case ShorterSideInput(short_side=short, long_side=long):
            return f"{short} to {long}"
        case ScaleInput(factor=factor):
            return "any" if factor == 1 else f"any x {factor:g}"
        case _:
            return "-"


def _input(policy: Part) -> str:
    match policy:
        case InputPolicy():
            fit = {
                "stretch": "both sides scaled",
                "crop": f"shorter side scaled to {policy.short_side}, centre cut out",
                "letterbox": f"scaled to fit inside, rest filled with {policy.pad_value}",
            }[policy.fit]
            return f"{policy.width}x{policy.height} pixels, {fit}, {policy.kernel} {_antialias(policy.antialias)}"
        case ShorterSideInput():
            sides = f"shorter side scaled to {policy.short_side}, longer to at most {policy.long_side} pixels"
            return f"{sides}, bilinear {_antialias(policy.antialias)}, {policy.pixels}"
        case LetterboxInput():
            where = "in the centre" if policy.align == "centre" else "in the upper left corner"
            fit = f"scaled to fit inside, {where}, rest filled with {policy.pad_value}"
            kind = f"{policy.pixels} {policy.layout} {policy.channels}"
            divided = f", divided by {policy.divisor:g}" if policy.pixels == "float32" else ""
            return f"{policy.width}x{policy.height} pixels, {fit}, {kind}{divided}"
        case StretchInput():
            scaled = f"both sides scaled, {policy.kernel} {_antialias(policy.antialias)}"
            return f"{policy.width}x{policy.height} pixels, {scaled}"
        case ScaleInput():
            scaled = "as it is" if policy.factor == 1 else f"sides times {policy.factor:g}"
            return f"{scaled}, at most {policy.max_pixels} pixels, {policy.kernel} {_antialias(policy.antialias)}"
        case _:
            return "-"


def _antialias(is_used: bool) -> str:  # noqa: FBT001 - one of two words
    return "with antialias" if is_used else "without antialias"


def _selection(selection: Selection) -> str:
    nms = "no suppression"
    if selection.nms != "none":
        scope = "across classes" if selection.is_class_agnostic else "within a class"
        nms = f"{selection.nms} suppression above IoU {selection.iou_threshold:g} {scope}"
    return f"at most {selection.max_detections}, score at least {selection.score_threshold:g}, {nms}"


def _splitting(splitting: Splitting) -> str:
    guide = "" if splitting.guide is None else f" ({splitting.guide})"
    least = f"at least {splitting.min_area_px} pixels, score at least {splitting.score_threshold:g}"
    return f"by {splitting.method}{guide}, {least}"


def _open_set(open_set: OpenSet) -> str:
    parts = [f"{open_set.method}, unknown above {open_set.threshold:.4g}"]
    if open_set.method == "energy":
        parts.append(f"temperature {open_set.temperature:g}")
    if open_set.auroc is not None:
        parts.append(f"AUROC {open_set.auroc:.4g}")
    if open_set.measured_on is not None:
        parts.append(f"measured on {open_set.measured_on}")
    return ", ".join(parts)
