"""Training of one network of a pipeline, and the command: stopping loses nothing, bad settings are named."""

import json
import os
import re
import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_boxes import (
    CPU,
    changed,
    command,
    exclusive,
    second_stage,
    train,
    write_boxes,
    write_case,
    write_data,
    write_recipe,
)

from Med3DCore.cli.main import main
from Med3DCore.cli.tensorboard import TensorBoardLog
from Med3DCore.errors import Cancelled, DataError
from Med3DCore.io import read_label_map, read_volume, write_volume
from Med3DCore.models.package_file import load_package
from Med3DCore.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.description import read_cases
from Med3DCore.training.cases.prepared import prepare_case
from Med3DCore.training.learning.checkpoint import read_log
from Med3DCore.training.learning.recipe import read_recipe
from Med3DCore.training.segmentation import trainer


@pytest.fixture
def data(tmp_path):
    return write_boxes(tmp_path)


def task_of(recipe, data):
    stage = recipe.stages[0]
    preprocessing = Preprocessing.from_dict(stage.stage.preprocessing)
    prepared = [prepare_case(case, preprocessing, stage.stage.labels) for case in read_cases(data)]
    return trainer.SegmentationTask(stage, prepared, recipe.seed)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_two_runs_with_one_seed_agree_and_a_stopped_run_goes_on_the_same(data, tmp_path):
    recipe = write_recipe(tmp_path)
    whole, again = train(data, recipe, tmp_path / "one"), train(data, recipe, tmp_path / "two")
    assert same(whole.weights, again.weights)
    checks = iter(range(10_000))
    with pytest.raises(Cancelled):
        train(data, recipe, tmp_path / "three", Progress(is_cancelled=lambda: next(checks) >= 5))
    assert (tmp_path / "three" / "checkpoint.pt").is_file()
    assert same(whole.weights, train(data, recipe, tmp_path / "three").weights)


def test_training_learns_the_boxes(data, tmp_path):
    recipe = write_recipe(tmp_path, steps=60, learning_rate=0.01, validate_every=60, ema=0.9)
    trained = train(data, recipe, tmp_path / "run")
    assert trained.validation.details["liver"]["c"] > 0.5 and trained.validation.details["lungs"]["c"] > 0.35
    losses = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in losses if "loss" in entry]
    assert len(losses) == 60 and np.mean(losses[-10:]) < 0.75 * np.mean(losses[:10])


def test_a_checkpoint_of_other_settings_is_not_taken(data, tmp_path):
    train(data, write_recipe(tmp_path), tmp_path / "run")
    with pytest.raises(DataError, match="training with other settings"):
        train(data, write_recipe(tmp_path, batch=1), tmp_path / "run")


def test_a_checkpoint_of_another_start_is_not_taken(data, tmp_path):
    recipe = write_recipe(tmp_path)
    start = train(data, recipe, tmp_path / "start").weights
    begun = train(data, recipe, tmp_path / "run", initial=start)
    assert same(begun.weights, train(data, recipe, tmp_path / "run", initial=start).weights)
    with pytest.raises(DataError, match="training with other settings"):
        train(data, recipe, tmp_path / "run", initial={name: value * 1.01 for name, value in start.items()})


def test_deep_supervision_trains_the_coarser_heads_too(data, tmp_path):
    path = write_recipe(tmp_path, steps=1)
    recipe = read_recipe(path)
    network = recipe.stages[0].stage.network
    network["decoder"]["deep_supervision"] = True
    task = task_of(recipe, data)
    built = task.build().train()
    task.loss(built, task.draw(0), CPU).backward()
    assert all(head.weight.grad.abs().sum() > 0 for head in built.decoder.logits)


