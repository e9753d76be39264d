"""Tasks of whole volumes: tables as public sets have them, learning several labels or classes, and activation maps."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

from Med3DCore.benchmarks.catalogue import FOLDER, find_task
from Med3DCore.benchmarks.data import read_divided
from Med3DCore.benchmarks.task import read_task
from Med3DCore.cli.main import main
from Med3DCore.drawing.class_map import peak_of
from Med3DCore.errors import DataError, SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.io import read_volume, write_volume
from Med3DCore.phantom.layouts import ct_rate, uteri
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

GRID = Geometry((20, 18, 20), (2.0, 2.0, 2.0), (-30.0, 12.0, 5.0))
ENCODER = {"name": "resnet", "depth": 10, "width": 6, "output_stride": 8, "stem_stride": 1}
LABELS = ("Bright ball", "Dark box", "Never")


def scan_with(shown, rng):
    """Noise of soft tissue with a ball and a box where they are asked for; and the middle of each in LPS mm."""
    hu, places = rng.normal(0, 15, GRID.shape), {}
    for name, low, value in (("Bright ball", 4, 290.0), ("Dark box", 4, -290.0)):
        index = np.array([rng.integers(low, n - low) for n in GRID.shape])
        if shown.get(name):
            offsets = np.abs(np.indices(GRID.shape) - index[:, None, None, None])
            inside = (offsets**2).sum(axis=0) < 14 if name == "Bright ball" else offsets.max(axis=0) < 3
            hu[inside] = value + rng.normal(0, 15, int(inside.sum()))
            places[name] = np.array(GRID.origin) + index[::-1] * 2.0
    return Volume(hu.astype(np.int16), GRID, "scan"), places


def write_ct_rate(folder, train=24, valid=8):
    """CT-RATE's folders with balls and boxes; the box of every sixth scan is unknown. Returns where they are."""
    places, rng = {}, np.random.default_rng(0)
    for part, count in (("train", train), ("valid", valid)):
        rows = []
        for number in range(1, count + 1):
            shown = {"Bright ball": number % 2 == 0, "Dark box": number % 4 in (1, 2)}
            volume, places[f"{part}_{number}_a_1"] = scan_with(shown, rng)
            study = f"{part}_{number}_a"
            place = folder / "CT-RATE" / "dataset" / f"{part}_fixed" / f"{part}_{number}" / study
            place.mkdir(parents=True)
            write_volume(volume, place / f"{study}_1.nii.gz")
            box = "" if number % 6 == 0 else float(shown["Dark box"])
            rows.append([f"{study}_1.nii.gz", int(shown["Bright ball"]), box, 0])
        table = folder / "CT-RATE" / "dataset" / "multi_abnormality_labels" / f"{part}_predicted_labels.csv"
        table.parent.mkdir(exist_ok=True)
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([["VolumeName", *LABELS], *rows])
    return places


def write_task(folder, name, **stage_changes):
    """A task of CT-RATE's file for a tiny network."""
    values = json.loads((FOLDER / "chest_abnormalities.json").read_text(encoding="utf-8"))
    stage = values["stages"][0]
    decoder = {"name": "scan_classification", "pool": "attention"}
    stage["network"] = {"encoder": ENCODER, "decoder": decoder, "out_channels": 3}
    stage["preprocessing"] = {"spacing": [2.0] * 3, "intensity": {"name": "window", "low": -300, "high": 300}}
    stage |= {"labels": list(LABELS), "window": [20, 18, 20], **stage_changes}
    stage["training"] = {
        "patch": stage["window"],
        "batch": 6,
        "optimizer": "adamw",
        "learning_rate": 0.02,
        "warmup": 5,
        "augmentation": {"rotation": 5.0, "scale": 1.05, "bend": 0.0, "probability": 0.0, "contrast": 1.0},
    }
    values |= {"labels": dict.fromkeys(LABELS, 1), "stages": [stage], "published": []}
    file = folder / f"{name}.json"
    file.write_text(json.dumps(values))
    return file


