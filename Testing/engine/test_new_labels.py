"""An imported model learns labels that it does not have, and keeps those that nobody drew."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from monai_models import write_model
from nnunet_folders import REGIONS
from test_fine_tune_imported import CPU, imported
from training_boxes import VALUES, boxes, save_parent

from Med3DCore.errors import DataError, SettingError
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.io.label_names import label_for
from Med3DCore.models.monai.importing import import_monai
from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.progress import Progress
from Med3DCore.training.fine_tuning.adapt import tuned_stages
from Med3DCore.training.fine_tuning.fine_tune import fine_tune
from Med3DCore.training.fine_tuning.imported import ImportedTask, prepare_imported
from Med3DCore.training.fine_tuning.keeping import keeping_loss
from Med3DCore.training.fine_tuning.new_labels import with_new_labels
from Med3DCore.training.fine_tuning.run_folder import TuneSettings
from Med3DCore.training.learning.initialization import network_of
from Med3DCore.training.learning.loop import train


@pytest.fixture(autouse=True)
def own_models(tmp_path, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    torch.set_num_threads(1)


def settings_of(steps):
    training = {"steps": steps, "batch": 2, "learning_rate": 5e-3, "patch": [16, 16, 24]}
    return TuneSettings("Mine", minutes=1e6, device="cpu", training=training)


def knowing_the_liver(folder):
    """A model of nnU-Net that finds the bright box, not its random weights' shapes."""
    parent, cases = imported(folder), [replace(case, split="training") for case in boxes(folder, annotated=("liver",))]
    (tuned,) = tuned_stages(parent, cases, settings_of(80))
    stage, weights = tuned.recipe.stage, tuned.initial
    prepared = prepare_imported(cases, stage, ["liver"], Progress())
    task = ImportedTask(tuned.recipe, prepared, ["liver"], 0, weights, (stage, weights))
    learned = train(task, tuned.recipe.training, folder / "before", 0, CPU)
    return load_package(save_package(parent, {stage.name: learned.weights}, folder, half=False))


def dice(found, drawn):
    return 2 * np.count_nonzero(found & drawn) / (np.count_nonzero(found) + np.count_nonzero(drawn))


def test_a_new_label_is_learned_and_an_old_one_that_nobody_drew_stays(tmp_path):
    parent = knowing_the_liver(tmp_path)
    tuned = fine_tune(parent, boxes(tmp_path, annotated=("lungs",)), tmp_path / "run", settings_of(100))
    package = load_package(tuned.package)
    package.verify()
    assert package.label_names == (*parent.label_names, "lungs") and tuned.way == 1.0
    assert set(tuned.after) == {"lungs"} and "lungs" not in tuned.before and "liver" in tuned.kept
    (case,) = tuned.after["lungs"]
    drawn = next(each for each in boxes(tmp_path) if each.name == case)
    scan, truth = read_volume(drawn.image), read_label_map(drawn.label).array
    before, after = (Pipeline(each, CPU).segment(scan, each.label_names) for each in (parent, package))
    assert dice(after.mask("lungs"), truth == VALUES["lungs"]) > 0.9
    then, now = (dice(each.mask("liver"), truth == VALUES["liver"]) for each in (before, after))
    assert then > 0.6 and now > then - 0.1
    outside = truth != VALUES["lungs"]
    assert np.mean(before.array[outside] == after.array[outside]) > 0.9


def test_a_model_of_monai_learns_one_too(tmp_path):
    package, weights = import_monai(write_model(tmp_path / "tiny"))
    parent = load_package(save_package(package, weights, tmp_path, half=False))
    tuned = fine_tune(parent, boxes(tmp_path, annotated=("lungs",)), tmp_path / "run", settings_of(3))
    package = load_package(tuned.package)
    assert package.label_names == ("left_kidney", "liver", "something", "lungs") and tuned.steps == 3
    assert package.read_weights("monai")["decoder.last.weight"].shape[0] == 5


