"""What may run a graph, what of it is installed here, and what is left where something is missing."""

import importlib.util
from collections.abc import Iterable, Mapping
from typing import get_args

import structlog

from retinue.runtime.errors import ProviderMissing
from retinue.runtime.provider import ONNX_RUNTIME_NAMES, Provider

_EXTRAS: Mapping[Provider, str] = {"cpu": "cpu", "openvino": "openvino", "cuda": "gpu", "tensorrt": "gpu"}
_log = structlog.get_logger(__name__)


def installed_providers() -> tuple[Provider, ...]:
    """Return what is installed here; whether a GPU's libraries load is known only once a graph is loaded.

    >>> "cpu" in installed_providers()
    True
    """
    there = set()
    if importlib.util.find_spec("onnxruntime") is not None:
        from retinue.runtime.onnx_runtime import onnxruntime  # noqa: PLC0415 - an extra

        there = set(onnxruntime.get_available_providers())
    has_openvino = importlib.util.find_spec("openvino") is not None
    kinds: tuple[Provider, ...] = get_args(Provider)
    return tuple(kind for kind in kinds if (has_openvino if kind == "openvino" else ONNX_RUNTIME_NAMES[kind] in there))


def usable_providers(
    wanted: Iterable[Provider], installed: Iterable[Provider] | None = None, *, is_fallback_allowed: bool
) -> list[Provider]:
    """Return the wanted providers that are installed, in the order asked for.

    Args:
        wanted: what was asked for, the most wanted first.
        installed: what there is; by default what `installed_providers` finds.
        is_fallback_allowed: whether one that is missing is passed over with a warning.

    Raises:
        ProviderMissing: one is missing and no fallback is allowed, or none is left.

    >>> usable_providers(["cuda", "cpu"], ["cuda", "cpu"], is_fallback_allowed=False)
    ['cuda', 'cpu']
    """
    wanted = list(wanted)
    there = set(installed_providers() if installed is None else installed)
    missing = [name for name in wanted if name not in there]
    usable = [name for name in wanted if name in there]
    if missing and (not is_fallback_allowed or not usable):
        has = ", ".join(name for name in get_args(Provider) if name in there) or "none"
        extras = " and ".join(dict.fromkeys(f"retinue[{_EXTRAS[name]}]" for name in missing))
        raise ProviderMissing(
            f"this installation has no {', '.join(missing)} provider (it has: {has}); install {extras}, "
            "or allow a fallback"
        )
    if missing:
        _log.warning("provider_missing", missing=missing, used=usable)
    return usable
