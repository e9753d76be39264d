"""Training: what is unknown teaches nothing, batches depend on seed and step alone, stopping loses nothing."""

import json

import numpy as np
import pytest
import torch

from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled, DataError, Med3DError, SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.inference.device import Device
from Med3DCore.io import read_label_map, write_volume
from Med3DCore.models.package import load_package
from Med3DCore.preprocessing import Preprocessing, Window
from Med3DCore.progress import Progress
from Med3DCore.training import trainer
from Med3DCore.training.augmentation import Augmentation
from Med3DCore.training.cases import UNKNOWN, prepare_case, read_cases
from Med3DCore.training.losses import partial_label_loss
from Med3DCore.training.recipe import read_recipe
from Med3DCore.training.sampling import PatchSampler
from Med3DCore.volume import Volume

CPU = Device("cpu", "CPU", torch.float32, "test")
SIZE, SPACING = (30, 28, 24), (4.0, 4.0, 4.0)


def write_case(folder, name, seed, annotated=("liver", "lungs"), unknown=False, **entry):
    """A body with a bright 'liver' box and a dark 'lungs' box; returns its entry of the data set description."""
    rng = np.random.default_rng(seed)
    hu = np.full(SIZE[::-1], 0, np.int16) + rng.normal(0, 8, SIZE[::-1]).astype(np.int16)
    label = np.zeros(SIZE[::-1], np.uint8)
    z, y, x = rng.integers(2, 6, 3)
    for value, place, level in (
        (1, np.s_[z : z + 8, y : y + 12, x : x + 10], 120),
        (2, np.s_[14:22, y : y + 14, 14:26], -70),
    ):
        hu[place] += level
        label[place] = value
    for value, organ in ((1, "liver"), (2, "lungs")):
        if organ not in annotated:
            label[label == value] = UNKNOWN if unknown else 0
    geometry = Geometry(SIZE, SPACING)
    write_volume(Volume(hu, geometry), folder / f"{name}_ct.nii.gz")
    write_volume(Volume(label, geometry), folder / f"{name}_seg.nii.gz")
    return {
        "name": name,
        "image": f"{name}_ct.nii.gz",
        "label": f"{name}_seg.nii.gz",
        "values": {"liver": 1, "lungs": 2},
        "annotated": list(annotated),
        "source": {"data": "boxes", "licence": "CC0", "labels": "exact"},
        **entry,
    }


def write_data(folder, entries):
    path = folder / "dataset.json"
    path.write_text(json.dumps({"cases": entries}))
    return path


@pytest.fixture
def data(tmp_path):
    entries = [
        write_case(tmp_path, "a", 1),
        write_case(tmp_path, "b", 2, ("liver",), unknown=True),
        write_case(tmp_path, "c", 3, split="validation"),
    ]
    return write_data(tmp_path, entries)


def write_recipe(folder, **training):
    settings = {"steps": 6, "patch": [24, 24, 24], "batch": 2, "validate_every": 2, "warmup": 1, **training}
    stage = {
        "name": "only",
        "network": {
            "encoder": {"name": "resnet", "depth": 10, "width": 8, "output_stride": 32, "stem_stride": 1},
            "decoder": {"name": "skip", "channels": [16, 16, 8, 8]},
            "out_channels": 2,
        },
        "preprocessing": {"spacing": [4.0, 4.0, 4.0], "intensity": {"name": "window", "low": -160, "high": 160}},
        "labels": ["liver", "lungs"],
        "activation": "sigmoid",
        "window": [32, 32, 32],
        "training": settings,
    }
    model = {
        "name": "boxes",
        "version": "0.0.1",
        "title": "Boxes",
        "description": "Boxes in boxes.",
        "modality": "CT",
        "labels": ["liver", "lungs"],
        "licence": "CC0",
    }
    path = folder / "recipe.json"
    path.write_text(json.dumps({"seed": 5, "model": model, "stages": [stage]}))
    return path


# -- cases -----------------------------------------------------------------------------------------------------------


def test_description_is_read(data):
    cases = read_cases(data)
    assert [case.name for case in cases] == ["a", "b", "c"]
    assert cases[1].annotated == ("liver",) and cases[2].split == "validation" and cases[0].patient == "a"


@pytest.mark.parametrize(
    "change,sentence",
    [
        ({"image": "gone.nii.gz"}, "'a': the file .*gone.nii.gz is missing"),
        ({"name": "b"}, "the case 'b' twice"),
        ({"split": "test"}, "'a': the split is 'test'"),
        ({"patient": "c"}, "Patient 'c' is in both splits"),
    ],
)
def test_bad_descriptions_name_the_case(data, change, sentence):
    entries = json.loads(data.read_text())["cases"]
    entries[0].update(change)
    data.write_text(json.dumps({"cases": entries}))
    with pytest.raises(DataError, match=sentence):
        read_cases(data)


