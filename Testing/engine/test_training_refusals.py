"""What a recipe or its cases get wrong is named before the first step."""

import json
import re

import pytest
from training_boxes import changed, command, second_stage, train, write_boxes, write_case, write_data, write_recipe

from Med3DCore.benchmarks.task import read_task
from Med3DCore.cli.main import main
from Med3DCore.errors import DataError, SettingError
from Med3DCore.training.cases.description import read_json
from Med3DCore.training.co_training.domains import read_co_training
from Med3DCore.training.learning.recipe import read_recipe
from Med3DCore.training.pictures.recipe import read_picture_recipe


@pytest.fixture
def data(tmp_path):
    return write_boxes(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s.update(window=[8, 32, 32]), "must be at least 16 voxels"),
        (lambda s: s["network"]["encoder"].update(in_channels=4), "wants an image of 4 channels"),
        (lambda s: s.update(activation="softmax"), "'background' must be the first of them with softmax"),
        (lambda s: s.update(activation="relu"), "must be one of: sigmoid, softmax"),
    ],
)
def test_stages_that_could_not_be_used_are_refused_before_any_case_is_read(tmp_path, capsys, change, sentence):
    recipe = changed(write_recipe(tmp_path), lambda values: change(values["stages"][0]))
    for more in ((), ("--stage", "only")):
        assert main([*command(tmp_path / "nowhere", recipe, tmp_path / "run"), *more]) == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "training",
    [
        "train nothing.json nowhere",
        "fine-tune nothing nowhere",
        "pretrain nothing.json nowhere",
        "pretrain-2d nowhere --recipe nothing.json",
        "classify train nothing.csv",
        "compare nothing.json nowhere",
        "task train nothing nowhere",
    ],
)
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path, capsys, monkeypatch, training):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    for run in (taken, taken / "run", tmp_path / "new" / "run"):
        with monkeypatch.context() as patch:
            patch.setattr("os.access", lambda path, _mode: tmp_path not in (path, *path.parents))
            assert main([*training.split(), "-o", str(run)]) == 2
        assert re.search(r"folder .* cannot be made: you may not write to .*; choose another", capsys.readouterr().err)
    assert not (tmp_path / "new").exists()


def test_an_unknown_key_of_the_recipe_itself_is_named(tmp_path):
    path = write_recipe(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "sead": 3}))
    with pytest.raises(
        SettingError, match=r"unknown setting \['sead'\] of the recipe, which knows model, stages, seed"
    ):
        read_recipe(path)


def test_a_label_that_no_case_shows_is_refused_before_the_first_step(tmp_path):
    data = write_data(tmp_path, [write_case(tmp_path, "a", 1, ("liver",))])
    with pytest.raises(DataError, match="No training case shows where 'lungs' is"):
        train(data, write_recipe(tmp_path), tmp_path / "run")


def test_a_patch_that_leaves_batch_norm_one_value_is_named(data, tmp_path):
    with pytest.raises(
        SettingError, match=r"one patch of \(8, 8, 8\) voxels is a single voxel on the encoder's last grid"
    ):
        train(data, write_recipe(tmp_path, batch=1, patch=[8, 8, 8]), tmp_path / "run")


@pytest.mark.parametrize(
    "training,named",
    [
        ({"stepz": 3}, "stepz"),
        ({"augmentation": {"rotate": 3}}, "rotate"),
        ({"patch": 32}, "'patch' is 32"),
        ({"patch": [32, 32]}, "'patch' is"),
        ({"foreground": 60}, "'foreground' is 60; it must be from 0 to 1"),
        ({"layer_decay": -1}, "'layer_decay' is -1"),
        ({"optimizer": "lion"}, "optimizer is 'lion'"),
        ({"region": {"expand": "1"}}, "'expand' is '1'"),
    ],
)
def test_unknown_and_wrong_settings_are_named(tmp_path, training, named):
    with pytest.raises(SettingError, match=named):
        read_recipe(write_recipe(tmp_path, **training))


@pytest.mark.parametrize(
    "change,sentence",
    [
        (lambda v: v["model"].pop("licence"), "does not describe the model as it must: .*'licence'"),
        (lambda v: v["model"].pop("labels"), "does not list its labels"),
        (lambda v: v["model"].update(labels=["liver", "spleen"]), "no stage finds the label 'spleen'"),
        (lambda v: v["stages"][0].update(postprocessing={"liver": {"keep": 1}}), "Unknown post-processing setting"),
        (lambda v: v["stages"][0].update(region={"stage": "no", "margin_mm": 5}), "needs the region of 'no'"),
        (lambda v: v["stages"][0].update(window=[32, 32]), "window of stage 'only' is"),
        (lambda v: v["stages"][0]["network"].update(out_channels=3), "2 labels but 3 output channels"),
        (lambda v: v.update(stages=[]), "it has no stage"),
        (lambda v: v["stages"][0]["network"].update(decoder={"name": "classification"}), "med3d classify train CSV"),
        (lambda v: v["stages"][0]["network"].update(decoder={"name": "scan_classification"}), "med3d task train"),
        (lambda v: second_stage(v, preprocessing={"spacing": [0, 1, 1], "intensity": {"name": "window"}}), "spacing"),
        (lambda v: v["stages"][0]["preprocessing"].update(spacing="finest"), "Unknown spacing rule 'finest'"),
        (lambda v: second_stage(v, labels=["liver", "heart"]), "No training case shows where 'heart' is"),
    ],
)
def test_what_would_cost_a_night_is_refused_before_the_first_step(data, tmp_path, capsys, change, sentence):
    recipe = changed(write_recipe(tmp_path), change)
    assert main(command(data, recipe, tmp_path / "run")) == 2
    assert re.search(sentence, capsys.readouterr().err) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "soon"])
def test_no_time_is_refused(data, tmp_path, capsys, minutes):
    with pytest.raises(SystemExit, match="2"):
        main(command(data, write_recipe(tmp_path), tmp_path / "run", f"--minutes={minutes}"))
    assert "is no number of minutes above 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda values: values.pop("stages"), r"setting: 'stages' is missing\.$"),
        (lambda values: values["stages"][0].pop("name"), r"setting: 'name' is missing\.$"),
        (lambda values: values.update(seed="x"), r"setting: 'x' is no number\.$"),
        (lambda values: values.update(stages=3), "setting: a value is of the wrong kind"),
        (lambda values: values.update(sead=3), r"setting: unknown setting \['sead'\] .*, seed\.$"),
    ],
)
def test_what_python_says_of_a_recipe_is_told_in_words(tmp_path, change, sentence):
    with pytest.raises(SettingError, match=sentence):
        read_recipe(changed(write_recipe(tmp_path), change))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"{", "it is no JSON: "), (b"\xff", "it is no UTF-8 text"), (b"[" * 100_000, "it is nested too deeply")],
)
def test_files_that_hold_no_settings_are_refused_everywhere(tmp_path, content, sentence):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    for read in (read_recipe, read_co_training, read_picture_recipe, read_task, read_json):
        with pytest.raises((SettingError, DataError), match=sentence):
            read(path)


def test_a_recipe_that_an_editor_of_windows_saved_is_read(tmp_path):
    path = write_recipe(tmp_path)
    recipe = read_recipe(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_recipe(path) == recipe
