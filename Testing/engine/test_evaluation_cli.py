"""``med3d evaluate`` on real files, with an argparse parser of our own."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from Med3DCore.cli import evaluate
from Med3DCore.errors import DataError, Med3DError, OutputError, SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.io import write_label_map
from Med3DCore.labels import LABELS
from Med3DCore.volume import LabelMap

ROOT = Path(__file__).parents[2]
GEOMETRY = Geometry((16, 12, 8), (1.0, 1.0, 2.0), (-20.0, 30.0, 5.0))
ORGANS = (LABELS["liver"], LABELS["spleen"])


def med3d(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["evaluate", *map(str, arguments)])
    return args.run(args)


def write(path: Path, labels: tuple = ORGANS, **boxes: tuple[int, int]) -> Path:
    """A label map with a box between two x indices for each organ."""
    array = np.zeros(GEOMETRY.shape, np.uint8)
    for name, (start, stop) in boxes.items():
        array[2:6, 3:9, start:stop] = [label.name for label in labels].index(name) + 1
    path.parent.mkdir(exist_ok=True)
    write_label_map(LabelMap(array, GEOMETRY, path.name, labels), path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    predictions, references = tmp_path / "predictions", tmp_path / "references"
    write(predictions / "one.nii.gz", liver=(2, 6))
    write(references / "one.nrrd", liver=(2, 6))
    write(predictions / "two.nii.gz", liver=(2, 6), spleen=(8, 10))
    write(references / "two.nrrd", liver=(4, 8))
    write(predictions / "three.seg.nrrd", liver=(2, 6), spleen=(8, 10))
    write(references / "three.nii", liver=(2, 6), spleen=(8, 12))
    return predictions, references


def test_two_files(tmp_path, capsys):
    prediction, reference = write(tmp_path / "p.nii.gz", liver=(2, 6)), write(tmp_path / "r.nii.gz", liver=(4, 8))
    assert med3d(prediction, reference, "--labels", "liver=1", "--json", tmp_path / "out.json") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split()[:3] == ["p", "liver", "0.5000"]
    assert err == ""
    values = json.loads((tmp_path / "out.json").read_text())
    assert values["cases"][0]["labels"]["liver"]["mssd_mm"] == 2.0
    assert values["settings"] == {"nsd_tolerance_mm": 2.0, "ignore_value": None}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "p.nii.gz", "r.nii.gz"]


def test_segments_are_matched_by_name(tmp_path, capsys):
    prediction = write(tmp_path / "p.seg.nrrd", labels=ORGANS[::-1], liver=(2, 6), spleen=(8, 10))
    reference = write(tmp_path / "r.seg.nrrd", liver=(2, 6), spleen=(8, 10))
    assert med3d(prediction, reference, "--json", "-") == 0
    labels = json.loads(capsys.readouterr().out)["cases"][0]["labels"]
    assert {name: values["dice"] for name, values in labels.items()} == {"liver": 1.0, "spleen": 1.0}


def test_a_segmentation_saved_cropped_is_background_beyond(tmp_path, capsys):
    prediction = write(tmp_path / "p.nii.gz", liver=(2, 8))
    part = LabelMap(np.ones((4, 6, 4), np.uint8), GEOMETRY.crop((2, 3, 2), (6, 9, 6)), "r", ORGANS[:1])
    for ending, dice in ((".seg.nrrd", 2 * 96 / (96 + 144)), (".nii.gz", 1.0)):
        write_label_map(part, tmp_path / f"r{ending}")
        assert med3d(prediction, tmp_path / f"r{ending}", "--json", "-") == 0
        captured = capsys.readouterr()
        (liver,) = json.loads(captured.out)["cases"][0]["labels"].values()
        assert liver["dice"] == pytest.approx(dice)
        assert ("not judged" in captured.err) == (dice == 1)


def test_overlapping_segments_are_said(tmp_path, monkeypatch, capsys):
    def warn(path, progress, grid=None):
        progress.warn(f"The segments of {path.name} overlap.")
        return LabelMap(np.ones(GEOMETRY.shape, np.uint8), GEOMETRY, path.name, ORGANS)

    path = write(tmp_path / "p.nii.gz", liver=(2, 8))
    monkeypatch.setattr(evaluate, "read_label_map", warn)
    assert med3d(path, path) == 0
    assert capsys.readouterr().err == "Warning: The segments of p.nii.gz overlap.\n"


def test_options(tmp_path, capsys):
    prediction, reference = write(tmp_path / "p.nii.gz", spleen=(2, 6)), write(tmp_path / "r.nii.gz", liver=(3, 7))
    options = ("--json", "-", "--nsd-tolerance", "0.5", "--labels")
    assert med3d(prediction, reference, *options, "organ=2:1", "any=1+2") == 0
    labels = json.loads(capsys.readouterr().out)["cases"][0]["labels"]
    assert labels["organ"]["dice"] == labels["any"]["dice"] == 0.75
    assert labels["organ"]["nsd"] < 1
    assert med3d(prediction, reference, "--json", "-", "--ignore", "1", "--labels", "spleen=2") == 0
    assert json.loads(capsys.readouterr().out)["cases"][0]["labels"]["spleen"]["voxels"] == 24


def test_folders(folders, capsys):
    assert med3d(*folders, "--json", "-") == 0
    values = json.loads(capsys.readouterr().out)
    assert [case["case"] for case in values["cases"]] == ["one", "three", "two"]
    liver, spleen = values["summary"]["label_1"], values["summary"]["label_2"]
    assert liver["measures"]["dice"]["mean"] == pytest.approx(2.5 / 3)
    assert liver["measures"]["dice"]["worst_case"] == "two"
    # A spleen found in "two", where the reference has none, is a mistake although "two" alone would not show it.
    assert [case["labels"]["label_2"]["dice"] for case in values["cases"]] == [1.0, pytest.approx(2 / 3), 0.0]
    assert spleen["measures"]["assd_mm"]["undefined"] == 2
    assert spleen["global_dice"] == pytest.approx(2 * 48 / (48 + 48 + 96))


def test_a_bad_case_does_not_stop_the_others(folders, capsys):
    (folders[0] / "two.nii.gz").write_bytes(b"no image")
    write(folders[1] / "four.nii.gz", liver=(2, 6))
    assert med3d(*folders) == 1
    out, err = capsys.readouterr()
    assert "two was not evaluated: " in err
    assert "has no file for four" in err
    assert any(line.startswith("three") for line in out.splitlines())
    assert not any(line.startswith("two") for line in out.splitlines())


def test_when_every_case_fails(folders):
    with pytest.raises(DataError, match="None of the 3 cases"):
        med3d(*folders, "--labels", "heart")


@pytest.mark.parametrize(
    ("text", "sentence"), [("liver=x", "not understood"), ("liver=", "not understood"), ("liver=0", "background")]
)
def test_bad_labels(folders, text, sentence):
    with pytest.raises(SettingError, match=sentence):
        med3d(*folders, "--labels", text)


def test_a_name_that_nobody_has_is_answered_with_what_there_is(tmp_path):
    named = write(tmp_path / "named.seg.nrrd", spleen=(2, 5))
    values = write(tmp_path / "values.nii.gz", spleen=(2, 5))
    with pytest.raises(SettingError, match="check the name: there is spleen"):
        med3d(named, named, "--labels", "heart")
    with pytest.raises(SettingError, match="such as --labels heart=2"):
        med3d(values, values, "--labels", "heart")


def test_a_value_that_nobody_has_is_said(folders, capsys):
    one = folders[0] / "one.nii.gz"
    assert med3d(one, one, "--labels", "liver=1", "rest=77") == 0
    assert "has a voxel of 'rest', which counts as perfect" in capsys.readouterr().err


def test_bad_paths(folders, tmp_path):
    one = folders[0] / "one.nii.gz"
    with pytest.raises(DataError, match="nowhere does not exist"):
        med3d(tmp_path / "nowhere", folders[1])
    with pytest.raises(SettingError, match="two files or two folders"):
        med3d(one, folders[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="endings aside"):
        med3d(folders[0], tmp_path / "empty")
    with pytest.raises(OutputError, match="there is no folder"):
        med3d(one, one, "--json", tmp_path / "nowhere" / "out.json")
    (tmp_path / "empty.json").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        med3d(one, one, "--json", tmp_path / "empty.json")
    before = one.read_bytes()
    with pytest.raises(OutputError, match=r"possible: \.json"):
        med3d(one, one, "--json", one)
    assert one.read_bytes() == before, "the reference must not become JSON"
    write(folders[0] / "one.nrrd", liver=(2, 6))
    with pytest.raises(DataError, match=r"both one.nii.gz and one.nrrd"):
        med3d(*folders)
    (tmp_path / "text.nii.gz").write_text("no image")
    with pytest.raises(Med3DError):
        med3d(tmp_path / "text.nii.gz", one)
    assert not list(tmp_path.glob("**/.*"))


def test_torch_is_not_needed(folders):
    code = (
        "import argparse, sys; from Med3DCore.cli import evaluate; p = argparse.ArgumentParser();"
        "evaluate.add_parser(p.add_subparsers()); a = p.parse_args(sys.argv[1:]);"
        "assert not {'torch', 'scipy', 'SimpleITK'} & sys.modules.keys(); a.run(a); assert 'torch' not in sys.modules"
    )
    arguments = ["evaluate", folders[0] / "one.nii.gz", folders[1] / "one.nrrd"]
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=True, capture_output=True)
