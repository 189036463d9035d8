"""YAML that people write, and nothing that surprises.

No aliases, a few of which can grow to gigabytes; no key twice, the last of which wins; no half of a character, which no
message can carry.
"""

from collections.abc import Hashable
from typing import Any

import yaml

_INT = "tag:yaml.org,2002:int"
_MAX_DIGITS = 64


def read_plain_yaml(text: str) -> object:
    """Return what a YAML text holds.

    Raises:
        ValueError: it is no YAML, uses an alias or a key twice, or escapes half a character (a lone surrogate).

    >>> read_plain_yaml("a: [1, 2]")
    {'a': [1, 2]}
    """
    try:
        content: object = yaml.load(text, _PlainLoader)  # noqa: S506 - a SafeLoader
    # PyYAML lets through what its scalars raise: 2024-13-45 is a ValueError, `!!bool maybe` a KeyError, and so on.
    except (yaml.YAMLError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        raise ValueError(f"not YAML: {error}") from error
    return content


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it out
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            raise yaml.MarkedYAMLError(problem="a key is repeated", problem_mark=node.start_mark)
        return mapping

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        scalar = super().construct_scalar(node)
        if any("\ud800" <= character <= "\udfff" for character in ("" if scalar.isascii() else scalar)):
            raise yaml.MarkedYAMLError(problem="half a character is no text", problem_mark=node.start_mark)
        # 1:59:59 counts in sixties: a megabyte of it would take a minute.
        if node.tag == _INT and len(scalar) > _MAX_DIGITS:
            raise yaml.MarkedYAMLError(problem=f"a number of over {_MAX_DIGITS} digits", problem_mark=node.start_mark)
        return scalar
