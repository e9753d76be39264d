"""Training cases: what is annotated, what is unknown, and sentences that name the case."""

import json
from dataclasses import replace

import numpy as np
import pytest
from training_boxes import SIZE, SPACING, write_boxes, write_case, write_data

from Med3DCore.errors import DataError
from Med3DCore.geometry import Geometry
from Med3DCore.io import read_volume, write_volume
from Med3DCore.preprocessing import Preprocessing, Window
from Med3DCore.training.cases.cache import CaseCache
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.cases.description import read_cases
from Med3DCore.training.cases.prepared import normalised, prepare_case
from Med3DCore.training.patches.augmentation import Augmentation
from Med3DCore.training.patches.sampling import PatchSampler
from Med3DCore.volume import Volume


@pytest.fixture
def data(tmp_path):
    return write_boxes(tmp_path)


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
        ({"splitt": "validation"}, "'a': 'splitt' is unknown"),
        ({"annotated": "liver"}, "'a': its annotated is 'liver'; it must be a list"),
        ({"source": "boxes"}, "'a': its source is 'boxes'; it must be an object"),
        ({"name": 7}, "'7': its name is 7; it must be a text"),
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


def test_a_frame_that_the_image_does_not_have_is_named(data):
    case = replace(read_cases(data)[0], frame=3)
    with pytest.raises(DataError, match=r"'a': .*a_ct.nii.gz holds one volume only, so its frame cannot be 3"):
        prepare_case(case, Preprocessing(SPACING), ("liver",))


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
    with pytest.raises(DataError, match=r"'a': the label .* has lost its header"):
        prepare_case(case, Preprocessing(SPACING), ("liver",))
    write_volume(Volume(label.array[1:], Geometry((*SIZE[:2], SIZE[2] - 1), SPACING, (1.0, 0.0, 0.0))), case.label)
    with pytest.raises(DataError, match="'a': image and label do not lie on the same grid"):
        prepare_case(case, Preprocessing(SPACING), ("liver",))


def test_channels_come_in_the_order_in_which_they_are_named(tmp_path):
    entry = write_case(tmp_path, "a", 1)
    grid = read_volume(tmp_path / entry["image"]).geometry
    noise = np.random.default_rng(0).integers(0, 10, SIZE[::-1]).astype(np.int16)
    for level, name in ((100, "t1"), (200, "t2"), (300, "flair")):
        write_volume(Volume(noise + level, grid), tmp_path / f"{name}.nii.gz")
    others = ["t2.nii.gz", "flair.nii.gz"]
    (case,) = read_cases(write_data(tmp_path, [entry | {"image": "t1.nii.gz", "channels": others}]))
    preprocessing = Preprocessing(SPACING, Window(0, 400), ("t1", "t2", "flair"))
    prepared = prepare_case(case, preprocessing, ["liver"])
    kept = CaseCache(tmp_path / "cache").prepare(case, preprocessing, ["liver"])
    sampler = PatchSampler([kept], preprocessing.intensity, (16, 16, 16), 1, 0.5, Augmentation(cut=0.0), 0, 0.0)
    for images in (normalised(prepared, preprocessing.intensity), normalised(kept, preprocessing.intensity)):
        assert [round(float(image.mean()), 1) for image in images] == [-0.5, 0.0, 0.5]
    middle = sampler.draw(0)[0][0, :, 4:-4, 4:-4, 4:-4]
    assert list(middle.amax((1, 2, 3)).argsort()) == [0, 1, 2]
