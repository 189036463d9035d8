"""Which machine this is, as far as speed goes."""

import platform
import re
from pathlib import Path

from pydantic import Field

from retinue.runtime.cores import available_cores
from retinue.runtime.manifest import Part

_CPU_FACTS = Path("/proc/cpuinfo")
_GPU_FACTS = Path("/proc/driver/nvidia/gpus")


class Hardware(Part):
    """What figures of speed hold for."""

    cpu: str = Field(min_length=1, max_length=200, description="Name of the CPU, as it calls itself.")
    cores: int = Field(ge=1, description="Cores that this process may use: the container's share.")
    accelerator: str | None = Field(default=None, max_length=200, description="Name of the first GPU, if there is one.")

    @property
    def slug(self) -> str:
        """A name for files.

        >>> Hardware(cpu="AMD EPYC 7B13", cores=2).slug
        'amd-epyc-7b13-2-cores'
        """
        words = f"{self.cpu} {self.cores} cores {self.accelerator or ''}"
        words = re.sub(r"\((r|tm)\)", "", words.lower())
        return re.sub(r"[^a-z0-9]+", "-", words).strip("-")


def this_hardware(cpu_facts: Path = _CPU_FACTS, gpu_facts: Path = _GPU_FACTS) -> Hardware:
    """Return what this process runs on.

    Args:
        cpu_facts: where Linux tells of the CPU.
        gpu_facts: the folder in which NVIDIA's driver tells of each GPU.
    """
    cpu = _fact(cpu_facts, "model name") or platform.processor() or platform.machine() or "unknown"
    try:
        gpus = sorted(gpu_facts.iterdir())
    except OSError:
        gpus = []
    accelerators = [name for gpu in gpus if (name := _fact(gpu / "information", "Model"))]
    return Hardware(cpu=cpu, cores=available_cores(), accelerator=accelerators[0] if accelerators else None)


def _fact(file: Path, name: str) -> str:
    """Return a fact of a file of lines ``name : fact``; empty where it is not there."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, fact = line.partition(":")
        if key.strip() == name:
            return " ".join(fact.split())[:200]
    return ""
