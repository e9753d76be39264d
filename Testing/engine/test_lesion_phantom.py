"""Lesions put into CTs: where they lie, how they look, and the data set that comes of it."""

import csv
import json

import numpy as np
import pytest

from Med3DCore.cli.main import main
from Med3DCore.errors import DataError, SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.io import write_volume
from Med3DCore.io.hounsfield_png import read_hounsfield_png
from Med3DCore.phantom.lesion_data_set import Background, write_lesion_data_set
from Med3DCore.phantom.lesions import MARGIN, paint_lesions
from Med3DCore.training.detection.key_slices import read_key_slices
from Med3DCore.volume import Volume

SPACING = (1.25, 1.25, 2.5)


def chest(shape=(13, 120, 160), noise=10.0, seed=0):
    """A body of water with a lung, in air, on a thin table; float32 HU."""
    _, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    hu = np.full(shape, -1000.0)
    hu[np.hypot((x - 80) / 70, (y - 55) / 48) < 1] = 60
    hu[np.hypot((x - 50) / 26, (y - 55) / 30) < 1] = -850
    hu[:, 112:114] = 40
    hu += np.random.default_rng(seed).normal(0, noise, shape) * (hu > -990)
    return hu.astype(np.float32)


def painted(seed, hard=0.0, count=4):
    before, hu = chest(), chest()
    return before, hu, paint_lesions(hu, SPACING, 6, count, hard, np.random.default_rng(seed))


def test_boxes_are_around_what_was_changed_and_nothing_else():
    for seed in range(8):
        before, hu, lesions = painted(seed)
        assert lesions
        changed = np.abs(hu[6] - before[6]) > 25
        for lesion in lesions:
            x1, y1, x2, y2 = np.add(lesion.box, (MARGIN, MARGIN, -MARGIN, -MARGIN))
            rows, columns = slice(round(y1 + 0.5), round(y2 + 0.5)), slice(round(x1 + 0.5), round(x2 + 0.5))
            assert changed[rows, columns].any(axis=0).mean() > 0.6 and changed[rows, columns].any(axis=1).mean() > 0.6
            changed[rows.start - 3 : rows.stop + 3, columns.start - 3 : columns.stop + 3] = False
            assert lesion.diameters[0] + 2 >= max(x2 - x1, y2 - y1) >= lesion.diameters[0] / 1.5
        assert not changed.any()


def test_lesions_lie_in_the_body_and_are_as_hard_as_they_say():
    tissues = set()
    for seed in range(12):
        for hard in (0.0, 1.0):
            before, hu, lesions = painted(seed, hard, 1)
            for lesion in lesions:
                tissues.add(lesion.tissue)
                x, y = round((lesion.box[0] + lesion.box[2]) / 2), round((lesion.box[1] + lesion.box[3]) / 2)
                assert y < 105 and before[6, y, x] > -990 and lesion.hard == bool(hard)
                near = np.s_[6, y - 1 : y + 2, x - 1 : x + 2]
                difference = abs(float(np.median(hu[near] - before[near])))
                if lesion.tissue == "lung":
                    assert difference > 500 if not hard else 60 < difference < 450
                elif lesion.diameters[0] > 6:
                    assert 40 <= difference <= 95 if not hard else 10 <= difference <= 35
    assert tissues == {"lung", "soft tissue"}


def test_diameters_are_from_3_to_40_mm():
    diameters = [lesion.diameters[0] * SPACING[0] for seed in range(12) for lesion in painted(seed)[2]]
    assert 1.5 < min(diameters) < 6 and 22 < max(diameters) < 48


def test_nothing_is_put_where_there_is_no_body():
    air = np.full((13, 40, 40), -1000.0, np.float32)
    assert paint_lesions(air, SPACING, 6, 3, 0.5, np.random.default_rng(0)) == []


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Two scans of one patient and one of another, and the table of them."""
    folder = tmp_path_factory.mktemp("scans")
    for name, seed in (("a1", 0), ("a2", 1), ("b", 2)):
        hu = chest((20, 60, 80), seed=seed)[:, ::-1]
        volume = Volume(np.repeat(hu, 2, axis=0).astype(np.int16), Geometry((80, 60, 40), (2.5, 2.5, 2.5)))
        write_volume(volume, folder / f"{name}.nii.gz")
    (folder / "scans.csv").write_text("scan,patient\na1.nii.gz,a\na2.nii.gz,a\nb.nii.gz,b\n")
    return folder


@pytest.fixture(scope="module")
def made(scans, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    command = ["phantom", str(folder), "--lesions", "1", "--backgrounds", str(scans / "scans.csv"), "--quiet"]
    assert main(command) == 0
    return folder


def test_the_data_set_is_read_as_deep_lesions(made):
    cases = read_key_slices(made, own_split=True)
    assert len(cases) >= 4 and {case.patient for case in cases} <= {"000001", "000002", "000003"}
    for case in cases:
        assert 1 <= len(case.boxes) <= 4 and len(case.diameters_mm) == len(case.boxes)
        assert all(1.5 < diameter < 48 for diameter in case.diameters_mm)
    with (made / "DL_info.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["Background"] for row in rows} == {"phantom", "real"}
    assert {row["Difficulty"] for row in rows} <= {"easy", "hard"}
    parts = {(row["Patient_index"], row["Train_Val_Test"]) for row in rows}
    assert len(parts) == len({patient for patient, _ in parts})  # a patient is in one part


def test_the_same_seed_makes_the_same_data_set(made, scans, tmp_path):
    backgrounds = [Background(name[0], scans / f"{name}.nii.gz") for name in ("a1", "a2", "b")]
    again = write_lesion_data_set(tmp_path / "again", 1, backgrounds)
    assert again.read_bytes() == (made / "DL_info.csv").read_bytes()
    case = read_key_slices(made, own_split=True)[-1]
    other = tmp_path / "again" / case.image.relative_to(made)
    assert (read_hounsfield_png(other) == read_hounsfield_png(case.image)).all()


def test_what_makes_no_sense_is_refused(made, scans, tmp_path, capsys):
    with pytest.raises(DataError, match="already"):
        write_lesion_data_set(made, 1)
    with pytest.raises(SettingError, match="at least one patient"):
        write_lesion_data_set(tmp_path, 0)
    with pytest.raises(SettingError, match="from 0 to 1"):
        write_lesion_data_set(tmp_path, 1, hard=2)
    (tmp_path / "scans.csv").write_text(json.dumps({"scan": 1}))
    assert main(["phantom", str(tmp_path / "x"), "--lesions", "1", "--backgrounds", str(tmp_path / "scans.csv")]) == 2
    assert "no column" in capsys.readouterr().err
