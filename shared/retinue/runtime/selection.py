"""Which packages are to be served: what the settings name, and what was asked for or put aside since."""

from collections.abc import Iterable

from retinue.runtime.package import Package


class Selection:
    """What is wanted of the repositories.

    Args:
        named: ``name`` or ``name@version`` of what is served; everything where it is empty.

    >>> selection = Selection(["pets@2"])
    >>> selection.put_aside("pets")
    >>> selection.is_put_aside("pets")
    True
    """

    def __init__(self, named: Iterable[str] = ()) -> None:
        self._named = frozenset(named)
        self._named_models = {entry.partition("@")[0] for entry in self._named}
        self._asked: set[str] = set()
        self._put_aside: set[str] = set()

    def ask(self, name: str) -> None:
        """Want a model from now on; those of its versions that the settings name, or all where they name none."""
        self._asked.add(name)
        self._put_aside.discard(name)

    def put_aside(self, name: str) -> None:
        """Want no version of a model until it is asked for again."""
        self._put_aside.add(name)

    def is_put_aside(self, name: str) -> bool:
        """Return whether a model was put aside."""
        return name in self._put_aside

    def is_known(self, package: Package) -> bool:
        """Return whether a package is one of those to be served, put aside or not."""
        if package.name in self._asked and package.name not in self._named_models:
            return True
        return not self._named or not self._named.isdisjoint((package.name, f"{package.name}@{package.version}"))
