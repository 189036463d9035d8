"""Class names for a package: given, read from a file, or made up by number."""

import json
from collections.abc import Sequence
from pathlib import Path

from retinue.zoo.errors import PackageRefused


def labels_for(class_count: int, labels: Sequence[str] | Path | None = None) -> tuple[str, ...]:
    """Return one name for each class.

    Args:
        class_count: length of the logits.
        labels: names by class id; or a file of them, UTF-8: a line each, or JSON, either a list or an object from class
            id to name or to a list that ends with the name, as ImageNet's index is published. None: by number.

    Raises:
        PackageRefused: the file cannot be read, or there are not as many names as classes.

    >>> labels_for(3)
    ('class_0000', 'class_0001', 'class_0002')
    """
    if labels is None:
        return tuple(f"class_{index:04d}" for index in range(class_count))
    names = given_labels(labels)
    if len(names) != class_count:
        raise PackageRefused(f"labels: there are {len(names)} names for {class_count} classes")
    if blank := [index for index, name in enumerate(names) if not name.strip()]:
        raise PackageRefused(f"labels: class {blank[0]} has no name")
    return names


def given_labels(labels: Sequence[str] | Path) -> tuple[str, ...]:
    """Return names that are given, or read from a file as `labels_for` does, however many there are.

    Raises:
        PackageRefused: the file cannot be read.
    """
    return _read(Path(labels)) if isinstance(labels, str | Path) else tuple(labels)


def _read(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return _from_json(json.loads(text)) if path.suffix == ".json" else tuple(text.rstrip().splitlines())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PackageRefused(f"labels: {path.name} cannot be read: {error}") from error


def _from_json(content: object) -> tuple[str, ...]:
    if isinstance(content, dict):
        if set(content) != {str(index) for index in range(len(content))}:
            raise PackageRefused("labels: the keys of the JSON object are not the class ids 0, 1, 2 …")
        content = [content[str(index)] for index in range(len(content))]
    if not isinstance(content, list):
        raise PackageRefused("labels: the JSON file holds neither a list nor an object")
    names = [entry[-1] if isinstance(entry, list) and entry else entry for entry in content]
    if not all(isinstance(name, str) for name in names):
        raise PackageRefused("labels: the JSON file holds names that are no text")
    return tuple(names)
