"""Trainings of a comparison: what is drawn for each, stopping and going on, what is refused, and the command."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from training_boxes import CPU, write_boxes, write_case, write_data, write_recipe

from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled, DataError, ModelError, SettingError
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import save_package
from Med3DCore.networks.resnet import ResNetEncoder
from Med3DCore.progress import Progress
from Med3DCore.training.cases.description import read_cases
from Med3DCore.training.comparison.init import Init
from Med3DCore.training.comparison.leaks import find_leaks
from Med3DCore.training.comparison.plan import Plan, choose_patients
from Med3DCore.training.comparison.run import find_starts, run_all
from Med3DCore.training.learning.recipe import read_recipe
from Med3DCore.training.segmentation.trainer import SegmentationTask

SMALL = {"patch": [16, 16, 16]}
SCRATCH = Init("scratch", "scratch")


@pytest.fixture
def data(tmp_path):
    return write_boxes(tmp_path)


@pytest.fixture
def stage(tmp_path):
    return read_recipe(write_recipe(tmp_path, **SMALL, steps=4)).stages[0]


@pytest.fixture
def drawn(monkeypatch):
    """Numbers of the batches that trainings draw."""
    numbers, draw = [], SegmentationTask.draw
    monkeypatch.setattr(SegmentationTask, "draw", lambda task, number: numbers.append(number) or draw(task, number))
    return numbers


def save_encoder(folder, seed, width=8, **provenance):
    """An encoder for the recipe of boxes, with random weights of a seed."""
    torch.manual_seed(seed)
    arguments = {"depth": 10, "width": width, "output_stride": 32, "stem_stride": 1}
    about = {"title": "E", "description": "An encoder.", "modality": "CT", "licence": "CC0"}
    about |= {"encoder": {"name": "resnet", **arguments}, "provenance": provenance}
    package = ModelPackage(name="enc", version=f"{seed}.0.0", **about)
    return str(save_package(package, {"encoder": ResNetEncoder(**arguments).state_dict()}, folder, half=False))


def compare(plan, stage, data, folder, progress=None):
    return run_all(plan, stage, find_starts(plan, stage), read_cases(data), folder, CPU, progress)


def test_parts_of_the_patients_are_nested_whole_and_follow_the_seed(tmp_path):
    entries = [write_case(tmp_path, f"{p}{scan}", 1, patient=p) for p in "uvwxy" for scan in (1, 2)]
    cases = read_cases(write_data(tmp_path, [*entries, write_case(tmp_path, "z", 1, split="validation")]))
    parts = choose_patients(cases, ["liver"], (0.2, 0.6, 1.0), seed=1)
    assert [len(part) for part in parts] == [1, 3, 5]
    assert parts[0] < parts[1] < parts[2] == set("uvwxy")
    assert parts == choose_patients(cases, ["liver"], (0.2, 0.6, 1.0), seed=1)
    assert len({frozenset(choose_patients(cases, ["liver"], (0.2,), seed)[0]) for seed in range(20)}) > 1
    with pytest.raises(SettingError, match="20 % and 25 % of the 5 training patients"):
        choose_patients(cases, ["liver"], (0.2, 0.25, 1.0), seed=1)


def test_the_first_patients_know_all_labels_where_labels_are_partial(tmp_path):
    annotated = [("liver",), ("liver",), ("liver",), ("lungs",)]
    cases = read_cases(write_data(tmp_path, [write_case(tmp_path, f"c{i}", i, a) for i, a in enumerate(annotated)]))
    for seed in range(6):
        assert "c3" in choose_patients(cases, ["liver", "lungs"], (0.5, 1.0), seed)[0]


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("seed 1 is given twice", {"seeds": (1, 1)}),
        ("start scratch is given twice", {"inits": (SCRATCH, SCRATCH)}),
        ("at least one learning rate", {"rates": ()}),
        ("part of the cases is 1.5", {"shares": (1.5,)}),
        ("threshold is 0", {"threshold": 0.0}),
        ("0 minutes", {"minutes": 0.0}),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(word, changes):
    with pytest.raises(SettingError, match=word):
        Plan(**{"inits": (SCRATCH,), "rates": (0.1,), **changes})


def test_trainings_of_no_step_are_refused(stage):
    with pytest.raises(SettingError, match="no step"):
        Plan((SCRATCH,), (0.1,)).settings(replace(stage.training, steps=0), 0.1)


def test_names_of_starts_are_names_of_folders():
    assert Init.parse("a/enc-1.0.0.med3d.zip").name == "enc-1.0.0"
    with pytest.raises(SettingError, match="cannot be the name of a start"):
        Init.parse("a/enc.zip=../up")


def test_a_comparison_goes_on_after_a_kill_as_if_nothing_had_happened(data, stage, tmp_path, drawn):
    class Killed(BaseException):
        """Nobody can save anything any more."""

    def kill(name, step, loss, scores, wrong):
        if name.startswith("1 of 2") and step == 3:
            raise Killed

    plan = Plan((SCRATCH, Init("enc", save_encoder(tmp_path, 1))), (0.001,), seeds=(7,))
    whole = compare(plan, stage, data, tmp_path / "whole")
    with pytest.raises(Killed):
        compare(plan, stage, data, tmp_path / "killed", Progress(on_metric=kill))
    with pytest.raises(Cancelled):
        compare(plan, stage, data, tmp_path / "killed", Progress(is_cancelled=lambda: len(drawn) >= 8 + 3 + 4))
    again = compare(plan, stage, data, tmp_path / "killed")
    assert [(o.run, o.curve, o.scores) for o in again] == [(o.run, o.curve, o.scores) for o in whole]
    assert [step for step, _ in whole[0].curve] == [2, 4] and whole[0].curve != whole[1].curve
    drawn.clear()
    assert compare(plan, stage, data, tmp_path / "killed") == again and drawn == []


def test_fewer_patients_are_tried_at_the_rate_that_is_best_with_all(data, stage, tmp_path):
    plan = Plan((SCRATCH, Init("enc", save_encoder(tmp_path, 1))), (0.0001, 0.02), seeds=(7,), shares=(0.5,))
    outcomes = compare(plan, stage, data, tmp_path / "r")
    scores = {(o.run.init, o.run.rate): o.score for o in outcomes if o.run.share == 1}
    best = {name: max(plan.rates, key=lambda rate: scores[name, rate]) for name in ("scratch", "enc")}
    assert len(scores) == 4 and len(outcomes) == plan.count == 6
    assert {o.run.init: o.run.rate for o in outcomes if o.run.share == 0.5} == best
    folders = sorted(path.name for path in tmp_path.glob("r/*/*cases-50*"))
    assert folders == sorted(f"rate-{rate:g}-cases-50-seed-7" for rate in best.values())


def test_starts_of_one_seed_share_decoder_and_patches(data, stage, tmp_path, monkeypatch):
    built, batches, build, draw = [], [], SegmentationTask.build, SegmentationTask.draw

    def remember(task):
        network = build(task)
        built.append({name: value.clone() for name, value in network.state_dict().items()})
        return network

    monkeypatch.setattr(SegmentationTask, "build", remember)
    monkeypatch.setattr(SegmentationTask, "draw", lambda *args: batches.append(draw(*args)) or batches[-1])
    compare(Plan((SCRATCH, Init("enc", save_encoder(tmp_path, 1))), (0.001,), seeds=(7,)), stage, data, tmp_path / "r")
    scratch, enc = built
    assert all(torch.equal(scratch[name], enc[name]) for name in scratch if name.startswith("decoder."))
    assert not torch.equal(scratch["encoder.conv1.weight"], enc["encoder.conv1.weight"])
    assert len(batches) == 8 and all(torch.equal(batches[i][0], batches[i + 4][0]) for i in range(4))


def test_frozen_batch_norm_is_that_of_the_pretrained_encoder_alone(data, tmp_path):
    stage = read_recipe(write_recipe(tmp_path, **SMALL, steps=2, freeze_batch_norm=True, ema=0)).stages[0]
    plan = Plan((SCRATCH, Init("enc", save_encoder(tmp_path, 1))), (0.01,), seeds=(7,))
    starts = find_starts(plan, stage)
    compare(plan, stage, data, tmp_path / "run")
    path = tmp_path / "run/{}/rate-0.01-cases-100-seed-7/checkpoint.pt"
    scratch, enc = (torch.load(str(path).format(name), weights_only=True)["network"] for name in ("scratch", "enc"))
    changed = {name for name, value in starts["enc"].weights.items() if not torch.equal(enc[name], value)}
    assert "encoder.conv1.weight" in changed and not any("bn" in name for name in changed)
    assert scratch["encoder.bn1.running_mean"].any()
    learned = [name for name in enc if name.startswith("decoder.") and name.endswith("running_mean")]
    assert learned and all(enc[name].any() for name in learned)


@pytest.mark.parametrize("what", ["encoder", "minutes", "steps"])
def test_what_was_begun_with_another_setting_is_not_gone_on_with(data, tmp_path, what):
    stage = read_recipe(write_recipe(tmp_path, steps=1)).stages[0]
    plan = Plan((Init("enc", save_encoder(tmp_path, 1)),), (0.001,), seeds=(1,))
    compare(plan, stage, data, tmp_path / "run")
    if what == "encoder":
        plan = Plan((Init("enc", save_encoder(tmp_path, 2)),), (0.001,), seeds=(1,))
    elif what == "minutes":
        plan = Plan(plan.inits, plan.rates, plan.seeds, minutes=5)
    else:
        stage = read_recipe(write_recipe(tmp_path, steps=2)).stages[0]
    with pytest.raises(DataError, match="holds a training with other settings"):
        compare(plan, stage, data, tmp_path / "run")


def test_a_training_whose_loss_is_no_number_does_not_end_the_others(data, stage, tmp_path, monkeypatch):
    loss = SegmentationTask.loss

    def sick(task, *args):
        return loss(task, *args) * (float("nan") if task.recipe.training.learning_rate > 0.1 else 1)

    monkeypatch.setattr(SegmentationTask, "loss", sick)
    outcomes = compare(Plan((SCRATCH,), (0.5, 0.001), seeds=(1,)), stage, data, tmp_path / "run")
    assert outcomes[0].score is None and "is not a number" in outcomes[0].broke
    assert outcomes[1].score is not None and outcomes[1].broke is None


def test_an_encoder_that_does_not_fit_is_refused_before_anything_is_trained(data, stage, tmp_path):
    with pytest.raises(ModelError, match="is not the one of stage 'only'"):
        find_starts(Plan((Init("wide", save_encoder(tmp_path, 1, width=4)),), (0.1,)), stage)


def test_a_start_that_has_seen_the_held_out_cases_is_told(data, tmp_path):
    hashes = [hashlib.sha256((tmp_path / f"{name}_ct.nii.gz").read_bytes()).hexdigest() for name in "ac"]
    taught = {str(number): {"image_sha256": value} for number, value in enumerate(hashes)}
    seen = Init("seen", save_encoder(tmp_path, 1, training_cases=taught))
    unseen = Init("unseen", save_encoder(tmp_path, 2, training_cases={"0": taught["0"]}))
    sentences = find_leaks([SCRATCH, seen, unseen, Init("net", "net.pth")], read_cases(data))
    assert len(sentences) == 2 and sentences[0].startswith("seen has learned from 1 of the held-out cases (c)")
    assert "net does not say" in sentences[1]
    heir = Init("heir", save_encoder(tmp_path, 3, parent={"parent": {"training_cases": taught}}))
    assert find_leaks([heir], read_cases(data))[0].startswith("heir has learned from 1 of the held-out cases (c)")


def test_without_held_out_cases_there_is_nothing_to_compare(stage, tmp_path):
    data = write_data(tmp_path, [write_case(tmp_path, "a", 1)])
    with pytest.raises(DataError, match="No case is held out"):
        compare(Plan((SCRATCH,), (0.1,)), stage, data, tmp_path / "run")


def test_the_command_writes_table_picture_and_values(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MED3D_CACHE", str(tmp_path / "cache"))
    entries = [write_case(tmp_path, name, seed) for seed, name in enumerate("abc")]
    data = write_data(tmp_path, [*entries, write_case(tmp_path, "d", 9, split="validation")])
    encoder = save_encoder(tmp_path, 1)
    command = [
        "compare",
        write_recipe(tmp_path, **SMALL, validate_every=0),
        data,
        "--init",
        "scratch",
        "--init",
        f"{encoder}=E",
    ]
    command += ["--seeds", 1, 2, "--cases", 0.34, "--steps", 2, "--device", "cpu", "-o", tmp_path / "out"]
    assert main(list(map(str, command))) == 0
    out, err = capsys.readouterr()
    assert "E: the encoder enc-1.0.0" in out and "1 patient (34 %)" in out and "8 of 8: E" in err
    values = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert len(values["runs"]) == 8 and [len(run["curve"]) for run in values["runs"]] == [2] * 8
    assert {run["patients"] for run in values["runs"]} == {1, 3} and set(values["saving"]) == {"scratch", "E"}
    assert all(sentence in (tmp_path / "out" / "compare.md").read_text() for sentence in values["findings"])
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_of_a_recipe_with_several_stages_one_must_be_named(data, tmp_path, capsys):
    recipe = json.loads(write_recipe(tmp_path).read_text())
    recipe["stages"].append({**recipe["stages"][0], "name": "other"})
    (tmp_path / "two.json").write_text(json.dumps(recipe))
    assert main(["compare", str(tmp_path / "two.json"), str(data), "-o", str(tmp_path / "out")]) == 2
    assert "stages only, other; say which to compare with --stage" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