def ran(*arguments):
    return main([*map(str, arguments)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Task, data, run and places of a finished training of several labels."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("volumes")
    places, task, run = write_ct_rate(folder), write_task(folder, "blobs"), folder / "run"
    words = ["--steps", 90, "--device", "cpu", "--no-cache", "--quiet"]
    assert ran("task", "train", task, folder / "CT-RATE", "-o", run, *words) == 0
    return task, folder / "CT-RATE", run, places


# -- learning, measuring, maps -----------------------------------------------------------------------------------------


def test_several_labels_are_learned_and_measured(trained, capsys):
    task, data, run, _ = trained
    assert ran("task", "evaluate", task, run, data, "--device", "cpu", "--quiet", "--maps") == 0
    said = capsys.readouterr()
    results = json.loads((run / "evaluation" / "results.json").read_text())
    figures = results["figures"]
    assert figures["auc Bright ball"]["value"] > 0.85 and figures["auc Bright ball"]["n"] == 8
    assert figures["auc Dark box"]["value"] > 0.85 and figures["auc Dark box"]["n"] == 7, "unknown ones do not count"
    assert figures["auc Never"]["value"] is None
    assert figures["mean auc"]["value"] == pytest.approx(
        (figures["auc Bright ball"]["value"] + figures["auc Dark box"]["value"]) / 2
    )
    assert "Of Never the AUC is undefined" in said.err
    assert {row["case"] for row in results["rows"]} == {f"valid_{n}_a_1" for n in range(1, 9)}
    assert ran("task", "report", run) == 0
    assert (run / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "| mean auc |" in capsys.readouterr().out


def test_the_peak_of_a_map_lies_where_the_thing_was_painted(trained):
    _, data, run, places = trained
    (model,) = run.glob("*.med3d.zip")
    right = asked = 0
    for case in ("valid_2_a_1", "valid_4_a_1", "valid_8_a_1"):
        scan = data / "dataset" / "valid_fixed" / case[:-4] / case[:-2] / f"{case}.nii.gz"
        out, picture = run / "map.nii.gz", run / "map.png"
        words = ["--of", "Bright ball", "--map", out, "--picture", picture, "--device", "cpu", "--quiet"]
        assert ran("classify", "scan", model, scan, *words) == 0
        evidence = read_volume(out)
        assert evidence.geometry.is_close(GRID)
        asked += 1
        right += np.linalg.norm(peak_of(evidence) - places[case]["Bright ball"]) < 12.0  # the map has 8 mm
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert right == asked


def test_the_model_says_what_it_is(trained, tmp_path, capsys):
    _, data, run, _ = trained
    (model,) = run.glob("*.med3d.zip")
    scan = next(data.rglob("valid_2_a_1.nii.gz"))
    out = tmp_path / "answer.json"
    assert ran("classify", "scan", model, scan, "-o", out, "--device", "cpu", "--quiet") == 0
    answer = json.loads(out.read_text())
    assert set(answer["probabilities"]) == set(LABELS)
    assert answer["answer"] == [name for name, value in answer["probabilities"].items() if value >= 0.5]
    assert "Bright ball: " in capsys.readouterr().out
    assert ran("classify", "scan", model, scan, "-o", tmp_path / "answer.csv", "--device", "cpu", "--quiet") == 0
    assert (tmp_path / "answer.csv").read_text().startswith("scan,Bright ball,Dark box,Never\n")
    assert ran("classify", "scan", model, scan, "--of", "ball", "--map", tmp_path / "m.nii.gz", "--quiet") == 2
    assert "does not know 'ball'; it knows Bright ball, Dark box, Never" in capsys.readouterr().err
    assert ran("classify", "run", model, scan, "--centre", 0, 0, 0, "--quiet") == 2
    assert "med3d classify scan" in capsys.readouterr().err
    assert ran("segment", scan, "--model", model, "-o", tmp_path / "s.nii.gz", "--quiet") == 2
    assert "a classifier of whole scans, which paints nothing" in capsys.readouterr().err
    assert ran("models", "show", model) == 0
    said = capsys.readouterr().out
    assert "one answer a scan" in said and "| Never | 0 | 1.00 |" in said


def test_maps_are_written_for_what_is_said(trained):
    _, _, run, _ = trained
    rows = json.loads((run / "evaluation" / "results.json").read_text())["rows"]
    called = {
        f"{row['case']}_{name.lower().replace(' ', '-')}"
        for row in rows
        for name in LABELS
        if row[f"{name} score"] >= 0.5
    }
    assert called and {file.name.split(".")[0] for file in (run / "evaluation" / "maps").iterdir()} == called


def test_other_tasks_have_no_maps(trained, capsys):
    _, data, run, _ = trained
    assert ran("task", "evaluate", "brats2019", run, data, "--maps", "--quiet") == 2
    assert "holds no file" in capsys.readouterr().err


def test_classes_that_exclude_each_other(tmp_path, capsys):
    rng, rows = np.random.default_rng(1), []
    (tmp_path / "set" / "volumes").mkdir(parents=True)
    kinds = ("nothing", "ball", "box")
    for number in range(30):
        kind = kinds[number % 3] if number % 5 else "nothing"
        shown = {"Bright ball": kind == "ball", "Dark box": kind == "box"}
        write_volume(scan_with(shown, rng)[0], tmp_path / "set" / "volumes" / f"v{number}.nii.gz")
        rows.append([f"v{number}.nii.gz", kind if number % 2 else kinds.index(kind)])
    with (tmp_path / "set" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["volume", "anomaly"], *rows])
    task = write_task(tmp_path, "kinds", labels=list(kinds), activation="softmax")
    values, uterine = json.loads(task.read_text()), find_task("uterine_anomalies")
    values |= {"labels": {name: value for value, name in enumerate(kinds)}, "data": {**uterine.data, "modality": "CT"}}
    task.write_text(json.dumps(values))
    assert ran("task", "check", task, tmp_path / "set", "--quiet") == 0
    assert "nothing: in 14 of 30 scans" in capsys.readouterr().out
    words = ["--steps", 60, "--device", "cpu", "--no-cache", "--quiet"]
    assert ran("task", "train", task, tmp_path / "set", "-o", tmp_path / "run", *words) == 0
    assert ran("task", "evaluate", task, tmp_path / "run", tmp_path / "set", "--device", "cpu", "--quiet") == 0
    figures = json.loads((tmp_path / "run" / "evaluation" / "results.json").read_text())["figures"]
    assert figures["accuracy"]["value"] > 0.75 > figures["accuracy of the commonest class"]["value"]
    assert figures["recall box"]["value"] is not None


# -- tables ------------------------------------------------------------------------------------------------------------


def test_ct_rates_own_test_part_and_its_unknown_cells(trained):
    task, data, _, _ = trained
    divided = read_divided(read_task(task), data)
    assert {case.patient for case in divided.test} == {f"valid_{n}" for n in range(1, 9)}
    sixth = next(case for case in divided.test if case.name == "valid_6_a_1")
    assert sixth.shown == (1, 255, 0) and sixth.kind == "Bright ball"


def changed(trained, tmp_path, text, table="train"):
    """The data set with another table; images are links."""
    _, data, _, _ = trained
    (tmp_path / "set").mkdir()
    for part in ("train_fixed", "valid_fixed"):
        (tmp_path / "set" / part).symlink_to(data / "dataset" / part, target_is_directory=True)
    tables = tmp_path / "set" / "multi_abnormality_labels"
    tables.mkdir()
    for part in ("train", "valid"):
        name = f"{part}_predicted_labels.csv"
        own = (data / "dataset" / "multi_abnormality_labels" / name).read_text()
        (tables / name).write_text(text if part == table else own)
    return tmp_path / "set"


HEAD = "VolumeName,Bright ball,Dark box,Never\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "train_1_a_1.nii.gz,1,yes,0\n", "line 2: 'yes' in the column 'Dark box' is no number"),
        (HEAD + "train_1_a_1.nii.gz,1,0,0\ntrain_1_a_1.nii.gz,0,0,0\n", "line 3: 'train_1_a_1.nii.gz' is there twice"),
        ("VolumeName,Bright ball\ntrain_1_a_1.nii.gz,1\n", "line 2: the table has no column 'Dark box'"),
        ("Name,Bright ball\na,1\n", "has no column 'VolumeName'"),
    ],
)
def test_a_strange_table_gets_a_sentence(trained, tmp_path, text, words, monkeypatch):
    # os.walk follows no links, which is what keeps it from circles
    import os

    real = os.walk
    monkeypatch.setattr("Med3DCore.benchmarks.patterns.os.walk", lambda place: real(place, followlinks=True))
    with pytest.raises(DataError, match=words.replace("(", r"\(")):
        read_divided(read_task(trained[0]), changed(trained, tmp_path, text))


