"""The keyword arguments that every method of every client takes, and how keywords are checked."""

from collections.abc import Mapping
from typing import Any, TypedDict

from retinue.common.v1 import model_pb2


class PlainCallKeywords(TypedDict, total=False):
    """The keyword arguments of every method; all may be left out or None."""

    timeout_s: float | None
    """Deadline of this call, seconds, above 0; by default the client's."""
    request_id: str | None
    """What the call is called in the service's logs; by default a fresh one."""


class CallKeywords(PlainCallKeywords, total=False):
    """The keyword arguments of every method that asks a model; all may be left out or None."""

    model: str | None
    """``"name"`` or ``"name@version"``; by default the service's default model, its latest version."""


def check_known(keywords: Mapping[str, Any], kind: type) -> None:
    """Check that there is no keyword but those of a kind of them.

    Raises:
        TypeError: there is one that is not.
    """
    unknown = keywords.keys() - kind.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown keyword {', '.join(sorted(unknown))}; known: {', '.join(kind.__annotations__)}")


def checked_share(name: str, value: float | None) -> float | None:
    """Return a number that is in [0, 1], or None.

    Raises:
        ValueError: it is out of range; the message names it.
    """
    if value is not None and not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}, must be in [0, 1]")
    return value


def checked_count(name: str, value: int | None) -> int | None:
    """Return a number that is 1 to 2**31 - 1, or None.

    Raises:
        ValueError: it is out of range; the message names it.
    """
    if value is not None and not 1 <= value < 2**31:
        raise ValueError(f"{name} is {value}, must be at least 1")
    return value


def parse_model(text: str) -> model_pb2.ModelRef:
    """Return the model that ``name`` or ``name@version`` names.

    Raises:
        ValueError: the name is empty, or there is an ``@`` and no version after it.

    >>> parse_model("pollen@2").version
    '2'
    """
    name, at, version = text.partition("@")
    if not name or bool(at) != bool(version):
        raise ValueError(f"model is {text!r}, must be name or name@version")
    return model_pb2.ModelRef(name=name, version=version)
