"""Laws of the manifest: what is written is read back; whatever else stands in a file is refused, never worse."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest_file import parse_manifest, read_manifest, write_manifest

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


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """The content of a valid manifest."""
    height, width = draw(st.integers(1, 8192)), draw(st.integers(1, 8192))
    fit = draw(st.sampled_from(["stretch", "crop", "letterbox"]))
    short_side = draw(st.integers(max(height, width), 8192)) if fit == "crop" else None
    embedding = draw(st.none() | TEXTS)
    method = draw(st.sampled_from(["max_softmax", "energy", "openmax"]))
    file = draw(NAMES) if method == "openmax" else None
    files = draw(st.dictionaries(NAMES, DIGESTS, max_size=3)) | {"model.onnx": draw(DIGESTS)}
    if file is not None:
        files[file] = draw(DIGESTS)
    open_set = {
        "method": method,
        "threshold": draw(FLOATS),
        "temperature": draw(st.floats(0, 1e9, exclude_min=True)),
        "file": file,
        "auroc": draw(SHARES),
        "measured_on": draw(st.none() | TEXTS),
    }
    figure = st.fixed_dictionaries({"metric": WORDS, "value": FLOATS, "dataset": WORDS})
    return {
        "manifest_version": 1,
        "name": draw(NAMES),
        "version": draw(NAMES),
        "description": draw(TEXTS | TRAPS),
        "task": "classification",
        "family": "logits",
        "labels": draw(st.lists(TEXTS | TRAPS, min_size=1, max_size=8)),
        "input": {"tensor": draw(TEXTS), "height": height, "width": width, "fit": fit, "short_side": short_side},
        "output": {"embedding": embedding, "embedding_size": None if embedding is None else draw(st.integers(1, 9999))},
        "open_set": draw(st.none() | st.just(open_set)),
        "files": files,
        "accuracy": draw(st.lists(figure, max_size=2)),
        "provenance": {"source": draw(WORDS), "data": draw(st.none() | TEXTS), "created": draw(st.dates()).isoformat()},
        "licence": draw(WORDS),
    }


@given(contents())
@settings(deadline=None)
def test_what_is_written_is_read_back(content: dict[str, Any]) -> None:
    manifest = ClassificationManifest.model_validate(content)
    with tempfile.TemporaryDirectory() as folder:
        write_manifest(manifest, Path(folder))
        assert read_manifest(Path(folder)) == manifest


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | TRAPS | st.dates() | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@given(contents(), st.data(), JUNK)
@settings(deadline=None)
def test_junk_in_the_place_of_a_value_is_refused_or_valid(
    content: dict[str, Any], data: st.DataObject, junk: Any
) -> None:
    place = content
    key = data.draw(st.sampled_from(sorted(place)))
    if isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = junk

    with contextlib.suppress(PackageInvalid):
        manifest = parse_manifest(yaml.safe_dump(content))
        assert ClassificationManifest.model_validate(manifest.model_dump()) == manifest


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
