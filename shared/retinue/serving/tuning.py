"""What `retinue tune` found for this machine, taken for the models that it was found for."""

from pathlib import Path

import structlog

from retinue.runtime.hardware import Hardware, this_hardware
from retinue.runtime.package import Package
from retinue.runtime.providers import installed_providers
from retinue.runtime.tuning_file import TunedModel, TuningInvalid, digest_of, read_tuning
from retinue.serving.settings import EngineSettings

_log = structlog.get_logger(__name__)


class Tuning:
    """The tuning file of this machine, if there is one; one that cannot be used is logged, and nothing is taken of it.

    Args:
        folder: of tuning files, one for each kind of machine; it need not exist.
        hardware: this machine.
    """

    def __init__(self, folder: Path, hardware: Hardware | None = None) -> None:
        hardware = hardware or this_hardware()
        self._path = folder / f"{hardware.slug}.yaml"
        self._models: dict[str, TunedModel] = {}
        try:
            others = sorted(path.name for path in folder.glob("*.yaml"))
        except OSError:
            others = []
        if self._path.name in others:
            try:
                self._models = read_tuning(self._path, hardware).models
            except TuningInvalid as error:
                _log.error("tuning_refused", problem=str(error))
        elif others:
            _log.warning("tuning_absent", wanted=str(self._path), found=others[:8])

    def settings_for(self, package: Package, engine: EngineSettings) -> EngineSettings:
        """Return the settings of a model's engine: what was set stays, and what was left open is as it was tuned.

        A model that was not tuned, or has changed since, or for which a provider is missing here, keeps its settings.
        """
        name = f"{package.name}@{package.version}"
        tuned = self._models.get(name)
        if tuned is None:
            return engine
        problem = self._problem(tuned, package)
        if problem:
            _log.warning("tuning_ignored", model=name, file=str(self._path), problem=problem)
            return engine
        values = tuned.engine.model_dump()
        taken = {key: value for key, value in values.items() if key not in engine.model_fields_set}
        kept = sorted(values.keys() - taken.keys())
        _log.info("tuning_taken", model=name, file=str(self._path), settings_kept=kept, **taken)
        return engine.model_copy(update=taken)

    @staticmethod
    def _problem(tuned: TunedModel, package: Package) -> str:
        """Return why a model's tuning does not hold; empty where it does."""
        if tuned.digest != digest_of(package):
            return "the model has changed since it was tuned: tune it again"
        missing = sorted(set(tuned.engine.providers) - set(installed_providers()))
        return f"this installation has no {', '.join(missing)} provider, which it was tuned for" if missing else ""
