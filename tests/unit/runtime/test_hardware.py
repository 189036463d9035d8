"""Which machine this is, told by files as Linux and NVIDIA's driver write them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from retinue.runtime.hardware import Hardware, this_hardware


def test_cpu_and_gpu_are_read(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: AMD EPYC  7B13\nflags : x\nmodel name\t: other\n")
    gpu = tmp_path / "gpus" / "0000:00:04.0"
    gpu.mkdir(parents=True)
    (gpu / "information").write_text("Model: \t\t NVIDIA L4\nIRQ: 4\n")
    found = this_hardware(tmp_path / "cpuinfo", tmp_path / "gpus")

    assert (found.cpu, found.accelerator) == ("AMD EPYC 7B13", "NVIDIA L4")
    assert found.slug == f"amd-epyc-7b13-{found.cores}-cores-nvidia-l4"


def test_machine_that_says_nothing_still_has_a_name(tmp_path: Path) -> None:
    found = this_hardware(tmp_path / "absent", tmp_path / "absent")

    assert found.cpu
    assert found.accelerator is None


@pytest.mark.parametrize(
    ("cpu", "slug"),
    [
        ("Intel(R) Xeon(R) Processor", "intel-xeon-processor-2-cores"),
        ("../../etc/passwd", "etc-passwd-2-cores"),
        ("Ünïcode™", "n-code-2-cores"),
    ],
)
def test_slug_is_a_file_name(cpu: str, slug: str) -> None:
    assert Hardware(cpu=cpu, cores=2).slug == slug


def test_machine_without_cores_is_none() -> None:
    with pytest.raises(ValidationError):
        Hardware(cpu="x", cores=0)