@pytest.mark.parametrize("known", [imported, lambda folder: save_parent(folder, ("liver",))])
def test_a_new_label_that_no_case_to_learn_from_shows_is_refused_at_once(tmp_path, known):
    parent, (held_out, *others) = known(tmp_path), boxes(tmp_path, annotated=("liver",))
    held_out = replace(held_out, annotated=("liver", "lungs"), split="validation")
    empty = replace(others[0], annotated=("liver", "lungs"), values={"liver": [1, 2], "lungs": 7})
    abscess = replace(label_for("lungs", 0), title="Abscess")
    for cases in ([held_out, *others], [empty, others[1]]):
        with pytest.raises(DataError, match=r"'Abscess' is, which is new .* one case that is not held out"):
            fine_tune(parent, cases, tmp_path / "run", settings_of(1), labels=[abscess])
        assert not (tmp_path / "run" / "tuning.json").exists()


@pytest.mark.parametrize("regions", [False, True])
def test_new_classes_begin_as_a_small_part_of_the_background(tmp_path, regions):
    parent = imported(tmp_path, folds=2, **({"labels": REGIONS} if regions else {}))
    (stage,), new = parent.stages, ("lungs", "heart")
    weights = parent.read_weights(stage.name)
    wider, extended = with_new_labels(stage, weights, new, seed=1)
    again = with_new_labels(stage, weights, new, seed=1)[1]
    assert all(torch.equal(value, again[key]) for key, value in extended.items())
    assert wider.labels == (*stage.labels, *new)
    image, old = torch.randn(1, 1, 16, 16, 24), len(stage.labels)
    with torch.inference_mode():
        before, after = (network_of(*pair).eval()(image) for pair in ((stage, weights), (wider, extended)))
    assert torch.allclose(after[:, :old], before, atol=1e-5)
    background = torch.zeros_like(before[:, :1]) if regions else before[:, :1]
    assert (after[:, old:] - background + 3).abs().mean() < 0.3


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_loss_that_keeps(activation):
    """Of five classes and a new one, classes 2 and 5 (the new one) are taught."""
    torch.manual_seed(0)
    parent = torch.randn(2, 5, 3, 4, 6)
    logits = torch.cat([parent, torch.randn(2, 1, 3, 4, 6)], dim=1)
    target, taught = torch.zeros(2, 2, 3, 4, 6, dtype=torch.uint8), [2, 5]
    target[0, 0, 0] = 1

    def loss(logits):
        return keeping_loss(logits, parent, target, taught, activation)

    changed = logits.clone()
    changed[:, 1] += 1
    assert loss(changed) > 0.01
    free = logits.clone().requires_grad_()
    loss(free).backward()
    if activation == "sigmoid":
        assert loss(logits).abs() < 1e-6 and not free.grad[:, taught].any()
        return
    # What is taught may take from the background as it likes, and where it is drawn all may change.
    merged = parent[:, [0, 2]].logsumexp(dim=1)
    same = logits.clone()
    same[:, 0], same[:, 2], same[:, 5] = (merged + torch.log(torch.tensor(part)) for part in (0.2, 0.7, 0.1))
    assert loss(same).abs() < 1e-6 < loss(logits)
    assert not free.grad[0, :, 0].any() and free.grad[0, :, 1].any()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_how_far_another_answer_is_from_the_parents(activation):
    """Of two classes the second was 0.3 and is 0.6; a new one, which is taught, took a part of the background."""
    if activation == "softmax":
        parent, now = torch.tensor([0.7, 0.3]).log(), torch.tensor([0.1, 0.6, 0.3]).log()
    else:
        parent, now = torch.tensor([0.3, 0.3]).logit(), torch.tensor([0.6, 0.6, 0.9]).logit()
    parent, now = (each.view(1, -1, 1, 1, 1).expand(1, -1, 2, 3, 4) for each in (parent, now))
    found = keeping_loss(now, parent, torch.zeros(1, 1, 2, 3, 4, dtype=torch.uint8), [2], activation)
    assert found.item() == pytest.approx(0.3 * np.log(0.3 / 0.6) + 0.7 * np.log(0.7 / 0.4), abs=1e-6)


def test_a_label_map_has_255_values(tmp_path):
    (stage,) = imported(tmp_path).stages
    with pytest.raises(SettingError, match="has 4 labels already; a label map holds 255"):
        with_new_labels(stage, {}, [f"new {i}" for i in range(253)], 0)
