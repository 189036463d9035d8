import argparse
import hashlib
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from retinue.zoo.checkpoint import read_checkpoint
from retinue.zoo.errors import CheckpointInvalid

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2), "n": torch.tensor(3)}


def _saved(tmp_path: Path, content: Any, name: str = "model.pth") -> Path:
    path = tmp_path / name
    torch.save(content, path)
    return path


def _same(read: dict[str, torch.Tensor]) -> bool:
    return list(read) == list(STATE) and all(torch.equal(read[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("name", ["model.pth", "model.pt", "model.bin"])
def test_reads_a_bare_state_dict(tmp_path: Path, name: str) -> None:
    assert _same(read_checkpoint(_saved(tmp_path, STATE, name)))


def test_reads_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(STATE, path)
    assert sorted(read_checkpoint(path)) == sorted(STATE)


def test_reads_the_old_format(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert _same(read_checkpoint(tmp_path / "old.pth"))


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict", "model_state", "net", "module", "weights"])
def test_unwraps_what_training_tools_save(tmp_path: Path, key: str) -> None:
    assert _same(read_checkpoint(_saved(tmp_path, {"epoch": 3, "optimizer": {"lr": 0.1}, key: STATE})))


def test_unwraps_twice(tmp_path: Path) -> None:
    assert _same(read_checkpoint(_saved(tmp_path, {"model": {"state_dict": STATE}})))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_strips_prefixes_that_all_names_have(tmp_path: Path, prefix: str) -> None:
    assert _same(read_checkpoint(_saved(tmp_path, {prefix + name: tensor for name, tensor in STATE.items()})))


def test_keeps_a_prefix_that_not_all_names_have(tmp_path: Path) -> None:
    assert "module.a" in read_checkpoint(_saved(tmp_path, {"module.a": torch.ones(1), "b": torch.ones(1)}))


def test_arguments_of_the_training_script_are_let_pass(tmp_path: Path) -> None:
    assert _same(read_checkpoint(_saved(tmp_path, {"model": STATE, "args": argparse.Namespace(lr=0.1)})))


def test_what_is_no_tensor_is_left_out(tmp_path: Path) -> None:
    assert _same(read_checkpoint(_saved(tmp_path, {**STATE, "mask_values": [0, 1]})))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_comes_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    read = read_checkpoint(_saved(tmp_path, {"w": torch.ones(2, dtype=dtype)}))
    assert read["w"].dtype == torch.float32


def test_integers_stay_integers(tmp_path: Path) -> None:
    assert read_checkpoint(_saved(tmp_path, STATE))["n"].dtype == torch.int64


def test_a_true_digest_in_the_name_is_let_pass(tmp_path: Path) -> None:
    path = _saved(tmp_path, STATE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert _same(read_checkpoint(path.rename(tmp_path / f"net-{digest[:8]}.pth")))


def test_a_false_digest_in_the_name_is_refused_unless_unwanted(tmp_path: Path) -> None:
    path = _saved(tmp_path, STATE, "net-0badf00d.pth")
    with pytest.raises(CheckpointInvalid, match=r"net-0badf00d.pth: the name says .* begins with 0badf00d"):
        read_checkpoint(path)
    assert _same(read_checkpoint(path, verify_name=False))


@pytest.mark.parametrize("name", ["net-20241231.pth", "net-0badf00.pth", "net-0BADF00D.pth", "0badf00d.pth"])
def test_dates_and_other_endings_are_no_digest(tmp_path: Path, name: str) -> None:
    assert _same(read_checkpoint(_saved(tmp_path, STATE, name)))


class Pickled:
    """A class that a whole pickled model would name."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("run",))


def test_code_is_refused_by_name_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _saved(tmp_path, {"model": Pickled()})
    with pytest.raises(CheckpointInvalid, match=r"code and not data; save the model's state_dict"):
        read_checkpoint(path)
    assert capsys.readouterr().out == ""


def test_a_whole_model_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match=r"holds torch.nn.modules.linear.Linear, which is code"):
        read_checkpoint(_saved(tmp_path, torch.nn.Linear(2, 2)))


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"junk", b"PK\x03\x04junk", b"\x80\x02}", b"\x80\x04\x95", b"\xff" * 64, pickle.dumps({1: 2})]
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointInvalid, match=name):
        read_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_cut_off_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"whole{suffix}"
    if suffix == ".pth":
        torch.save(STATE, path)
    else:
        safetensors.torch.save_file(STATE, path)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointInvalid, match=r"cut"):
        read_checkpoint(cut)


@pytest.mark.parametrize("content", [{}, [], 3, {"model": {}}, {"epoch": 1}, {1: torch.ones(1)}])
def test_a_file_without_named_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(CheckpointInvalid, match=r"model.pth holds no named tensors"):
        read_checkpoint(_saved(tmp_path, content))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    with pytest.raises(CheckpointInvalid, match=r"b.weight holds numbers that are not finite"):
        read_checkpoint(_saved(tmp_path, {"b.weight": torch.tensor([1.0, value])}))


def test_a_tensor_that_claims_more_than_it_stores_is_refused(tmp_path: Path) -> None:
    """A file of one number that would take 4 TB of memory."""
    with pytest.raises(CheckpointInvalid, match=r"w of shape .* is not stored in full"):
        read_checkpoint(_saved(tmp_path, {"w": torch.ones(1).expand(1_000_000, 1_000_000)}))


@pytest.mark.parametrize("tensor", [torch.ones(2, dtype=torch.complex64), torch.eye(2).to_sparse()])
def test_tensors_that_are_no_plain_numbers_are_refused(tmp_path: Path, tensor: torch.Tensor) -> None:
    with pytest.raises(CheckpointInvalid, match=r"w is no plain tensor"):
        read_checkpoint(_saved(tmp_path, {"w": tensor}))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match=r"no.pth: there is no such file"):
        read_checkpoint(tmp_path / "no.pth")
