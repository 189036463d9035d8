"""`retinue models import`: what is said where there is nothing to import, or nothing to import with."""

import sys
from pathlib import Path

import pytest

from retinue.cli.main import main


def test_import_without_torch_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("retinue.zoo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)  # which makes importing it fail
    assert main(["models", "import", str(tmp_path / "x.pth"), "--name", "x"]) == 2
    assert capsys.readouterr().err == "retinue: import needs torch: pip install 'retinue[zoo,cpu]'\n"


@pytest.mark.parametrize(
    ("option", "code"), [([], 1), (["--architecture", "nothing"], 2), (["--preprocessing", "nothing"], 2)]
)
def test_import_of_what_is_no_checkpoint_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str], code: int
) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"rubbish")
    assert main(["models", "import", str(path), "--name", "x", "--root", str(tmp_path), *option]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("retinue: ")
    assert captured.err.count("\n") == 1