def test_a_missing_or_broken_description(tmp_path):
    with pytest.raises(DataError, match=r"none.json cannot be read"):
        read_cases(tmp_path / "none.json")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match="not a data set description"):
        read_cases(tmp_path / "x.json")


def test_targets_say_inside_outside_and_unknown(data):
    preprocessing = Preprocessing(SPACING, Window(-160, 160))
    full, partial, _ = (prepare_case(case, preprocessing, ("liver", "lungs")) for case in read_cases(data))
    assert set(np.unique(full.target)) == {0, 1}
    liver, lungs = partial.target
    assert set(np.unique(liver)) == {0, 1}, "for an annotated label an unknown voxel is background"
    assert set(np.unique(lungs)) == {0, UNKNOWN}, "a label nobody annotated is never known to be there"
    assert (lungs == UNKNOWN).sum() == (full.target[1] == 1).sum(), "unknown where it may be, known not to be elsewhere"


def test_absent_labels_are_known_to_be_nowhere(tmp_path):
    entry = write_case(tmp_path, "a", 1, ("lungs",), unknown=True, absent=["liver"])
    (case,) = read_cases(write_data(tmp_path, [entry]))
    assert not prepare_case(case, Preprocessing(SPACING), ("liver",)).target.any()


def test_labels_must_match_image_and_description(tmp_path):
    entry = write_case(tmp_path, "a", 1)
    (case,) = read_cases(write_data(tmp_path, [entry]))
    label = Volume(np.full(SIZE[::-1], 7, np.uint8), Geometry(SIZE, SPACING))
    label.array[0, 0, 0] = 0
    write_volume(label, case.label)
    with pytest.raises(DataError, match=r"'a': the label has values \[7\]"):
        prepare_case(case, Preprocessing(SPACING), ("liver",))
    write_volume(Volume(label.array, Geometry(SIZE, SPACING, (40.0, 0.0, 0.0))), case.label)
    with pytest.raises(DataError, match="'a': image and label do not lie on the same grid"):
        prepare_case(case, Preprocessing(SPACING), ("liver",))


# -- loss ------------------------------------------------------------------------------------------------------------


def test_unknown_voxels_teach_nothing():
    logits = torch.randn(2, 2, 4, 4, 4, requires_grad=True)
    target = torch.randint(0, 2, (2, 2, 4, 4, 4), dtype=torch.uint8)
    target[:, 1, :2] = UNKNOWN
    partial_label_loss(logits, target).backward()
    assert torch.all(logits.grad[:, 1, :2] == 0) and torch.all(logits.grad[:, 0] != 0)


def test_the_loss_is_that_of_known_voxels_alone():
    logits = torch.randn(1, 1, 4, 4, 4)
    target = torch.randint(0, 2, (1, 1, 4, 4, 4), dtype=torch.uint8)
    half = target.clone()
    half[..., 2:] = UNKNOWN
    assert torch.isclose(partial_label_loss(logits, half), partial_label_loss(logits[..., :2], target[..., :2]))


def test_loss_of_perfect_wrong_and_wholly_unknown():
    target = torch.zeros(1, 1, 4, 4, 4, dtype=torch.uint8)
    target[..., :2] = 1
    sure = torch.where(target == 1, 20.0, -20.0)
    assert partial_label_loss(sure, target) < 1e-3 and partial_label_loss(-sure, target) > 15
    unknown = torch.full_like(target, UNKNOWN)
    logits = sure.requires_grad_()
    loss = partial_label_loss(logits, unknown)
    loss.backward()
    assert loss == 0 and not logits.grad.any()


# -- sampling --------------------------------------------------------------------------------------------------------


def sampler(cases, seed=0, augmentation=None, foreground=0.6):
    preprocessing = Preprocessing(SPACING, Window(-160, 160))
    prepared = [prepare_case(case, preprocessing, ("liver", "lungs")) for case in cases]
    return PatchSampler(
        prepared, preprocessing.intensity, (16, 16, 16), 4, foreground, augmentation or Augmentation(), seed
    )


def test_a_batch_depends_on_seed_and_step_alone(data):
    first, again, other = sampler(read_cases(data)), sampler(read_cases(data)), sampler(read_cases(data), seed=1)
    first.draw(0)
    image, target = first.draw(3)
    assert image.shape == (4, 1, 16, 16, 16) and image.dtype == torch.float32 and image.abs().max() <= 1
    assert target.shape == (4, 2, 16, 16, 16) and target.dtype == torch.uint8
    assert torch.equal(image, again.draw(3)[0]) and torch.equal(target, again.draw(3)[1])
    assert not torch.equal(image, other.draw(3)[0])


def test_image_and_target_move_together(data):
    # Without intensity changes the liver is bright: wherever the target says so, the image must agree.
    still = Augmentation(rotation=25, scale=1.3, stretch=1.2, bend=3, shift=0, contrast=1, noise=0, probability=1e-9)
    image, target = sampler([read_cases(data)[0]], augmentation=still).draw(0)
    liver, lungs = target[:, 0] == 1, target[:, 1] == 1
    assert liver.sum() > 200 and image[:, 0][liver].median() > 0.5
    assert lungs.sum() > 200 and image[:, 0][lungs].median() < -0.3


