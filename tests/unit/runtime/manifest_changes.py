"""Contents of manifests with one thing changed, and why they are refused."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest_file import parse_manifest


def changed(content: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a content with one value put in place, or removed where the value is ``...``; parents are made."""
    made = copy.deepcopy(dict(content))
    keys: list[Any] = [int(key) if key.isdigit() else key for key in path.split(".")]
    *parents, key = keys
    place: Any = made
    for parent in parents:
        place = place[parent] if isinstance(place, list) else place.setdefault(parent, {})
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return made


def problem(content: Mapping[str, Any] | str) -> str:
    """Return why a manifest is refused, given as content or as text."""
    with pytest.raises(PackageInvalid) as raised:
        parse_manifest(content if isinstance(content, str) else yaml.safe_dump(content))
    message: str = raised.value.message
    return message


def read(content: Mapping[str, Any]) -> Any:
    """Return the manifest that a content makes."""
    return parse_manifest(yaml.safe_dump(content))