def test_images_without_a_row_are_left_out_and_told(trained, tmp_path, monkeypatch):
    import os

    real = os.walk
    monkeypatch.setattr("Med3DCore.benchmarks.patterns.os.walk", lambda place: real(place, followlinks=True))
    rows = "".join(f"train_{n}_a_1.nii.gz,{n % 2},0,0\n" for n in range(1, 9))
    progress = Progress()
    divided = read_divided(read_task(trained[0]), changed(trained, tmp_path, HEAD + rows), progress)
    assert len(divided.teaching) == 8
    assert progress.warnings == ["16 images have no row in their table; they are left out."]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"row": {"VolumeName": "{scan}.nii.gz"}}, r"'row' has the field \{scan\}"),
        ({"test": {"fold": "1"}}, r"'test' names the field \{fold\}"),
        ({"images": {"a": "x", "b": "y"}}, "'images' must name one thing"),
        ({"table": 3}, "'table' is 3; it must be a text"),
    ],
)
def test_a_strange_task_gets_a_sentence(tmp_path, change, words):
    values = json.loads((FOLDER / "emphysema.json").read_text(encoding="utf-8"))
    values["data"] |= change
    file = tmp_path / "own.json"
    file.write_text(json.dumps(values))
    with pytest.raises(SettingError, match=words):
        read_divided(read_task(file), tmp_path)