def test_a_scan_that_ends_in_the_patch_shows_air_and_no_organ(data):
    whole = sampler([read_cases(data)[0]], augmentation=Augmentation(noise=0)).draw(0)
    image, target = sampler([read_cases(data)[0]], augmentation=Augmentation(noise=0, cut=1.0)).draw(0)
    air = image[:, 0] == -1
    assert 0.1 < air.float().mean() < 0.6 and (whole[0][:, 0] == -1).float().mean() < air.float().mean()
    assert not target.permute(0, 2, 3, 4, 1)[air].any() and target.any()


def test_patients_are_drawn_equally_however_many_scans_they_have(tmp_path, monkeypatch):
    entries = [write_case(tmp_path, f"p{i}", i, patient="many") for i in range(6)]
    entries.append(write_case(tmp_path, "alone", 9, patient="one"))
    names = drawn_names(sampler(read_cases(write_data(tmp_path, entries))), monkeypatch)
    assert 30 <= names.count("alone") <= 70


def test_patches_come_from_patients_who_show_the_label(tmp_path, monkeypatch):
    # With one liver among nine patients without, a liver would otherwise be seen in a tenth of the patches.
    entries = [write_case(tmp_path, f"lungs{i}", i, ("lungs",), unknown=True) for i in range(9)]
    entries.append(write_case(tmp_path, "liver", 9, ("liver",), unknown=True))
    names = drawn_names(sampler(read_cases(write_data(tmp_path, entries))), monkeypatch)
    assert 30 <= names.count("liver") <= 60
    assert len(set(names)) == 10


def drawn_names(sampler, monkeypatch):
    """Names of the cases of 100 patches."""
    names = []
    original = PatchSampler._centre
    monkeypatch.setattr(
        PatchSampler,
        "_centre",
        lambda self, case, *rest: (names.append(case.case.name), original(self, case, *rest))[1],
    )
    for step in range(25):
        sampler.draw(step)
    return names


# -- trainer ---------------------------------------------------------------------------------------------------------


def train(data, recipe_path, folder, progress=None):
    recipe = read_recipe(recipe_path)
    return trainer.train_stage(recipe.stages[0], read_cases(data), folder, recipe.seed, CPU, progress)


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
    assert trained.validation["liver"]["c"] > 0.7 and trained.validation["lungs"]["c"] > 0.35
    losses = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in losses if "loss" in entry]
    assert len(losses) == 60 and np.mean(losses[-10:]) < 0.75 * np.mean(losses[:10])


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(data, tmp_path, monkeypatch):
    recipe = write_recipe(tmp_path)
    real = trainer.partial_label_loss
    calls = iter(range(100))
    monkeypatch.setattr(
        trainer, "partial_label_loss", lambda *a: real(*a) * (float("nan") if next(calls) == 4 else 1.0)
    )
    with pytest.raises(Med3DError, match="step 5: the loss is not a number"):
        train(data, recipe, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 4 and all(torch.isfinite(v).all() for v in state["network"].values())


def test_a_checkpoint_of_other_settings_is_not_taken(data, tmp_path):
    train(data, write_recipe(tmp_path), tmp_path / "run")
    with pytest.raises(DataError, match="training with other settings"):
        train(data, write_recipe(tmp_path, batch=1), tmp_path / "run")


def test_a_label_that_no_case_shows_is_refused_before_the_first_step(tmp_path):
    data = write_data(tmp_path, [write_case(tmp_path, "a", 1, ("liver",))])
    with pytest.raises(DataError, match="No training case shows where 'lungs' is"):
        train(data, write_recipe(tmp_path), tmp_path / "run")


@pytest.mark.parametrize("training,named", [({"stepz": 3}, "stepz"), ({"augmentation": {"rotate": 3}}, "rotate")])
def test_unknown_settings_are_named(tmp_path, training, named):
    with pytest.raises(SettingError, match=named):
        read_recipe(write_recipe(tmp_path, **training))


# -- the command -----------------------------------------------------------------------------------------------------


def test_med3d_train_makes_a_model_that_med3d_segment_uses(data, tmp_path, capsys):
    recipe = write_recipe(tmp_path, steps=50, learning_rate=0.01, validate_every=50, ema=0.9)
    assert main(["train", str(recipe), str(data), "-o", str(tmp_path / "run"), "--device", "cpu", "--quiet"]) == 0
    path = tmp_path / "run" / "boxes-0.0.1.med3d.zip"
    package = load_package(path)
    package.verify()
    assert package.metrics["liver"]["c"]["dice"] > 0.4
    assert set(package.provenance["training_cases"]) == {"a", "b"}
    assert "| c | " in package.card and "CC0" in package.card
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
