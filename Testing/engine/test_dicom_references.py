"""DICOM labels belong to the series that they name, whatever files and folders are called."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from ct_series import write_ct_series
from dicom_drawing import LABELS, drawing, grid

from Med3DCore.cli.main import main
from Med3DCore.errors import DataError
from Med3DCore.io import find_scan, write_label_maps
from Med3DCore.io.dicom_results import Origin
from Med3DCore.io.label_names import label_for
from Med3DCore.progress import Progress
from Med3DCore.training.cases.cache_key import image_digest
from Med3DCore.training.cases.case import read_image
from Med3DCore.training.cases.label import read_label
from Med3DCore.training.data_sets import list_cases
from Med3DCore.volume import LabelMap


def add_patient(folder: Path, label: Path, seed: str, value: int, labels=LABELS, **changes) -> None:
    """A CT that is as bright as ``value``, and a label file whose first organ lies ``value`` voxels further."""
    write_ct_series(folder / seed, np.full(drawing().shape, value, np.int16), grid(), seed, **changes)
    scan = find_scan(folder / seed)
    drawn = LabelMap(np.roll(drawing(), value, axis=2), scan.geometry, seed, labels)
    target = folder / f"made-{label.name}"
    write_label_maps(drawn, [target], Origin(scan, "somebody-1.0.0", ""))
    label.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(target, label)


def flatten(folder: Path) -> None:
    """All slices into the folder itself, without endings, as archives export them."""
    for number, file in enumerate(sorted(folder.glob("*/im*.dcm"))):
        file.rename(folder / f"IM{number:06d}")
    for place in [path for path in folder.iterdir() if path.is_dir()]:
        place.rmdir()


def value_of(case) -> int:
    """How far the label of a case lies shifted; the image must be as bright."""
    volume = read_image(case)
    (value,) = np.unique(volume.array).tolist()
    marked = np.isin(read_label(case, volume.geometry).array, np.atleast_1d(case.values["liver"]))
    assert np.array_equal(marked, np.roll(drawing(), value, axis=2) == 1)
    return value


@pytest.mark.parametrize("ending", [".seg.dcm", ".rtstruct.dcm"])
def test_many_series_and_labels_in_one_folder(tmp_path, ending, monkeypatch):
    """Names that promise the opposite; a series that nobody labelled; a label of a series that is not there."""
    monkeypatch.setattr("Med3DCore.io.read.require_contrast", lambda *_: None)  # one value a scan is all it takes here
    data = tmp_path / "dump"
    for seed, name, value in (("a", "b", 1), ("b", "a", 2), ("c", "z", 3)):
        add_patient(data, data / f"{name}{ending}", seed, value, SeriesNumber=value)
    (data / f"a{ending}").rename(data / "IM900000")
    shutil.rmtree(data / "c")
    write_ct_series(data / "d", np.full(drawing().shape, 4, np.int16), grid(), "d")
    flatten(data)
    progress = Progress()
    cases = list_cases(data, progress=progress)
    assert {case.name: value_of(case) for case in cases} == {"dump_1": 1, "dump_2": 2}
    assert [case.annotated for case in cases] == [("liver", "left_lung")] * 2
    assert len({case.patient for case in cases}) == 2
    (warning,) = progress.warnings
    assert f"z{ending} was drawn on a DICOM series that is not in" in warning


def test_series_of_one_study_are_one_patient_and_keep_the_names_of_their_folders(tmp_path):
    study = {"StudyInstanceUID": "1.2.3"}
    for seed, value in (("arterial", 1), ("venous", 2)):
        add_patient(tmp_path / "p1", tmp_path / "p1" / "labels" / f"{value}.dcm.seg.dcm", seed, value, **study)
    cases = list_cases(tmp_path)
    assert [(case.name, case.patient, case.image.name) for case in cases] == [
        ("p1_arterial", "p1_arterial", "arterial"),
        ("p1_venous", "p1_arterial", "venous"),
    ]


def test_a_series_with_two_labels_is_refused(tmp_path):
    add_patient(tmp_path, tmp_path / "one.seg.dcm", "a", 1)
    shutil.copy(tmp_path / "one.seg.dcm", tmp_path / "two.dcm")
    with pytest.raises(DataError, match=r"has two labels, .*one\.seg\.dcm and .*two\.dcm; keep one"):
        list_cases(tmp_path)


def test_a_label_is_never_paired_by_its_name(tmp_path):
    """``p2/manual.seg.dcm`` lies beside the CT of p2, but was drawn on that of p1."""
    add_patient(tmp_path / "p1", tmp_path / "p2" / "manual.seg.dcm", "a", 1)
    write_ct_series(tmp_path / "p2" / "ct", np.zeros(drawing().shape, np.int16), grid(), "b")
    progress = Progress()
    (case,) = list_cases(tmp_path, progress=progress)
    assert case.image == tmp_path / "p1" / "a" and case.name == "p1_a"
    assert any("p2/ct has no label" in warning for warning in progress.warnings)


def test_the_acquisition_that_was_drawn_on_is_found_by_its_slices(tmp_path):
    folder = tmp_path / "ct"
    for number in (1, 2):
        part = tmp_path / f"part{number}"
        same = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
        values = np.full(drawing().shape, number, np.int16)
        write_ct_series(part, values, grid(), f"s{number}", AcquisitionNumber=number, **same)
        folder.mkdir(exist_ok=True)
        for file in part.iterdir():
            file.rename(folder / f"{number}-{file.name}")
    scan = find_scan(folder, acquisition="2")
    write_label_maps(LabelMap(drawing(), scan.geometry, "x", LABELS), [tmp_path / "r.seg.dcm"], Origin(scan, "x-1", ""))
    (case,) = list_cases(tmp_path)
    assert case.image == scan.files[0] and find_scan(case.image).part_value == "2"


def test_names_that_nobody_knows_are_asked_for_and_teach_nothing(tmp_path):
    strange = tuple(
        replace(label_for(title, position), title=title) for position, title in enumerate(("Lg li", "PTV 1"))
    )
    for seed in ("a", "b"):
        add_patient(tmp_path, tmp_path / f"{seed}.rtstruct.dcm", seed, 0, labels=strange)
    progress = Progress()
    cases = list_cases(tmp_path, progress=progress)
    assert [case.annotated for case in cases] == [(), ()]
    (warning,) = progress.warnings
    assert "not known: 'Lg li' (2), 'PTV 1' (2)." in warning and str(tmp_path / "labels.json") in warning

    (tmp_path / "labels.json").write_text(json.dumps({"Lg li": "Left lung", "ptv_1": None}), encoding="utf-8")
    progress = Progress()
    cases = list_cases(tmp_path, progress=progress)
    assert [case.annotated for case in cases] == [("left_lung",), ("left_lung",)] and not progress.warnings
    label = read_label(cases[0], grid())
    assert np.array_equal(cases[0].inside(label, "left_lung"), drawing() == 1)


def test_two_structures_may_mean_one_organ_and_old_codes_are_known(tmp_path):
    add_patient(tmp_path, tmp_path / "r.seg.dcm", "a", 0)
    made = pydicom.dcmread(tmp_path / "r.seg.dcm")
    for segment in made.SegmentSequence:
        segment.SegmentLabel = "something"
        code = segment.SegmentedPropertyTypeCodeSequence[0]
        code.CodingSchemeDesignator, code.CodeValue = "SRT", {"Liver": "T-62000", "Lung": "T-28000"}[code.CodeMeaning]
        for modifier in code.get("SegmentedPropertyTypeModifierCodeSequence", []):
            modifier.CodingSchemeDesignator, modifier.CodeValue = "SRT", "G-A101"
    made.save_as(tmp_path / "r.seg.dcm")
    (case,) = list_cases(tmp_path)
    assert case.annotated == ("liver", "left_lung")
    (tmp_path / "labels.json").write_text('{"something": "lungs"}', encoding="utf-8")
    (case,) = list_cases(tmp_path)
    assert case.values == {"lungs": (1, 2)} and case.annotated == ("lungs",)


def test_a_slice_stands_for_its_series_when_prepared_cases_are_kept(tmp_path):
    write_ct_series(tmp_path, np.zeros(drawing().shape, np.int16), grid())
    before = image_digest(tmp_path / "im001.dcm", "blake2b")
    made = pydicom.dcmread(tmp_path / "im005.dcm")
    made.PixelData = bytes([1, 0]) * (len(made.PixelData) // 2)
    made.save_as(tmp_path / "im005.dcm")
    assert image_digest(tmp_path / "im001.dcm", "blake2b") != before


def test_evaluate_compares_labels_of_one_series_whatever_they_are_called(tmp_path, capsys):
    """An archive's export with CT and RTSTRUCT of three patients; SEG of two of them, under odd names."""
    for seed, value in (("a", 1), ("b", 2), ("c", 3)):
        add_patient(tmp_path, tmp_path / "truth" / seed / "RS.dcm.rtstruct.dcm", seed, value)
        scan = find_scan(tmp_path / seed)
        drawn = LabelMap(np.roll(drawing(), value + (seed == "b"), axis=2), scan.geometry, seed, LABELS)
        found = tmp_path / "found" / {"a": "b", "b": "a", "c": "c"}[seed] / "result.seg.dcm"
        found.parent.mkdir(parents=True)
        write_label_maps(drawn, [found], Origin(scan, "model-1.0.0", ""))
        shutil.move(tmp_path / seed, tmp_path / "truth" / seed / "CT")
    (tmp_path / "found" / "c" / "result.seg.dcm").unlink()
    assert main(["evaluate", str(tmp_path / "found"), str(tmp_path / "truth"), "--json", "-"]) == 0
    out, err = capsys.readouterr()
    scores = {case["case"]: case["labels"]["liver"]["dice"] for case in json.loads(out)["cases"]}
    assert scores["a/RS.dcm"] == 1.0 and 0.8 < scores["b/RS.dcm"] < 1.0 and len(scores) == 2
    assert "c/RS.dcm.rtstruct.dcm was drawn on a series of which the other folder has no DICOM label" in err
    shutil.copy(tmp_path / "found" / "a" / "result.seg.dcm", tmp_path / "found" / "again")
    assert main(["evaluate", str(tmp_path / "found"), str(tmp_path / "truth")]) == 2
    assert "were drawn on the same series; keep one" in capsys.readouterr().err