# -- phantoms ----------------------------------------------------------------------------------------------------------


def test_the_phantoms_of_ct_rate_are_read_back(tmp_path, monkeypatch):
    small, made = ct_rate.make_chest, []

    def coarse(*about):
        made.append(small(*about, spacing=10.0))
        return made[-1]

    monkeypatch.setattr(ct_rate, "make_chest", coarse)
    ct_rate.write_emphysema(tmp_path, 4, 0, Progress())
    task = find_task("emphysema")
    divided = read_divided(task, tmp_path)
    grades = [grade for _, _, grade in made]
    shown = {case.name: case.shown[0] for case in [*divided.teaching, *divided.test]}
    expected = [f"train_{n}_a_1" for n in range(1, 4)] + ["valid_1_a_1"]
    assert shown == {name: int(grade > 0) for name, grade in zip(expected, grades, strict=True)}
    assert 0 < sum(grade > 0 for grade in grades) < 4
    report = (tmp_path / "radiology_text_reports" / "train_reports.csv").read_text()
    assert "evere emphysema" in report or "oderate emphysema" in report or "ild emphysema" in report
    (volume, found, _) = next(each for each in made if each[2])
    assert volume.array[found["Emphysema"]].mean() < -900


def test_what_is_painted_into_a_chest_looks_as_it_is_called():
    names = dict.fromkeys((ct_rate.EMPHYSEMA, *ct_rate.FINDINGS), 1.0)
    volume, shown, grade = ct_rate.make_chest(3, names, np.random.default_rng(0), spacing=6.0)
    assert set(shown) == set(names) and grade in (1, 2, 3)
    hu = {name: float(np.median(volume.array[where])) for name, where in shown.items()}
    assert hu["Medical material"] > 2000 and hu["Arterial wall calcification"] > 300
    assert -20 < hu["Pleural effusion"] < 60 and -60 < hu["Consolidation"] < 90
    assert set(names) <= {ct_rate.EMPHYSEMA, *ct_rate.COLUMNS}


def test_uteri_are_read_back_with_their_classes(tmp_path, monkeypatch):
    grid = Geometry((8, 8, 8))

    def quick(anomaly, rng):
        return Volume(rng.integers(0, 9, (8, 8, 8)).astype(np.uint8), grid, anomaly), np.zeros((8, 8, 8), bool)

    monkeypatch.setattr(uteri, "make_uterus", quick)
    uteri.write_uterine_anomalies(tmp_path, 30, 0, Progress())
    divided = read_divided(find_task("uterine_anomalies"), tmp_path)
    for part in (divided.teaching, divided.test):
        assert {case.kind for case in part} == {"normal", "septate", "bicornuate", "unicornuate", "didelphys"}
