"""Laws of the manifest: what is written is read back; whatever else stands in a file is refused, never worse."""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest_file import parse_manifest, read_manifest, validate_manifest, write_manifest

Contents = st.SearchStrategy[dict[str, Any]]
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
DIGESTS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SHARES = st.none() | st.floats(0, 1)
# What in YAML is no string unless quoted.
TRAPS = st.sampled_from(
    ["no", "Yes", "null", "~", "1", "1e5", "0x1F", "1:20", "2024-01-02", "", "=", "<<", "- a", "a: b"]
)


SIDES = st.integers(1, 8192)
POSITIVE = st.floats(1e-3, 1e6)
SHARE = st.floats(0, 1)
FIGURES = st.fixed_dictionaries({"metric": WORDS, "value": FLOATS, "dataset": WORDS})


@st.composite
def commons(draw: st.DrawFn, graphs: Sequence[str], label_count: int = 1) -> dict[str, Any]:
    """What the contents of valid manifests have in common."""
    return {
        "manifest_version": 1,
        "name": draw(NAMES),
        "version": draw(NAMES),
        "description": draw(TEXTS | TRAPS),
        "labels": draw(st.lists(TEXTS | TRAPS, min_size=label_count, max_size=8)),
        "files": draw(st.dictionaries(NAMES, DIGESTS, max_size=3)) | {name: draw(DIGESTS) for name in graphs},
        "accuracy": draw(st.lists(FIGURES, max_size=2)),
        "provenance": {"source": draw(WORDS), "data": draw(st.none() | TEXTS), "created": draw(st.dates()).isoformat()},
        "licence": draw(WORDS),
    }


@st.composite
def classifiers(draw: st.DrawFn) -> dict[str, Any]:
    """The content of a classifier's valid manifest."""
    height, width = draw(SIDES), draw(SIDES)
    fit = draw(st.sampled_from(["stretch", "crop", "letterbox"]))
    short_side = draw(st.integers(max(height, width), 8192)) if fit == "crop" else None
    embedding = draw(st.none() | TEXTS)
    method = draw(st.sampled_from(["max_softmax", "energy", "openmax"]))
    file = draw(NAMES) if method == "openmax" else None
    content = draw(commons(["model.onnx"]))
    if file is not None:
        content["files"].setdefault(file, draw(DIGESTS))
    open_set = {
        "method": method,
        "threshold": draw(FLOATS),
        "temperature": draw(st.floats(0, 1e9, exclude_min=True)),
        "file": file,
        "auroc": draw(SHARES),
        "measured_on": draw(st.none() | TEXTS),
    }
    return content | {
        "task": "classification",
        "family": "logits",
        "input": {"tensor": draw(TEXTS), "height": height, "width": width, "fit": fit, "short_side": short_side},
        "output": {"embedding": embedding, "embedding_size": None if embedding is None else draw(st.integers(1, 9999))},
        "open_set": draw(st.none() | st.just(open_set)),
    }


SELECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "score_threshold": SHARE,
        "nms": st.sampled_from(["hard", "soft_linear", "soft_gaussian", "diou", "matrix", "none"]),
        "iou_threshold": SHARE,
        "is_class_agnostic": st.booleans(),
        "max_detections": st.integers(1, 100_000),
    },
)


@st.composite
def shorter_sides(draw: st.DrawFn) -> dict[str, Any]:
    """An input that pictures are scaled into by their shorter side."""
    short_side = draw(SIDES)
    pixels = draw(st.sampled_from(["float32", "uint8"]))
    return {
        "tensor": draw(TEXTS),
        "size_tensor": draw(TRAPS),
        "pixels": pixels,
        "short_side": short_side,
        "long_side": draw(st.integers(short_side, 8192)),
        "rounding": draw(st.sampled_from(["floor", "detr"])),
        "size_divisor": draw(st.integers(1, 512)),
        "antialias": pixels == "uint8" and draw(st.booleans()),
    }


@st.composite
def two_stages(draw: st.DrawFn) -> dict[str, Any]:
    """The content of a two-stage detector's valid manifest."""
    level_count = draw(st.integers(1, 5))
    weights = st.tuples(POSITIVE, POSITIVE, POSITIVE, POSITIVE).map(list)
    output = {
        "levels": draw(st.lists(TEXTS | TRAPS, min_size=1, max_size=5, unique=True)),
        "objectness": draw(TEXTS),
        "weights": draw(weights),
        "anchors": {
            "sizes": draw(_many(st.lists(POSITIVE, min_size=1, max_size=3), level_count)),
            "aspect_ratios": draw(st.lists(POSITIVE, min_size=1, max_size=3)),
            "strides": draw(_many(SIDES, level_count)),
            "convention": draw(st.sampled_from(["torchvision", "detectron2"])),
        },
        "proposals": {"count": draw(st.integers(1, 100_000)), "nms_iou": draw(SHARE), "weights": draw(weights)},
        "selection": draw(SELECTIONS),
    }
    return draw(commons(["rpn.onnx", "head.onnx"], 2)) | {
        "task": "detection",
        "family": "faster_rcnn",
        "input": draw(shorter_sides()),
        "output": output,
    }


