"""What breaks a training is found before it, in every case at once; labels that lie wrong, too."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from training_boxes import SIZE, SPACING, VALUES, write_boxes, write_case, write_data

from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled
from Med3DCore.geometry import Geometry
from Med3DCore.io import read_label_map, read_volume, write_volume
from Med3DCore.progress import Progress
from Med3DCore.training.cases.label import read_label
from Med3DCore.training.data_sets import list_cases
from Med3DCore.training.data_sets.check import check_data_set
from Med3DCore.volume import Volume


def kinds(check):
    return sorted((finding.kind, finding.case, finding.breaks) for finding in check.all_findings())


def test_a_good_data_set_has_no_findings(tmp_path):
    check = check_data_set(list_cases(write_boxes(tmp_path)))
    assert kinds(check) == [] and not check.breaks()
    assert check.cases[0].volumes_ml["liver"] == pytest.approx(8 * 12 * 10 * 0.064)


def test_everything_that_is_wrong_is_found_at_once(tmp_path):
    entries = [write_case(tmp_path, name, seed) for seed, name in enumerate("abcdefghi")]
    entries[0]["split"] = entries[1]["split"] = "validation"
    entries[2]["patient"] = "a"  # a patient in both splits
    image = read_volume(tmp_path / "b_ct.nii.gz")
    write_volume(image, tmp_path / "d_ct.nii.gz")  # the same image in both splits
    label = read_label_map(tmp_path / "e_seg.nii.gz")
    moved = Geometry(SIZE, SPACING, (40.0, 0.0, 0.0))
    write_volume(Volume(label.array, moved), tmp_path / "e_seg.nii.gz")
    write_volume(Volume(np.where(label.array == 1, 7, 0).astype(np.uint8), label.geometry), tmp_path / "f_seg.nii.gz")
    write_volume(Volume(np.zeros_like(label.array), label.geometry), tmp_path / "g_seg.nii.gz")
    (tmp_path / "h_ct.nii.gz").write_bytes(b"")
    (tmp_path / "i_seg.nii.gz").unlink()
    check = check_data_set(list_cases(write_data(tmp_path, entries)), ["x has no label"])
    assert check.breaks()
    assert kinds(check) == [
        ("bad-volume", "h", True),
        ("duplicate", "", True),
        ("empty-label", "g", False),
        ("label-header", "e", True),
        ("label-values", "f", True),
        ("missing-file", "i", True),
        ("pair", "", False),
        ("patient", "", True),
    ]


def test_odd_images_are_noted(tmp_path):
    entries = [write_case(tmp_path, name, seed, modality="CT") for seed, name in enumerate("abcde")]
    entries[0]["split"] = "validation"
    hu = read_volume(tmp_path / "b_ct.nii.gz")
    write_volume(hu.with_array(np.where(hu.array > 137, np.nan, hu.array).astype(np.float32)), tmp_path / "b_ct.nii.gz")
    write_volume(hu.with_array(hu.array + 1024), tmp_path / "c_ct.nii.gz")
    coarse = Geometry(SIZE, (4.0, 4.0, 20.0))
    for kind in ("ct", "seg"):
        write_volume(Volume(read_volume(tmp_path / f"d_{kind}.nii.gz").array, coarse), tmp_path / f"d_{kind}.nii.gz")
    entries[4]["annotated"] = ["liver", "livre"]
    entries[0]["modality"] = "MR"
    check = check_data_set(list_cases(write_data(tmp_path, entries)))
    assert kinds(check) == [
        ("empty-label", "", False),
        ("label", "e", False),
        ("label", "e", False),
        ("modality", "a", False),
        ("modality", "c", False),
        ("not-finite", "b", False),
        ("spacing", "d", False),
    ]
    assert not check.breaks()


def test_the_command_draws_every_case_and_fails_where_a_training_would(tmp_path, capsys):
    entries = [write_case(tmp_path, name, seed) for seed, name in enumerate("ab")]
    entries[1].update(split="validation", patient="a")
    write_data(tmp_path, entries)
    assert main(["dataset", "check", str(tmp_path), "-o", str(tmp_path / "out"), "--quiet"]) == 2
    printed = capsys.readouterr().out
    assert "STOP  Patient 'a' is in both splits (a, b)" in printed and "30 x 28 x 24" in printed
    report = json.loads((tmp_path / "out" / "check.json").read_text())
    assert report["breaks"] and report["cases"][0]["spacing_mm"] == list(SPACING)
    assert all((tmp_path / "out" / f"{name}.png").stat().st_size > 5000 for name in "ab")
    entries[1]["patient"] = "b"
    write_data(tmp_path, entries)
    assert main(["dataset", "check", str(tmp_path), "-o", str(tmp_path / "out"), "--no-pictures"]) == 0


def test_a_check_can_be_cancelled(tmp_path):
    cases = list_cases(write_boxes(tmp_path))
    seen = []
    progress = Progress(is_cancelled=lambda: len(seen) > 1)
    with pytest.raises(Cancelled):
        check_data_set(cases, look=lambda case, *_: seen.append(case.name), progress=progress)
    assert len(seen) == 2


def torso(folder, name, turn=lambda label: label, shift=0):
    """A CT of a body with a liver on its right side, fat on its left, lungs above; its label is turned or shifted."""
    hu = np.full((52, 40, 48), -1000, np.int16)
    hu[:, 5:35, 4:44] = 40
    hu[22:36, 8:32, 8:20] = hu[20:36, 8:32, 26:40] = -800
    hu[4:18, 26:33, 26:40] = -120
    label = np.zeros(hu.shape, np.uint8)
    label[4:20, 8:24, 8:22] = 1
    label[hu == -800] = 2
    hu[0:22, 8:24, 24:42][hu[0:22, 8:24, 24:42] == 40] = -110
    hu += np.random.default_rng(len(name)).integers(-9, 10, hu.shape, np.int16)
    geometry = Geometry(hu.shape[::-1], (4.0, 4.0, 4.0))
    write_volume(Volume(hu, geometry), folder / f"{name}_ct.nii.gz")
    write_volume(Volume(np.roll(turn(label), shift, 0), geometry), folder / f"{name}_seg.nii.gz")
    return folder


@pytest.mark.parametrize(
    "turn,shift,said",
    [
        (lambda label: label[:, :, ::-1], 0, "mirrored left to right"),
        (lambda label: label[::-1], 0, "upside down"),
        (lambda label: label[::-1, :, ::-1], 0, "mirrored left to right and upside down"),
        (lambda label: label, 9, "36 mm too far upwards"),
    ],
)
def test_labels_that_are_turned_or_shifted_against_the_image_stop_a_training(tmp_path, turn, shift, said):
    torso(tmp_path, "right")
    torso(tmp_path, "wrong", turn, shift)
    check = check_data_set(list_cases(tmp_path, VALUES))
    sentences = [(f.case, f.breaks, f.sentence) for f in check.all_findings() if f.kind == "label-place"]
    assert {case for case, _, _ in sentences} == {"wrong"} and check.breaks()
    assert any(breaks and f"seems to be {said}." in sentence for _, breaks, sentence in sentences), sentences


def test_a_label_that_lies_elsewhere_in_the_body_than_the_others_is_told(tmp_path):
    for name in "abcd":
        torso(tmp_path, name)
    label = read_label_map(tmp_path / "d_seg.nii.gz")
    write_volume(Volume(label.array[:, :, ::-1].copy(), label.geometry), tmp_path / "d_seg.nii.gz")
    check = check_data_set(list_cases(tmp_path, {"thing": 1, "others": 2}))  # of which no Hounsfield units are known
    assert [(f.case, f.breaks) for f in check.all_findings() if f.kind == "label-place"] == [("d", False)]


def test_exchanged_sides_stop_a_training(tmp_path):
    torso(tmp_path, "a")
    label = read_label_map(tmp_path / "a_seg.nii.gz")
    label.array[:, :, 24:][label.array[:, :, 24:] == 2] = 3
    write_volume(Volume(label.array, label.geometry), tmp_path / "a_seg.nii.gz")
    right = {"liver": 1, "right_lung": 2, "left_lung": 3}
    assert not check_data_set(list_cases(tmp_path, right)).breaks()
    check = check_data_set(list_cases(tmp_path, right | {"right_lung": 3, "left_lung": 2}))
    assert ("label-place", "a", True) in kinds(check)


def test_a_label_without_header_gets_the_images_by_a_command(tmp_path, capsys):
    torso(tmp_path, "a")
    label = read_label_map(tmp_path / "a_seg.nii.gz")
    (tmp_path / "test").mkdir()  # which is no part of the data
    for array in (label.array, label.array.transpose().copy()):  # the second as nibabel saves SimpleITK's arrays
        lost = Volume(array, Geometry(array.shape[::-1], direction=(-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0)))
        write_volume(lost, tmp_path / "a_seg.nii.gz")
        (finding,) = [
            f for f in check_data_set(list_cases(tmp_path, VALUES)).all_findings() if f.kind == "label-header"
        ]
        assert finding.breaks and "it has lost its header; copy the image's" in finding.sentence
        command = finding.sentence.partition("med3d ")[2].split(" ")
        assert main([*command, "-o", str(tmp_path / "test" / "mended.nii.gz")]) == 0
        mended = read_label_map(tmp_path / "test" / "mended.nii.gz")
        assert mended.geometry.is_close(label.geometry) and np.array_equal(mended.array, label.array)
        assert np.array_equal(read_label_map(tmp_path / "a_seg.nii.gz").array, array), "the file itself is left alone"
    (tmp_path / "test" / "mended.nii.gz").rename(tmp_path / "a_seg.nii.gz")
    assert main(["dataset", "copy-header", str(tmp_path / "a_ct.nii.gz"), str(tmp_path / "a_seg.nii.gz")]) == 2
    assert "lies on its image already" in capsys.readouterr().err


@pytest.mark.parametrize("orientation", ["RAS", "PSR", "ILA"])
def test_a_label_stored_in_another_order_of_axes_is_turned(tmp_path, orientation):
    torso(tmp_path, "a")
    expected = read_label_map(tmp_path / "a_seg.nii.gz").array
    turned = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "a_seg.nii.gz")), orientation)
    sitk.WriteImage(turned, str(tmp_path / "a_seg.nii.gz"))
    (case,) = list_cases(tmp_path, VALUES)
    assert np.array_equal(read_label(case, read_volume(case.image).geometry).array, expected)
    assert not check_data_set([case]).breaks()
