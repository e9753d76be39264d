"""Fine-tuning: old labels stay, new ones come, an interrupted run goes on, and the user is told how good it is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from training_boxes import boxes, save_parent, write_case, write_data

from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled, DataError, Med3DError, SettingError
from Med3DCore.inference.device import Device
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.models.package_file import load_package
from Med3DCore.networks import build_network
from Med3DCore.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.cache import CaseCache
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.cases.prepared import prepare_case
from Med3DCore.training.fine_tuning.adapt import tuned_stages
from Med3DCore.training.fine_tuning.blend import ALL_THE_WAY, HALFWAY
from Med3DCore.training.fine_tuning.fine_tune import continue_tuning, fine_tune
from Med3DCore.training.fine_tuning.fit_time import fitted
from Med3DCore.training.fine_tuning.install_tuned import install_tuned
from Med3DCore.training.fine_tuning.remember import remembered
from Med3DCore.training.fine_tuning.run_folder import RunFolder, TuneSettings
from Med3DCore.training.fine_tuning.run_list import list_runs
from Med3DCore.training.learning.losses import supervised_loss

CPU = Device("cpu", "CPU", torch.float32, "test")
SHORT = {"steps": 3, "patch": [16, 16, 16], "batch": 2, "validate_every": 2}
SETTINGS = TuneSettings("My boxes", minutes=1e6, device="cpu", training=SHORT)


@pytest.fixture(autouse=True)
def own_models(tmp_path, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    torch.set_num_threads(1)


@pytest.fixture
def parent(tmp_path):
    return save_parent(tmp_path)


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


# -- what is learned ---------------------------------------------------------------------------------------------------


def test_a_known_label_is_learned_and_the_stages_of_others_stay(parent, tmp_path):
    tuned = fine_tune(parent, boxes(tmp_path), tmp_path / "run", SETTINGS)
    package = load_package(tuned.package)
    package.verify()
    assert package.parent == "tiny-1.0.0" and package.reference == "my-boxes-1.0.0" and package.title == "My boxes"
    assert package.label_names == ("liver", "lungs") and package.stages == parent.stages
    changed = [name for name in package.parts if not same(package.read_weights(name), parent.read_weights(name))]
    assert changed == ["coarse", "liver"] and tuned.steps == 6
    (case,) = tuned.held_out
    assert set(tuned.before) == set(tuned.after) == {"liver"} and set(tuned.after["liver"]) == {case.name}
    assert set(tuned.kept["lungs"]) == {case.name}
    for path in (case.before, case.after):
        labels = read_label_map(path)
        assert [label.name for label in labels.labels] == ["liver", "lungs"]
    assert tuned.curve.read_bytes().startswith(b"\x89PNG")


def test_a_known_label_goes_halfway_unless_all_the_way_is_clearly_better(parent, tmp_path, monkeypatch):
    cases = [replace(case, split="validation" if i else "training") for i, case in enumerate(boxes(tmp_path))]
    cases[2] = replace(cases[2], annotated=(), absent=("liver",))  # as far as the test knows
    far = replace(SETTINGS, training=SHORT | {"learning_rate": 0.05})  # so far that 16 bits tell half of it from all
    chosen = "Med3DCore.training.fine_tuning.publish_tuned.choose_ways"
    monkeypatch.setattr(chosen, lambda _half, _all, patients: (HALFWAY, dict.fromkeys(patients, HALFWAY)))
    halfway = fine_tune(parent, cases, tmp_path / "half", far)
    ways = dict(zip([case.name for case in cases[1:]], (HALFWAY, ALL_THE_WAY), strict=True))
    monkeypatch.setattr(chosen, lambda *_: (ALL_THE_WAY, ways))
    all_the_way = fine_tune(parent, cases, tmp_path / "all", far)
    assert (halfway.way, all_the_way.way) == (HALFWAY, ALL_THE_WAY)
    assert halfway.false_positive_ml == {when: {"liver": {cases[2].name: 0.0}} for when in ("before", "after")}
    # What is reported of the first case is of the weights that the second one chose, and that is said.
    assert all_the_way.after["liver"][cases[1].name] == halfway.after["liver"][cases[1].name]
    said = f"on {cases[1].name} was found halfway, as the other held-out cases chose; the model is as learned"
    assert any(said in sentence for sentence in all_the_way.warnings)
    assert not any("was found" in sentence for sentence in halfway.warnings)
    old, half, new = (
        model.read_weights("liver") for model in (parent, *(load_package(t.package) for t in (halfway, all_the_way)))
    )
    gone = [(half[name] - old[name]).norm() for name in old if old[name].is_floating_point()]
    learned = [(new[name] - old[name]).norm() for name in old if old[name].is_floating_point()]
    assert sum(learned) > 1 and sum(gone) / sum(learned) == pytest.approx(0.5, abs=0.02)
    assert "halfway" in load_package(halfway.package).card and "halfway" not in load_package(all_the_way.package).card


def test_names_of_people_stay_out_of_the_package(parent, tmp_path):
    tuned = fine_tune(parent, boxes(tmp_path), tmp_path / "run", SETTINGS)
    package = load_package(tuned.package)
    assert "Doe" not in json.dumps(package.to_dict()) + package.card
    known = {**package.provenance["training_cases"], **package.provenance["validation_cases"]}
    assert sorted(known) == ["case 1", "case 2", "case 3"] and len(known["case 1"]["label_sha256"]) == 64
    assert "| case " in package.card and "tiny-1.0.0, from which it was fine-tuned" in package.card


def test_a_new_label_gets_stages_of_its_own_and_all_others_stay(parent, tmp_path):
    cases = boxes(tmp_path, annotated=("spleen",), rename={"liver": "spleen"})
    tuned = fine_tune(parent, cases, tmp_path / "run", SETTINGS)
    package = load_package(tuned.package)
    assert package.label_names == ("liver", "lungs", "spleen")
    assert package.parts == ("coarse", "liver", "lungs", "spleen-coarse", "spleen")
    assert all(same(package.read_weights(name), parent.read_weights(name)) for name in parent.parts)
    assert package.stages[4].region == {"stage": "spleen-coarse", "margin_mm": 25.0}
    assert package.stages[3].postprocessing == {"spleen": {"keep_largest": 1}}
    assert not tuned.before and set(tuned.after) == {"spleen"}
    assert all(alike == 1 for cases in tuned.kept.values() for alike in cases.values())


def test_a_new_label_begins_as_a_copy_of_stages_that_see_it(parent, tmp_path):
    cases = boxes(tmp_path, 1, annotated=("spleen",), rename={"liver": "spleen"})
    stored = [RunFolder(tmp_path).store_case(1, case) for case in cases]
    coarse, fine = tuned_stages(parent, stored, SETTINGS)
    for stage, template in ((coarse, "coarse"), (fine, "liver")):
        given = parent.read_weights(template)
        copied = [name for name in given if torch.equal(given[name], stage.initial[name])]
        assert set(given) - set(copied) == {"decoder.logits.0.weight", "decoder.logits.0.bias"} and stage.is_new
        assert build_network(stage.recipe.stage.network).load_state_dict(stage.initial)


def test_what_nobody_labelled_is_learned_from_the_parent(parent, tmp_path):
    case = RunFolder(tmp_path).store_case(1, replace(boxes(tmp_path, 1)[0], split="training"))
    stage = parent.stages[0]
    preprocessing = Preprocessing.from_dict(stage.preprocessing)
    prepared = prepare_case(case, preprocessing, stage.labels)
    assert (prepared.target[1] == UNKNOWN).all()
    (filled,) = remembered([prepared], stage, parent.read_weights("coarse"), CPU, Progress())
    assert np.array_equal(filled.target[0], prepared.target[0]), "what the user drew is what counts"
    assert set(np.unique(filled.target[1])) == {0, 1} and 0.02 < filled.target[1].mean() < 0.9
    cached = CaseCache(tmp_path / "cache").prepare(case, preprocessing, stage.labels)
    (again,) = remembered([cached], stage, parent.read_weights("coarse"), CPU, Progress())
    assert np.array_equal(again.target, filled.target), "a case on disk is filled in memory"
    held_out = replace(prepared, case=replace(case, split="validation"))
    assert remembered([held_out], stage, parent.read_weights("coarse"), CPU, Progress())[0] is held_out


@pytest.mark.parametrize(
    "training,sentence",
    [({"rate": 1}, "Unknown setting 'rate'"), ({"batch": "many"}, "'batch' is 'many'; it must be a whole")],
)
def test_wrong_settings_are_named(parent, tmp_path, training, sentence):
    with pytest.raises(SettingError, match=sentence):
        tuned_stages(parent, boxes(tmp_path, 1), replace(SETTINGS, training=training))


def test_cases_that_teach_nothing_are_refused_first(parent, tmp_path):
    with pytest.raises(DataError, match="No case has a labelled organ"):
        fine_tune(parent, boxes(tmp_path, annotated=()), tmp_path / "run", SETTINGS)
    assert not (tmp_path / "run").exists()


# -- going on ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [1, 9, 30, 60])
def test_stopped_anywhere_it_goes_on_the_same(parent, tmp_path, asked):
    cases = boxes(tmp_path)
    whole = fine_tune(parent, cases, tmp_path / "whole", SETTINGS)
    checks = iter(range(100_000))
    parts = tmp_path / "parts"
    try:
        fine_tune(parent, cases, parts, SETTINGS, Progress(is_cancelled=lambda: next(checks) >= asked))
    except Cancelled:
        if not (parts / "run.json").exists():
            return  # nothing began yet
    again = continue_tuning(parts)
    a, b = load_package(whole.package), load_package(again.package)
    assert all(same(a.read_weights(name), b.read_weights(name)) for name in a.parts)
    assert whole.after == again.after and whole.before == again.before
    assert continue_tuning(parts) == again, "what is done is not done again"


def test_a_stopped_one_can_be_used_as_it_is(parent, tmp_path):
    steps = []

    def stop_at_two():
        return len(steps) >= 2

    progress = Progress(is_cancelled=stop_at_two, on_metric=lambda *metric: metric[2] is not None and steps.append(1))
    with pytest.raises(Cancelled, match="it can be continued"):
        fine_tune(parent, boxes(tmp_path), tmp_path / "run", SETTINGS, progress)
    (run,) = list_runs(tmp_path)
    assert run["state"] == "unfinished" and run["step"] == 2 and run["title"] == "My boxes"
    tuned = continue_tuning(tmp_path / "run", finish=True)
    package = load_package(tuned.package)
    assert tuned.steps == 2 and same(package.read_weights("liver"), parent.read_weights("liver"))
    assert not same(package.read_weights("coarse"), parent.read_weights("coarse"))
    install_tuned(tuned.package)
    assert list_runs(tmp_path)[0]["state"] == "finished"


def test_runs_are_listed_and_a_broken_one_hides_no_other(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.json").write_text("{")
    (run,) = list_runs(tmp_path)
    assert run["state"] == "broken" and run["title"] == "b"
    with pytest.raises(DataError, match="is damaged"):
        continue_tuning(tmp_path / "b")
    with pytest.raises(DataError, match=r"no training in .*none that could be continued"):
        continue_tuning(tmp_path / "none")


# -- what the user is told ---------------------------------------------------------------------------------------------


def test_a_short_time_takes_smaller_batches_then_smaller_patches(parent, tmp_path):
    settings = replace(SETTINGS, training={"patch": [64, 64, 64], "batch": 2})
    recipe, how = tuned_stages(parent, boxes(tmp_path, 1), settings)[0].recipe, (CPU, supervised_loss, 2)
    assert fitted(recipe, 1e6, *how).batch == 2 and fitted(recipe, 1e6, *how).patch == (64, 64, 64)
    short = fitted(recipe, 1e-3, *how)
    assert short.batch == 1 and short.patch == (48, 48, 48)


# -- what is refused or left out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"training": {"steps": "many"}}, {"training": {"stepz": 1}}, {"device": "cuda:77"}], ids=str
)
def test_a_wrong_setting_does_not_keep_the_folder(parent, tmp_path, change):
    with pytest.raises(Med3DError):
        fine_tune(parent, boxes(tmp_path), tmp_path / "run", replace(SETTINGS, **change))
    with pytest.raises(Cancelled):  # and not as one that was begun with that setting
        stop = iter((False,) * 8)
        progress = Progress(is_cancelled=lambda: next(stop, True))
        fine_tune(parent, boxes(tmp_path), tmp_path / "run", SETTINGS, progress)


def test_cases_that_only_say_what_is_absent_are_kept_and_those_that_say_nothing_are_not(parent, tmp_path, capsys):
    entries = [write_case(tmp_path, f"p{i}", i) for i in range(5)]
    entries[2]["split"] = "validation"
    entries[3] |= {"label": None, "values": {}, "annotated": [], "absent": ["liver"], "split": "validation"}
    entries[4] |= {"label": None, "annotated": ["liver"], "split": "validation"}
    path, run = write_data(tmp_path, entries), tmp_path / "run"
    options = [f"--set={name}={value}" for name, value in SHORT.items()]
    command = ["fine-tune", str(parent.path), str(path), "-o", str(run), "--device", "cpu", "--minutes", "9"]
    assert main([*command, "--quiet", "--json", *options]) == 0
    out, err = capsys.readouterr()
    assert "Warning: p4 show none of the labels" in err and set(json.loads(out)["after"]["liver"]) == {"p2"}
    stored = {case.name: case for case in RunFolder(run).cases}
    assert set(stored) == {"p0", "p1", "p2", "p3"} and stored["p3"].label is None and stored["p3"].absent == ("liver",)
    assert main([*command, "--quiet", "--json", *options]) == 0, "the same again goes on"
    assert "goes on as it was begun" not in capsys.readouterr().err
    write_data(tmp_path, entries[1:])
    assert main([*command[:-1], "20", "--quiet", "--json", *options]) == 0
    said = capsys.readouterr().err
    assert "not used is what you ask for now: minutes 20.0 instead of 9.0; 3 cases instead of 4" in said


def test_other_cases_begin_anew_in_the_same_folder_when_that_is_asked_for(parent, tmp_path, capsys):
    run, options = tmp_path / "run", [f"--set={name}={value}" for name, value in SHORT.items()]

    def command(*names, more=()):
        data = write_data(tmp_path, [write_case(tmp_path, name, i) for i, name in enumerate(names)])
        # So much time that a busy computer never makes it fewer steps.
        begin = ["fine-tune", str(parent.path), str(data), "-o", str(run), "--device", "cpu", "--minutes", "1e6"]
        code = main([*begin, "--quiet", "--json", *options, *more])
        return code, *capsys.readouterr()

    steps = json.loads(command("a", "b", "c")[1])["steps"]
    (run / "mine.txt").write_text("precious")
    made = sorted(path.name for path in run.iterdir())
    code, out, err = command("d", "e", "f")
    assert code == 0 and "goes on as it was begun" in err and "Begin anew with --restart" in err
    code, out, err = command(more=["--restart"])  # what is refused deletes nothing
    assert code == 2 and sorted(path.name for path in run.iterdir()) == made
    assert {case.name for case in RunFolder(run).cases} == {"a", "b", "c"}
    was = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for refused in ("patch_size=[2, 2, 2]", "learning_rate=0", "no_such=1"):  # settings are looked at after the cases
        assert command("d", "e", "f", more=["--restart", f"--set={refused}"])[0] == 2
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == was
    (run / "before-restart").mkdir()
    (run / "run.json").rename(run / "before-restart" / "run.json")  # as if it had been killed then
    code, out, err = command("d", "e", "f")
    assert code == 0 and "goes on as it was begun" in err and json.loads(out)["steps"] == steps
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == was
    code, out, err = command("d", "e", "f", more=["--restart"])
    assert code == 0 and "goes on" not in err and json.loads(out)["steps"] == steps
    assert {case.name for case in RunFolder(run).cases} == {"d", "e", "f"}
    now = sorted(path.name.replace("-1.1.0", "-1.0.0") for path in run.iterdir())  # 1.0.0 is among the user's models
    assert now == made and (run / "mine.txt").read_text() == "precious"
    assert command("d", more=["--restart", "--finish"])[0] == 2


def test_the_frame_that_is_meant_is_copied(tmp_path):
    (case,) = boxes(tmp_path, 1)
    volume = read_volume(case.image)
    other = volume.with_array(volume.array + 100)
    sitk.WriteImage(sitk.JoinSeries([volume.to_sitk(), other.to_sitk()]), str(case.image))
    stored = RunFolder(tmp_path / "run").store_case(1, replace(case, frame=1))
    assert stored.frame == 0 and np.array_equal(read_volume(stored.image).array, other.array)
