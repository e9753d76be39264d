"""``med3d task`` from a data set to a report, with a task of one's own whose network takes two channels."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from Med3DCore.benchmarks.catalogue import FOLDER
from Med3DCore.cli.main import main
from Med3DCore.geometry import Geometry
from Med3DCore.io import write_volume
from Med3DCore.volume import Volume

GRID = Geometry((20, 20, 20), (2.0, 2.0, 2.0))
NETWORK = {
    "encoder": {"name": "resnet", "depth": 10, "shortcut": "B", "output_stride": 8, "stem_stride": 1, "width": 4},
    "decoder": {"name": "skip", "channels": [8, 8, 8, 4]},
}


def write_patient(folder, number):
    """A block that only the second image shows; the first has another, which is none."""
    rng = np.random.default_rng(number)
    arrays = {name: rng.normal(100, 5, (20, 20, 20)) for name in ("t1", "t2")}
    label = np.zeros((20, 20, 20), np.uint8)
    for name in arrays:
        z, y, x = rng.integers(2, 10, 3)
        block = (slice(z, z + 8), slice(y, y + 8), slice(x, x + 8))
        arrays[name][block] += 60
        if name == "t2":
            label[block] = 2
    place = folder / "set" / f"p{number}"
    place.mkdir(parents=True)
    for name, array in arrays.items():
        write_volume(Volume(array.astype(np.float32), GRID, name), place / f"p{number}-{name}.nii.gz")
    write_volume(Volume(label, GRID, "seg"), place / f"p{number}-seg.nii.gz")


def write_task(folder):
    values = json.loads((FOLDER / "brats2019.json").read_text(encoding="utf-8"))
    encoder = {**NETWORK["encoder"], "in_channels": 2}
    intensity = {"name": "percentile", "channels": ["t1", "t2"]}
    stage = {
        "name": "block",
        "network": {"encoder": encoder, "decoder": NETWORK["decoder"], "out_channels": 1},
        "preprocessing": {"spacing": [2.0, 2.0, 2.0], "intensity": intensity},
        "labels": ["block"],
        "activation": "sigmoid",
        "window": [32, 32, 32],
        "training": {
            "patch": [16, 16, 16],
            "batch": 4,
            "learning_rate": 0.05,
            "warmup": 5,
            "augmentation": {"bend": 1.0},
        },
    }
    values |= {
        "data": {
            "images": {name: f"{{case}}/{{case}}-{name}.nii.gz" for name in ("t1", "t2")},
            "label": "{case}/{case}-seg.nii.gz",
            "modality": "MR",
        },
        "labels": {"block": 2},
        "measures": ["dice", "hd95_mm"],
        "published": [{"figure": "dice block", "value": 0.25, "by": "somebody"}],
        "stages": [stage],
    }
    del values["regions"]
    file = folder / "blocks.json"
    file.write_text(json.dumps(values))
    return file


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Task, data and a finished run."""
    folder = tmp_path_factory.mktemp("tasks")
    for number in range(8):
        write_patient(folder, number)
    task, data, run = write_task(folder), folder / "set", folder / "run"
    command = [
        "task",
        "train",
        task,
        data,
        "-o",
        run,
        "--steps",
        80,
        "--seed",
        3,
        "--device",
        "cpu",
        "--no-cache",
        "--quiet",
    ]
    assert main([*map(str, command)]) == 0
    return task, data, run


def ran(*arguments):
    return main(["task", *map(str, arguments)])


