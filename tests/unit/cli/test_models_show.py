"""`retinue models show`: all that a manifest says, and why there is nothing to say."""

from pathlib import Path

import pytest

from retinue.cli.main import main
from retinue.runtime.classification_manifest import InputPolicy, LogitsOutput, OpenSet
from retinue.runtime.manifest import Accuracy, Provenance
from tests.unit.cli.tiny_classifiers import make_package
from tests.unit.runtime.tiny_detectors import CONTENTS, write_detector


def test_show_tells_what_the_manifest_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path, version="1")
    folder = make_package(
        tmp_path,
        version="2",
        description="Tells [pets] apart.",
        labels=tuple(f"kind {number}" for number in range(1000)),
        input=InputPolicy(height=224, width=224, fit="crop", short_side=256, kernel="bicubic"),
        output=LogitsOutput(embedding="features", embedding_size=576),
        open_set=OpenSet(method="energy", threshold=-7.25, temperature=2, auroc=0.9375, measured_on="strangers"),
        accuracy=(Accuracy(metric="top1", value=0.875, dataset="validation", sample_count=50),),
        provenance=Provenance(source="made by hand", data="pictures, CC0", checkpoint_sha256="0" * 64),
    )
    assert main(["models", "show", "pets", "--root", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    facts = dict(line.split("  ", 1) for line in text.splitlines())
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    assert facts["model"] == "pets@2"
    assert facts["description"] == "Tells [pets] apart."
    assert facts["folder"] == str(folder)
    assert facts["classes"].startswith("1000: kind 0, kind 1,")
    assert facts["classes"].endswith("and 990 more")
    assert facts["input"] == "224x224 pixels, shorter side scaled to 256, centre cut out, bicubic with antialias"
    assert facts["embedding"] == "576 features"
    assert facts["open set"] == "energy, unknown above -7.25, temperature 2, AUROC 0.9375, measured on strangers"
    assert facts["accuracy"] == "top1 0.875 on validation, 50 samples"
    assert (facts["source"], facts["data"], facts["licence"]) == ("made by hand", "pictures, CC0", "Apache-2.0")
    assert facts["checkpoint"] == f"sha256 {'0' * 64}"
    main(["models", "show", "pets@1", "--root", str(tmp_path)])
    text = capsys.readouterr().out
    assert "not calibrated" in text
    assert "not measured" in text


def test_show_of_what_is_not_there_names_what_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path)
    for name in ("birds", "pets@2"):
        assert main(["models", "show", name, "--root", str(tmp_path)]) == 2
        assert capsys.readouterr().err == f"retinue: no model {name}; known models: pets\n"


def test_show_of_a_broken_model_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (make_package(tmp_path) / "model.yaml").write_text("name: pets")
    assert main(["models", "show", "pets", "--root", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("retinue: pets@1 is broken: model.yaml")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("family", CONTENTS)
def test_show_tells_what_a_detector_is(tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str) -> None:
    manifest = write_detector(tmp_path, family, description="Finds [rounds].")
    assert main(["models", "show", manifest.name, "--root", str(tmp_path)]) == 0
    facts = [line.split("  ", 1) for line in capsys.readouterr().out.splitlines()]
    told = {key.strip(): value.strip() for key, value in facts}
    assert told["model"] == f"{manifest.name}@1"
    assert told["description"] == "Finds [rounds]."
    assert told["task"] == f"detection, family {family}"
    assert told["classes"] == "3: background, cat, dog"
    assert {"input", "boxes", "accuracy", "source", "licence"} <= told.keys()
    assert [value.split()[0] for key, value in facts if key.strip() == "file"] == list(manifest.files)
