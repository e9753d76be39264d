"""Benchmark tasks: their files, where data sets lie, who is held out, and how segmentations are judged."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from Med3DCore.benchmarks.catalogue import FOLDER, find_task, known_tasks
from Med3DCore.benchmarks.check import check_data
from Med3DCore.benchmarks.data import read_divided
from Med3DCore.benchmarks.held_out import divide
from Med3DCore.benchmarks.networks import task_recipe
from Med3DCore.benchmarks.patterns import find_files
from Med3DCore.benchmarks.segmentation import judge
from Med3DCore.benchmarks.task import SEGMENTATION, Split, read_task
from Med3DCore.errors import DataError, OutputError, SettingError
from Med3DCore.evaluation.bootstrap import mean_with_interval
from Med3DCore.geometry import Geometry
from Med3DCore.io.label_names import label_for
from Med3DCore.phantom.layouts import abdomens
from Med3DCore.phantom.layouts.make import LAYOUTS, write_layout
from Med3DCore.training.cases.case import Case
from Med3DCore.training.segmentation.checks import check_stage
from Med3DCore.volume import LabelMap

TASKS = {task.name: task for task in known_tasks()}
SEGMENTING = [task for task in TASKS.values() if task.kind == SEGMENTATION]
# Files that people who have the real sets find there, with their patients' names.
REAL = {
    "flare22": ("FLARE22Train/images/FLARE22_Tr_0001_0000.nii.gz", "FLARE22_Tr_0001"),
    "liver_cysts": ("imagesTr/cyst_001.nii.gz", "cyst_001"),
    "brats2019": ("MICCAI_BraTS_2019_Data_Training/HGG/BraTS19_CBICA_AAB_1/BraTS19_CBICA_AAB_1_flair.nii.gz", None),
    "brain_metastases": (
        "ASNR-MICCAI-BraTS2023-MET-Challenge-TrainingData/BraTS-MET-00002-000/BraTS-MET-00002-000-t1c.nii.gz",
        "BraTS-MET-00002",
    ),
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task_can_be_trained_and_tried(task):
    for stage in task_recipe(task, steps=10).stages:
        check_stage(stage)
        assert stage.training.steps == 10
    assert task.phantom in LAYOUTS
    figures = {f"{measure} {name}" for measure in task.measures for name in task.judged}
    figures |= {f"mean {measure}" for measure in task.measures}
    if task.kind == SEGMENTATION:
        assert {each.figure for each in task.published} <= figures


@pytest.mark.parametrize("name", REAL)
def test_files_are_found_where_the_public_set_has_them(name, tmp_path):
    image, patient = REAL[name]
    task = TASKS[name]
    others = list(task.data["images"].values())
    file = tmp_path / image
    file.parent.mkdir(parents=True)
    file.touch()
    ((found, fields),) = find_files(tmp_path, others[0])
    assert found == file
    for pattern in (*others[1:], task.data["label"]):  # the other files of the case
        for field, text in fields.items():
            pattern = pattern.replace(f"{{{field}}}", text) if field else pattern
        made = type(tmp_path)(fields[""]) / pattern
        made.parent.mkdir(parents=True, exist_ok=True)
        made.touch()
    from Med3DCore.benchmarks.labelled import labelled_cases

    (case,) = labelled_cases(task, tmp_path)
    assert len(case.channels) == len(others) - 1
    assert patient is None or case.patient == patient


@pytest.fixture
def coarse(monkeypatch):
    """Bellies of 9 mm, which are made in a moment."""
    real = abdomens._belly
    monkeypatch.setattr(
        abdomens, "_belly", lambda patient, rng, phase, _, *rest: real(patient, rng, phase, (9.0,) * 3, *rest)
    )


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("task", SEGMENTING, ids=lambda task: task.name)
def test_phantoms_are_as_the_task_says(task, tmp_path):
    write_layout(task.phantom, tmp_path, 3)
    lines, wrong = check_data(task, tmp_path)
    assert wrong == []
    assert lines[0].startswith("1 cases of 1 patients to learn from, 1 cases of 1 patients")
    shown = dict(line.split(": in ") for line in lines[1:])
    needed = [name for name in task.labels if name not in ("enhancing", "right_adrenal_gland", "left_adrenal_gland")]
    assert all(shown[name] == "3 of 3 cases" for name in needed)
    with pytest.raises(OutputError, match="not empty"):
        write_layout(task.phantom, tmp_path, 3)


def changed(tmp_path, **changes):
    values = json.loads((FOLDER / "liver_cysts.json").read_text(encoding="utf-8"))
    file = tmp_path / "own.json"
    file.write_text(json.dumps({key: value for key, value in {**values, **changes}.items() if value is not None}))
    return file


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lables": {}}, "unknown key 'lables'"),
        ({"labels": None}, "lacks 'labels'"),
        ({"labels": {"cyst": "one"}}, "'cyst' has the value 'one'"),
        ({"labels": {}}, "labels is empty"),
        ({"labels": {"cyst": float("inf")}}, "'cyst' has the value inf"),
        ({"split": {"seed": 1.5}}, "'seed' of split is 1.5"),
        ({"kind": "drawing"}, "'kind' names 'drawing'; known are segmentation"),
        ({"title": 3}, "'title' is 3; it must be a text"),
        ({"split": {"test": 1.5}}, "share of the patients"),
        ({"measures": ["beauty"]}, "'beauty'; known are dice"),
        ({"regions": {"all": ["cyst", "stone"]}}, "'stone'; known are cyst"),
        ({"nsd_tolerance_mm": {"cyst": -1}}, "number of mm"),
        ({"published": [{"figure": "dice cyst", "value": 0.5}]}, "lacks 'by'"),
        ({"source": {"data": "x", "page": "y"}}, "lacks 'licence'"),
    ],
)
def test_a_wrong_task_gets_a_sentence(changes, words, tmp_path):
    with pytest.raises(SettingError) as told:
        read_task(changed(tmp_path, **changes))
    assert words in str(told.value)
    assert "own.json" in str(told.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"images": {"CT": "images/{case}.nii.gz"}}, "lacks 'label'"),
        ({"images": {}, "label": "{case}.nii"}, "names no image"),
        ({"images": {"CT": "{case}.nii"}, "label": "{patient}_seg.nii"}, "{patient}, which the first"),
        ({"images": {"CT": "{case}.nii"}, "label": "{case}_seg.nii"}, "holds no file such as {case}.nii"),
    ],
)
def test_wrong_patterns_get_a_sentence(data, words, tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises((SettingError, DataError)) as told:
        read_divided(read_task(changed(tmp_path, data=data)), tmp_path / "data")
    assert words in str(told.value)


def test_a_missing_task_and_wrong_stages_get_a_sentence(tmp_path):
    with pytest.raises(SettingError, match="no task 'flare23'; known are brain_metastases"):
        find_task("flare23")
    with pytest.raises(SettingError, match="cannot be read"):
        find_task(str(tmp_path / "none.json"))
    stages = json.loads((FOLDER / "liver_cysts.json").read_text(encoding="utf-8"))["stages"]
    stages[0]["training"]["stepps"] = 3
    with pytest.raises(SettingError, match="stepps"):
        task_recipe(read_task(changed(tmp_path, stages=stages)))


def cases_of(patients):
    return [Case(f"{patient}-{visit}", FOLDER, None, {}, (), patient) for patient in patients for visit in range(2)]


def test_no_patient_is_in_two_parts_and_kinds_are_spread():
    patients = [f"p{number:02}" for number in range(20)]
    kinds = {patient: "rare" if number < 5 else "common" for number, patient in enumerate(patients)}
    divided = divide(cases_of(patients), Split(0.2, 0.25, 3), kinds)
    parts = [
        {case.patient for case in divided.test},
        {case.patient for case in divided.teaching if case.split == "validation"},
        {case.patient for case in divided.teaching if case.split == "training"},
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20
    assert [len(part) for part in parts[:2]] == [4, 4]
    assert all({kinds[patient] for patient in part} == {"rare", "common"} for part in parts)
    assert divide(cases_of(patients), Split(0.2, 0.25, 3), kinds) == divided
    own = divide(cases_of(patients), Split(), test={"p07", "elsewhere"})
    assert {case.patient for case in own.test} == {"p07"}
    with pytest.raises(DataError, match="at least 3"):
        divide(cases_of(["a", "b"]), Split())


# -- measures ----------------------------------------------------------------------------------------------------------


def blobs(seed, shape=(14, 16, 18)):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2)
    return np.digitize(noise, np.quantile(noise, [0.6, 0.8])).astype(np.uint8)


def nsd(one, other, spacing_zyx, tolerance):
    """Brute force: every surface voxel against every other."""
    sides = []
    for mask in (one, other):
        inner = ndimage.binary_erosion(mask, ndimage.generate_binary_structure(3, 2))
        sides.append(np.argwhere(mask & ~inner) * spacing_zyx)
    apart = cdist(*sides)
    near = np.concatenate([apart.min(axis=1), apart.min(axis=0)]) <= tolerance
    return near.mean()


def test_dice_and_nsd_of_flare_are_those_of_an_independent_implementation(tmp_path):
    grid = Geometry((18, 16, 14), (1.5, 1.0, 2.5))
    labels = {"liver": 7, "spleen": 9}
    task = read_task(changed(tmp_path, labels=labels, measures=["dice", "nsd"], nsd_tolerance_mm={"spleen": 3}))
    truth, found = blobs(1), blobs(1)
    found[2:9, 3:9, 4:12] = blobs(2)[2:9, 3:9, 4:12]
    stored = np.array([0, 7, 9], np.uint8)[truth]
    result = LabelMap(found, grid, "r", (label_for("liver", 0), label_for("spleen", 1)))
    reference = LabelMap(stored, grid, "t")
    for value, (name, tolerance) in enumerate({"liver": 2.0, "spleen": 3.0}.items(), start=1):
        measures = judge(task, name, result, reference).measures
        a, b = found == value, truth == value
        assert measures["dice"] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()), abs=1e-6)
        assert measures["nsd"] == pytest.approx(nsd(a, b, (2.5, 1.0, 1.5), tolerance), abs=1e-6)


def test_a_region_is_the_union_of_its_labels(tmp_path):
    grid = Geometry((18, 16, 14))
    labels, regions = {"core": 1, "rim": 4}, {"whole": ["core", "rim"]}
    task = read_task(changed(tmp_path, labels=labels, regions=regions))
    found, truth = blobs(3), blobs(4)
    result = LabelMap(found, grid, "r", (label_for("core", 0), label_for("rim", 1)))
    dice = judge(task, "whole", result, LabelMap(np.array([0, 1, 4], np.uint8)[truth], grid, "t")).measures["dice"]
    a, b = found > 0, truth > 0
    assert dice == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()), abs=1e-9)


def test_a_vessel_is_judged_between_the_ends_of_the_reference(tmp_path):
    task = read_task(changed(tmp_path, labels={"aorta": 1}, within_reference_slices=["aorta"]))
    truth, found = np.zeros((2, 12, 6, 6), np.uint8)
    truth[3:8, 2:4, 2:4] = found[1:11, 2:4, 2:4] = 1
    for order in ((0, 1, 2), (1, 2, 0)):  # slices lie along z of the patient, wherever the array has them
        direction = np.eye(3)[:, [2 - order[2 - axis] for axis in range(3)]]
        arrays = [array.transpose(order).copy() for array in (found, truth)]
        grid = Geometry(arrays[0].shape[::-1], direction=tuple(direction.ravel()))
        result = LabelMap(arrays[0], grid, "r", (label_for("aorta", 0),))
        assert judge(task, "aorta", result, LabelMap(arrays[1], grid, "t")).measures["dice"] == 1.0


def test_the_interval_draws_patients_and_not_cases():
    values, patients = [0.1, 0.1, 0.1, 0.9], ["a", "a", "a", "b"]
    estimate = mean_with_interval(values, patients)
    assert (estimate.value, estimate.n) == (pytest.approx(0.3), 4)
    assert (estimate.low, estimate.high) == (pytest.approx(0.1), pytest.approx(0.9))
    assert mean_with_interval([0.5, float("nan")], ["a", "b"]).n == 1
    assert mean_with_interval([float("inf")], ["a"]).value is None
    rng = np.random.default_rng(0)  # against the normal approximation
    many = rng.normal(0.6, 0.1, 400)
    wide = mean_with_interval(many.tolist(), [str(number) for number in range(400)])
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * many.std() / 20, rel=0.1)
