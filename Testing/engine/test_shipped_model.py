"""The model that ships, on real patients whom it never saw, and on a phantom where there are none."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from Med3DCore.evaluation import evaluate
from Med3DCore.inference.device import choose_device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.models import Catalogue
from Med3DCore.phantom import PhantomSettings, make_phantom, merge_lungs
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from liver_labels import HEART_LINES, heart

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"real CTs are not at {DATA}")

VALIDATION = [
    ("chaos_eval", "liver", 1, 0.91),
    ("lits_02", "liver", 1, 0.91),
    ("lits_04", "liver", 1, 0.91),
    ("lctsc_s1-104", "lungs", 2, 0.95),
    ("lctsc_s1-203", "lungs", 2, 0.95),
]


READERS = {"ct": read_volume, "seg": read_label_map}


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(Catalogue().default_for(["liver", "lungs"]), choose_device("cpu"))


def test_it_is_whole_small_and_honest_about_its_data(pipeline):
    package = pipeline.package
    package.verify()
    assert package.path.stat().st_size < 60e6
    provenance = package.provenance
    assert provenance["data_sets"] and all(source["licence"] for source in provenance["data_sets"])
    patients = {
        split: {c["patient"] for c in provenance[split].values()} for split in ("training_cases", "validation_cases")
    }
    assert not patients["training_cases"] & patients["validation_cases"]
    assert "Not a medical device" in package.card


@needs_data
@pytest.mark.parametrize("case,label,value,least", VALIDATION)
def test_organs_of_unseen_patients_are_found(pipeline, case, label, value, least):
    volume = read_volume(DATA / f"{case}_ct.nii.gz")
    result = pipeline.segment(volume, [label])
    truth = read_label_map(DATA / f"{case}_seg.nii.gz")
    reference = Volume((truth.array == value).astype(np.uint8), truth.geometry, case)
    measured = evaluate(result, reference, {label: 1}).labels[label].measures["dice"]
    recorded = pipeline.package.metrics[label][case]["dice"]
    assert measured >= least
    assert measured == pytest.approx(recorded, abs=0.01), "the card must say what the model does"


@needs_data
def test_the_scan_as_it_left_the_scanner_gets_the_same_liver(pipeline):
    result = pipeline.segment(read_volume(DATA / "native" / "chaos_eval_dicom"), ["liver"])
    truth = read_label_map(DATA / "native" / "chaos_eval_liver.nii.gz")
    assert evaluate(result, truth, {"liver": 1}).labels["liver"].measures["dice"] > 0.85


@needs_data
def test_one_slice_of_a_liver_is_enough(pipeline):
    volume, truth = (read(DATA / f"chaos_eval_{kind}.nii.gz") for kind, read in READERS.items())
    middle = (0, 0, 31), (*volume.geometry.size[:2], 32)
    one = Volume(volume.array[31:32], volume.geometry.crop(*middle), "one slice")
    reference = Volume((truth.array[31:32] == 1).astype(np.uint8), one.geometry)
    assert evaluate(pipeline.segment(one, ["liver"]), reference, {"liver": 1}).labels["liver"].measures["dice"] > 0.85


@needs_data
def test_lung_bases_that_the_scan_cuts_into_more_than_two_pieces_are_all_found(pipeline):
    volume, truth = (read(DATA / f"lctsc_s1-104_{kind}.nii.gz") for kind, read in READERS.items())
    slices = np.flatnonzero((truth.array == 2).any(axis=(1, 2)))
    end = int(slices[0]) + round(0.2 * len(slices))
    bases = Volume(volume.array[:end], volume.geometry.crop((0, 0, 0), (*volume.geometry.size[:2], end)), "bases")
    reference = Volume((truth.array[:end] == 2).astype(np.uint8), bases.geometry)
    assert evaluate(pipeline.segment(bases, ["lungs"]), reference, {"lungs": 1}).labels["lungs"].measures["dice"] > 0.88


@needs_data
def test_a_heart_without_contrast_is_no_liver(pipeline):
    result = pipeline.segment(read_volume(DATA / "lctsc_s1-104_ct.nii.gz"), ["liver"])
    above, near_line = heart(result.array.shape, HEART_LINES["lctsc_s1-104"])
    wrong = np.count_nonzero((result.array > 0) & above & ~near_line) * result.geometry.voxel_volume_ml
    assert wrong < 10 and result.volume_ml("liver") > 1000


def test_there_is_no_liver_in_a_pelvis_and_the_user_is_told(pipeline):
    progress = Progress()
    pelvis = make_phantom(101, PhantomSettings(spacing=(2.5, 2.5, 2.5), region="pelvis", contrast="portal"))
    assert pipeline.segment(pelvis.ct, ["liver"], progress).volume_ml("liver") == 0
    assert any(warning.startswith("No liver found") for warning in progress.warnings)


def test_a_phantom_is_segmented_without_any_real_data(pipeline):
    phantom = make_phantom(1, PhantomSettings(spacing=(3.0, 3.0, 3.0)))
    result = pipeline.segment(phantom.ct, ["liver", "lungs"])
    labels = evaluate(result, merge_lungs(phantom.labels), ["liver", "lungs"]).labels
    assert labels["liver"].measures["dice"] > 0.7 and labels["lungs"].measures["dice"] > 0.9


def test_the_recipe_beside_it_is_the_one_it_was_trained_with(pipeline):
    recipe = json.loads(
        (Path(__file__).resolve().parents[2] / "Resources" / "Recipes" / "liver-lungs.json").read_text()
    )
    for stage, trained in zip(recipe["stages"], pipeline.package.stages, strict=True):
        assert stage["network"] == trained.network and stage["preprocessing"] == trained.preprocessing
        assert pipeline.package.provenance["training"][stage["name"]]["steps"] == stage["training"]["steps"]