def test_early_layers_learn_slowest_and_frozen_ones_not_at_all(data, tmp_path):
    recipe = read_recipe(write_recipe(tmp_path, encoder_rate=0.5, layer_decay=0.1))
    task = task_of(recipe, data)
    network = task.build()
    rates = {id(p): group.rate for group in task.parameter_groups(network) for p in group.parameters}
    layer = {name: rates[id(p)] for name, p in network.named_parameters()}
    assert layer["decoder.logits.0.weight"] == 1 and layer["encoder.layer4.0.conv1.weight"] == 0.5
    assert layer["encoder.conv1.weight"] == pytest.approx(0.5e-4) and layer["encoder.layer3.0.bn1.bias"] == 0.05
    frozen = train(data, write_recipe(tmp_path, encoder_rate=0.0, steps=2, ema=0), tmp_path / "frozen").weights
    torch.manual_seed(5)
    begin = task.build().state_dict()
    kernels = [name for name in begin if name.endswith("weight")]
    assert all(torch.equal(frozen[n], begin[n]) == n.startswith("encoder.") for n in kernels)
    assert all(torch.equal(frozen[n], begin[n]) for n in begin if n.startswith("encoder."))  # statistics, too


def test_a_run_does_not_go_on_with_other_labels(data, tmp_path):
    recipe = write_recipe(tmp_path, steps=1)
    train(data, recipe, tmp_path / "run")
    write_case(tmp_path, "other", 9)
    (tmp_path / "other_seg.nii.gz").replace(tmp_path / "a_seg.nii.gz")
    with pytest.raises(DataError, match="other settings, data or labels"):
        train(data, recipe, tmp_path / "run")


def test_a_run_does_not_go_on_with_other_images(data, tmp_path):
    recipe = write_recipe(tmp_path, steps=1)
    train(data, recipe, tmp_path / "run")
    volume = read_volume(tmp_path / "a_ct.nii.gz")
    volume.array[10, 10, 10] += 50
    write_volume(volume, tmp_path / "a_ct.nii.gz")
    with pytest.raises(DataError, match="other settings, data or labels"):
        train(data, recipe, tmp_path / "run")


def test_labels_that_exclude_each_other_are_learned_and_used(data, tmp_path):
    recipe = changed(write_recipe(tmp_path, steps=40, validate_every=40), exclusive)
    assert main(command(data, recipe, tmp_path / "run")) == 0
    entries = read_log(tmp_path / "run" / "only" / "log.jsonl")
    assert np.mean([e["loss"] for e in entries[30:40]]) < 0.9 * entries[0]["loss"]
    assert set(entries[-1]["validation"]) == {"liver", "lungs"} and entries[-1]["score"] > 0.2
    package = load_package(tmp_path / "run" / "boxes-0.0.1.med3d.zip")
    assert set(package.metrics) == {"liver", "lungs"} and package.label_names == ("liver", "lungs")


def test_labels_that_overlap_cannot_exclude_each_other(data, tmp_path):
    values = json.loads(data.read_text())
    values["cases"][0]["values"]["lungs"] = [1, 2]
    data.write_text(json.dumps(values))
    recipe = read_recipe(changed(write_recipe(tmp_path), exclusive))
    with pytest.raises(DataError, match="'a': 'liver' and 'lungs' share voxels"):
        trainer.stage_task(recipe.stages[0], read_cases(data), 1)


def test_what_is_found_in_a_case_without_the_label_counts(tmp_path):
    entries = [write_case(tmp_path, "a", 1), write_case(tmp_path, "b", 2, split="validation")]
    entries.append(write_case(tmp_path, "c", 3, ("liver",), split="validation", absent=["lungs"]))
    recipe = read_recipe(write_recipe(tmp_path))
    task = task_of(recipe, write_data(tmp_path, entries))
    network = task.build()
    with torch.no_grad():
        for logits in network.decoder.logits:
            logits.weight.zero_()
            logits.bias.fill_(9.0)  # everything is liver and lungs
    result = task.validate(network, CPU, Progress())
    shown, without = task.validation
    truth = int((shown.target[1] == 1).sum()) * shown.geometry.voxel_volume_ml
    wrong = without.target[1].size * without.geometry.voxel_volume_ml
    assert result.false_positive_ml == {"lungs": {"c": pytest.approx(wrong, abs=1e-3)}}
    dice = {name: sum(cases.values()) / len(cases) for name, cases in result.details.items()}
    assert set(result.details["lungs"]) == {"b"} and set(result.details["liver"]) == {"b", "c"}
    assert result.score == pytest.approx((dice["liver"] + dice["lungs"] * truth / (truth + wrong)) / 2)