def test_a_task_of_ones_own_learns_from_the_second_channel(trained, capsys):
    task, data, run = trained
    assert ran("evaluate", task, run, data, "--device", "cpu", "--quiet") == 0
    results = json.loads((run / "evaluation" / "results.json").read_text())
    assert results["figures"]["dice block"]["value"] > 0.8
    parts = json.loads((run / "patients.json").read_text())
    with (run / "evaluation" / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted({row["patient"] for row in rows}) == parts["test"]
    assert not set(parts["test"]) & {*parts["training"], *parts["validation"]}
    assert all(float(row["seconds"]) > 0 and 0 <= float(row["dice"]) <= 1 for row in rows)
    assert {file.name for file in (run / "evaluation" / "found").iterdir()} == {f"{row['case']}.nii.gz" for row in rows}
    capsys.readouterr()
    assert ran("report", run) == 0
    text = capsys.readouterr().out
    assert "| dice block | 0." in text
    assert "0.250 [1]" in text
    assert "Theirs, not measured here: somebody" in text
    assert (run / "report.png").read_bytes().startswith(b"\x89PNG")


def test_the_model_segments_with_its_channels_and_says_what_it_lacks(trained, tmp_path, capsys):
    _, data, run = trained
    (model,) = run.glob("*.med3d.zip")
    first, second = (data / "p0" / f"p0-{name}.nii.gz" for name in ("t1", "t2"))
    out = tmp_path / "out.nii.gz"
    asked = ["segment", first, "--model", model, "--organ", "block", "-o", out, "--quiet", "--device", "cpu"]
    assert main([*map(str, [*asked, "--channel", second])]) == 0
    assert out.is_file()
    assert main([*map(str, asked)]) == 2
    assert "needs 2 images of a patient (channels), but 1 was given" in capsys.readouterr().err
    other = tmp_path / "other.nii.gz"
    noise = np.random.default_rng(0).normal(100, 5, (20, 20, 20)).astype(np.float32)
    write_volume(Volume(noise, Geometry((20, 20, 20), (2.0, 2.0, 2.5)), "o"), other)
    assert main([*map(str, [*asked, "--channel", other])]) == 2
    assert "lies on another grid" in capsys.readouterr().err


def test_a_run_goes_with_its_task_and_data(trained, tmp_path, capsys):
    task, _, run = trained
    for number in range(20, 24):
        write_patient(tmp_path, number)
    assert ran("train", task, tmp_path / "set", "-o", run, "--steps", 80, "--quiet") == 2
    assert "training of another task, or with other patients" in capsys.readouterr().err
    assert ran("evaluate", task, run, tmp_path / "set", "--quiet") == 2
    assert "who were held out are not in the data set" in capsys.readouterr().err
    assert ran("report", tmp_path) == 2
    assert "is no run of a task" in capsys.readouterr().err


def test_check_names_every_case_that_is_wrong(trained, tmp_path, capsys):
    task, _, _ = trained
    for number in range(3):
        write_patient(tmp_path, number)
    data = tmp_path / "set"
    assert ran("check", task, data, "--quiet") == 0
    assert "block: in 3 of 3 cases" in capsys.readouterr().out
    moved = Volume(np.ones((20, 20, 20), np.float32), Geometry((20, 20, 20), (2.0, 2.0, 3.0)), "m")
    write_volume(moved, data / "p1" / "p1-t2.nii.gz")
    write_volume(Volume(np.full((20, 20, 20), 9, np.uint8), GRID, "s"), data / "p2" / "p2-seg.nii.gz")
    assert ran("check", task, data, "--quiet") == 1
    said = capsys.readouterr()
    assert "Wrong: Case 'p1'" in said.err
    assert "another grid" in said.err
    assert "Case 'p2': the label has values [9]" in said.err
    assert "2 cases cannot be used" in said.out
    (data / "p0" / "p0-t2.nii.gz").unlink()
    assert ran("check", task, data, "--quiet") == 2
    assert "p0-t2.nii.gz is missing" in capsys.readouterr().err


def test_list_describe_and_phantom(tmp_path, capsys):
    assert ran("list") == 0
    assert "flare22" in capsys.readouterr().out
    assert ran("describe", "brats2019") == 0
    assert "{grade}/{case}/{case}_t1ce.nii.gz" in capsys.readouterr().out
    assert ran("describe", "brats2019", "--json") == 0
    own = tmp_path / "mine.json"
    own.write_text(capsys.readouterr().out)
    assert ran("phantom", own, "-o", tmp_path / "data", "--patients", 3, "--quiet") == 0
    assert len(list((tmp_path / "data").rglob("*_seg.nii.gz"))) == 3
    assert ran("phantom", own, "-o", tmp_path / "data", "--quiet") == 2
    assert "is not empty" in capsys.readouterr().err
