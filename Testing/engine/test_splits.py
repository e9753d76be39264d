"""Folds: by patient, evenly by label, the same for the same seed, and read back from the file."""

import json

import pytest
from training_boxes import write_case, write_data, write_recipe

from Med3DCore.cli.main import main
from Med3DCore.errors import DataError, SettingError
from Med3DCore.training.cases.cache import CaseCache
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.description import read_cases
from Med3DCore.training.cases.splits import apply_split, labels_shown, make_folds, write_splits


def patients(labels_of):
    """A case for each patient, two for every third, and what they show."""
    cases, shown = [], {}
    for number, labels in enumerate(labels_of):
        for scan in range(1 + (number % 3 == 0)):
            name = f"p{number}_{scan}"
            cases.append(Case(name, None, None, {}, (), f"p{number}"))
            shown[name] = set(labels)
    return cases, shown


def test_patients_stay_together_and_each_is_held_out_once():
    cases, shown = patients([["liver"]] * 11)
    folds = make_folds(cases, shown, 4, seed=1)
    assert sorted(name for fold in folds for name in fold["val"]) == sorted(shown)
    for fold in folds:
        held_out = {name.partition("_")[0] for name in fold["val"]}
        assert held_out.isdisjoint(name.partition("_")[0] for name in fold["train"])
        assert len(fold["train"]) + len(fold["val"]) == len(cases) and 2 <= len(held_out) <= 3


def test_rare_labels_are_spread_evenly():
    cases, shown = patients([["liver", "spleen"]] * 4 + [["liver"]] * 9 + [["lungs"]] * 7)
    folds = make_folds(cases, shown, 4, seed=3)
    for label, low, high in (("spleen", 1, 1), ("lungs", 1, 2), ("liver", 3, 4)):
        counts = [len({n.partition("_")[0] for n in fold["val"] if label in shown[n]}) for fold in folds]
        assert low <= min(counts) and max(counts) <= high, (label, counts)


def test_the_same_seed_gives_the_same_folds():
    cases, shown = patients([["liver"]] * 12)
    assert make_folds(cases, shown, 3, 5) == make_folds(cases, shown, 3, 5) != make_folds(cases, shown, 3, 6)


@pytest.mark.parametrize("folds", [1, 4])
def test_impossible_numbers_of_folds(folds):
    cases, shown = patients([["liver"]] * 3)
    with pytest.raises(SettingError, match="3 patients cannot be divided"):
        make_folds(cases, shown, folds)


def test_the_command_writes_a_file_that_training_reads(tmp_path, capsys):
    entries = [write_case(tmp_path, f"c{n}", n, ("liver",) if n % 2 else ("lungs",)) for n in range(6)]
    data, file = write_data(tmp_path, entries), tmp_path / "splits.json"
    assert main(["dataset", "split", str(data), "--folds", "3", "-o", str(file), "--quiet"]) == 0
    assert "fold 2: 2 patients, 2 cases (liver 1, lungs 1)" in capsys.readouterr().out
    cases = read_cases(data)
    assert labels_shown(cases)["c1"] == {"liver"}
    held_out = [case.name for case in apply_split(cases, file, 1) if case.split == "validation"]
    assert held_out == json.loads(file.read_text())[1]["val"] and len(held_out) == 2
    with pytest.raises(SettingError, match="folds 0 to 2, not 3"):
        apply_split(cases, file, 3)
    with pytest.raises(DataError, match=r"other cases \(see 'c5'\)"):
        apply_split(cases[:-1], file, 0)


def test_training_holds_out_a_fold_and_keeps_its_prepared_cases(tmp_path, monkeypatch):
    monkeypatch.setenv("MED3D_CACHE", str(tmp_path / "cache"))
    data = write_data(tmp_path, [write_case(tmp_path, name, seed) for seed, name in enumerate("abc")])
    write_splits([{"train": ["a", "b"], "val": ["c"]}, {"train": ["c", "b"], "val": ["a"]}], tmp_path / "s.json")
    recipe = write_recipe(tmp_path, steps=1)
    arguments = ["train", str(recipe), str(data), "-o", str(tmp_path / "run"), "--stage", "only", "--quiet"]
    assert main([*arguments, "--splits", str(tmp_path / "s.json"), "--fold", "1"]) == 0
    log = [json.loads(line) for line in (tmp_path / "run" / "only" / "log.jsonl").read_text().splitlines()]
    (scores,) = [line["validation"] for line in log if "validation" in line]
    assert list(scores["liver"]) == ["a"]
    assert CaseCache(tmp_path / "cache").usage()[0] == 3


def test_a_file_that_would_leak_or_is_none_is_refused(tmp_path):
    entries = [write_case(tmp_path, name, 0, patient="same") for name in "ab"]
    cases = read_cases(write_data(tmp_path, entries))
    write_splits([{"train": ["a"], "val": ["b"]}], tmp_path / "s.json")
    with pytest.raises(DataError, match="Patient 'same' is in both splits"):
        apply_split(cases, tmp_path / "s.json", 0)
    (tmp_path / "s.json").write_text('{"folds": 3}')
    with pytest.raises(DataError, match="no file of splits"):
        apply_split(cases, tmp_path / "s.json", 0)