def test_a_training_tells_loss_scores_and_time_as_it_goes(data, tmp_path, capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr("Med3DCore.training.learning.curve.draw_curve", lambda folder, runs: drawn.append(list(runs)))
    recipe = write_recipe(tmp_path, steps=4, validate_every=2)
    arguments = [word for word in command(data, recipe, tmp_path / "run") if word != "--quiet"]
    assert main([*arguments, "--stage", "only"]) == 0
    shown = capsys.readouterr()
    assert re.search(r"train only, step 2, loss \d+\.\d+, liver \d\.\d+ \(n = 1\).*, \d+ s", shown.err)
    assert "only: from random weights" in shown.out and len(drawn) == 3  # two validations and the end
    assert main([*arguments, "--stage", "only"]) == 0
    assert "only: goes on where it was stopped; it started from random weights" in capsys.readouterr().out


def test_med3d_train_makes_a_model_that_med3d_segment_uses(data, tmp_path, capsys):
    recipe = write_recipe(tmp_path, steps=50, learning_rate=0.01, validate_every=50, ema=0.9)
    assert main(["train", str(recipe), str(data), "-o", str(tmp_path / "run"), "--device", "cpu", "--quiet"]) == 0
    path = tmp_path / "run" / "boxes-0.0.1.med3d.zip"
    package = load_package(path)
    package.verify()
    assert package.metrics["liver"]["case 3"]["dice"] > 0.4
    assert set(package.provenance["training_cases"]) == {"case 1", "case 2"}  # which may be names of people
    assert "| case 3 | " in package.card and "CC0" in package.card
    if os.name == "posix":
        assert {each.stat().st_mode & 0o777 for each in (path.parent, path.parent / "only")} == {0o700}
    assert not list(path.parent.rglob(".*"))
    again = ["train", str(recipe), str(data), "-o", str(path.parent), "--device", "cpu", "--quiet", "--name-cases"]
    assert main(again) == 0 and set(load_package(path).provenance["training_cases"]) == {"a", "b"}
    out = tmp_path / "c.nii.gz"
    command = [
        "segment",
        str(tmp_path / "c_ct.nii.gz"),
        "--organ",
        "lungs",
        "-o",
        str(out),
        "--model",
        str(path),
        "--quiet",
    ]
    capsys.readouterr()
    assert main([*command, "--device", "cpu", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == "boxes-0.0.1" and [organ["name"] for organ in report["labels"]] == ["lungs"]
    found, truth = read_label_map(out).array == 1, read_label_map(tmp_path / "c_seg.nii.gz").array == 2
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.3


# -- before the first step ---------------------------------------------------------------------------------------------


def test_labels_that_are_not_built_in_and_held_out_cases_without_them_make_a_model(tmp_path, capsys):
    entries = [write_case(tmp_path, name, seed, split="validation") for seed, name in enumerate("abcd")]
    for entry in entries:
        entry |= {"values": {"Tumour 1": 1, "heart": 2}, "annotated": ["Tumour 1", "heart"]}
    entries[0]["split"] = "training"
    entries[2] |= {"label": None, "values": {}, "annotated": [], "absent": ["Tumour 1"]}
    entries[3] |= {"values": {"Tumour 1": [1, 2]}}  # says that hearts were annotated, but not how

    def rename(values):
        values["model"]["labels"] = values["stages"][0]["labels"] = ["Tumour 1", "heart"]

    recipe = changed(write_recipe(tmp_path, steps=1, patch=[16, 16, 16]), rename)
    assert main(command(write_data(tmp_path, entries), recipe, tmp_path / "run")) == 0
    shown = capsys.readouterr()
    package = load_package(tmp_path / "run" / "boxes-0.0.1.med3d.zip")
    assert package.label_names == ("Tumour 1", "heart") and package.labels[0].title == "Tumour 1"
    assert {label: set(cases) for label, cases in package.metrics.items()} == {
        "Tumour 1": {"case 2", "case 3", "case 4"},
        "heart": {"case 2"},
    }
    found = package.metrics["Tumour 1"]["case 3"]  # where there is none
    assert found["dice"] is None and found["reference_volume_ml"] == 0
    assert f"Found where there is none: {found['volume_ml']:.1f} mL in case 3." in package.card
    assert "| case 3 |" not in package.card and "n = 2." in package.card
    assert re.search(r"Tumour 1 where there is none \d+\.\d mL \(n = 1\)", shown.out)
    assert (tmp_path / "run" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_spacing_can_follow_from_the_training_cases(data, tmp_path):
    wide = tmp_path / "b_ct.nii.gz"
    image = read_volume(wide)
    geometry = replace(image.geometry, spacing=(6.0, 4.0, 5.0))
    for path in (wide, tmp_path / "b_seg.nii.gz"):
        write_volume(replace(read_volume(path), geometry=geometry), path)
    rule = changed(
        write_recipe(tmp_path, steps=1, patch=[16, 16, 16]),
        lambda v: v["stages"][0]["preprocessing"].update(spacing="average"),
    )
    assert main(command(data, rule, tmp_path / "run")) == 0
    (stage,) = load_package(tmp_path / "run" / "boxes-0.0.1.med3d.zip").stages
    spacings = np.array([read_volume(tmp_path / f"{name}_ct.nii.gz").geometry.spacing for name in "ab"])
    assert stage.preprocessing["spacing"] == spacings.mean(axis=0).tolist()


def test_finishing_waits_for_every_stage(data, tmp_path, capsys, monkeypatch):
    recipe = changed(write_recipe(tmp_path, patch=[16, 16, 16]), second_stage)
    begun = tmp_path / "run" / "only" / "log.jsonl"
    monkeypatch.setattr("Med3DCore.cli.training.stopped_gently", lambda: nullcontext(begun.is_file))
    assert main(command(data, recipe, tmp_path / "run")) == 130
    assert capsys.readouterr().err.endswith("to go on.\n") and begun.with_name("checkpoint.pt").is_file()
    assert main(command(data, recipe, tmp_path / "run", "--finish")) == 2
    assert "The stage 'fine' was not begun" in capsys.readouterr().err


def test_tensorboard_shows_losses_and_scores_and_of_steps_done_again_the_last(data, tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe, board = write_recipe(tmp_path, steps=2, patch=[16, 16, 16]), tmp_path / "board"
    assert main([*command(data, recipe, tmp_path / "run"), "--tensorboard", str(board)]) == 0
    seen = EventAccumulator(str(board / "only")).Reload()
    assert set(seen.Tags()["scalars"]) == {"loss", "score/liver", "score/lungs"}
    log = [entry for entry in read_log(tmp_path / "run" / "only" / "log.jsonl") if "loss" in entry]
    assert [(event.step, event.value) for event in seen.Scalars("loss")] == [
        (entry["step"], pytest.approx(entry["loss"], abs=1e-4)) for entry in log
    ]
    again = TensorBoardLog(board)  # as if step 2 was done again
    again("train only", 2, 7.0, None, {"liver": {"a": 1.0, "b": 2.0}})
    again.close()
    seen = EventAccumulator(str(board / "only")).Reload()
    assert [(event.step, event.value) for event in seen.Scalars("loss")][1:] == [(2, 7.0)]
    assert seen.Scalars("false positive mL/liver")[0].value == 1.5


def test_without_tensorboard_the_option_says_what_to_install(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    run = command(data, write_recipe(tmp_path), tmp_path / "run")
    assert main([*run, "--tensorboard", str(tmp_path / "board")]) == 2
    assert "pip install tensorboard" in capsys.readouterr().err and not (tmp_path / "board").exists()