def _many(one: st.SearchStrategy[Any], count: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(one, min_size=count, max_size=count)


@st.composite
def transformers(draw: st.DrawFn) -> dict[str, Any]:
    """The content of a DETR's valid manifest."""
    output = {"logits": draw(TEXTS), "boxes": draw(TRAPS), "selection": draw(SELECTIONS)}
    kind = {"task": "detection", "family": "detr"}
    return draw(commons(["model.onnx"])) | kind | {"input": draw(shorter_sides()), "output": output}


@st.composite
def one_stages(draw: st.DrawFn) -> dict[str, Any]:
    """The content of a YOLO's valid manifest."""
    policy = {
        "tensor": draw(TEXTS),
        "height": draw(SIDES),
        "width": draw(SIDES),
        "align": draw(st.sampled_from(["centre", "corner"])),
        "pad_value": draw(st.integers(0, 255)),
        "layout": draw(st.sampled_from(["nchw", "nhwc"])),
        "channels": draw(st.sampled_from(["rgb", "bgr"])),
        "pixels": draw(st.sampled_from(["float32", "uint8"])),
        "divisor": draw(POSITIVE),
    }
    output = {"form": draw(st.sampled_from(["anchor_free", "anchor_based"])), "selection": draw(SELECTIONS)}
    kind = {"task": "detection", "family": "yolo"}
    return draw(commons(["model.onnx"])) | kind | {"input": policy, "output": output}


# All of one family at a time, so that each is tried as often as it would be alone.
FAMILIES = pytest.mark.parametrize(
    "contents",
    [classifiers(), two_stages(), transformers(), one_stages()],
    ids=["logits", "faster_rcnn", "detr", "yolo"],
)


@FAMILIES
@given(data=st.data())
@settings(deadline=None)
def test_what_is_written_is_read_back(contents: Contents, data: st.DataObject) -> None:
    manifest = validate_manifest(data.draw(contents))
    with tempfile.TemporaryDirectory() as folder:
        write_manifest(manifest, Path(folder))
        assert read_manifest(Path(folder)) == manifest


@FAMILIES
@given(data=st.data())
@settings(deadline=None)
def test_what_is_said_is_what_is_meant(contents: Contents, data: st.DataObject) -> None:
    """Nothing is rounded, reordered or turned into something else on the way."""
    content = data.draw(contents)
    manifest = parse_manifest(yaml.safe_dump(content))

    assert manifest.model_dump(mode="json", exclude_unset=True) == content


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | TRAPS | st.dates() | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@FAMILIES
@given(data=st.data())
@settings(deadline=None)
def test_junk_in_the_place_of_a_value_is_refused_or_valid(contents: Contents, data: st.DataObject) -> None:
    content = place = data.draw(contents)
    key = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(JUNK)

    with contextlib.suppress(PackageInvalid):
        manifest = parse_manifest(yaml.safe_dump(content))
        assert validate_manifest(manifest.model_dump()) == manifest


@given(st.text(max_size=60) | st.text("[]{}-:,?&*!|>%@#\"' \nax1.", max_size=60))
@settings(deadline=None)
def test_any_text_is_refused_in_words(text: str) -> None:
    with contextlib.suppress(PackageInvalid):
        parse_manifest(text)


TAGS = [
    "null",
    "bool",
    "int",
    "float",
    "binary",
    "timestamp",
    "omap",
    "pairs",
    "set",
    "str",
    "seq",
    "map",
    "merge",
    "value",
]


@given(
    st.sampled_from(TAGS),
    st.sampled_from(["{!r}", "[{}]", "{{{}: 1}}", "{}"]),
    st.text("0123456789:.-+_eETZtnx \u0661b", max_size=12),
)
@settings(deadline=None)
def test_any_scalar_under_any_tag_is_refused_in_words(tag: str, shape: str, text: str) -> None:
    with contextlib.suppress(PackageInvalid):
        parse_manifest(f"name: !!{tag} {shape.format(text)}")


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_in_words(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.yaml").write_bytes(content)
        with contextlib.suppress(PackageInvalid):
            read_manifest(Path(folder))
