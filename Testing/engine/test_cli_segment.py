"""``med3d segment`` as its users meet it: what it promises."""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from bright_model import make_volume
from cli_helpers import ORGANS, refused
from dicom_files import write_series
from test_io_dicom import write_ct

from Med3DCore.geometry import Geometry
from Med3DCore.io import read_label_map, write_volume
from Med3DCore.io.dicom import tags
from Med3DCore.io.orientation import turned
from Med3DCore.volume import Volume

OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, -1.0)  # left-handed too


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("stored", ["scan.nii.gz", "oblique.nrrd"])
def test_the_ending_chooses_the_format_and_the_grid_is_that_of_the_scan(med3d, ending, stored):
    plain = make_volume()
    oblique = Volume(plain.array, Geometry(plain.geometry.size, (1.5, 1.5, 2.0), (3.0, 4.0, 5.0), OBLIQUE))
    write_volume(oblique, "oblique.nrrd")
    code, out, _ = med3d(stored, "-o", f"result{ending}", "--picture", "picture.png")
    assert code == 0 and f"Wrote result{ending}" in out and "Wrote picture.png" in out
    result = read_label_map(f"result{ending}")
    assert result.geometry.is_close((plain if stored == "scan.nii.gz" else oblique).geometry, 1e-3)
    truth = plain.array > 10
    assert 2 * np.count_nonzero((result.array == 1) & truth) / (np.count_nonzero(result.array) + truth.sum()) > 0.75
    assert ([label.name for label in result.labels] == list(ORGANS)) == (ending == ".seg.nrrd")
    assert Path("picture.png").read_bytes().startswith(b"\x89PNG")


def test_organs_are_numbered_in_the_order_given_and_json_is_all_of_stdout(med3d):
    code, out, err = med3d("scan.nii.gz", "--organ", "Lungs", "--organ", "liver", "-o", "r.seg.nrrd", "--json")
    report = json.loads(out)
    assert code == 0
    assert [(organ["name"], organ["value"]) for organ in report["labels"]] == [("lungs", 1), ("liver", 2)]
    assert report["labels"][0]["volume_ml"] == pytest.approx(read_label_map("r.seg.nrrd").volume_ml("lungs"), abs=0.06)
    assert {"label": "liver", "flag": "missing", "sentence": "No liver found in scan.nii.gz."} in report["flags"]
    assert report["warnings"] == [flag["sentence"] for flag in report["flags"]]
    assert report["model"] == "bright-1.0.0" and "CPU" in report["device"] and report["outputs"] == ["r.seg.nrrd"]
    assert {"read", "only: network", "write"} <= set(report["seconds"])
    assert sum(report["seconds"].values()) <= report["total_seconds"] + 0.1
    assert "only: network" in err and "left" in err


def test_the_orientation_said_is_used_and_the_result_lies_over_the_file(med3d):
    plain = make_volume()
    lying = turned(plain.geometry, "RSA")
    write_volume(Volume(plain.array, lying), "truly.nii.gz")
    assert med3d("truly.nii.gz", "-o", "truly.seg.nrrd")[0] == 0
    code, out, err = med3d("scan.nii.gz", "--orientation", "rsa", "-o", "said.seg.nrrd", "--json")
    assert code == 0, err
    truly, said = read_label_map("truly.seg.nrrd"), read_label_map("said.seg.nrrd")
    assert said.array.any() and np.array_equal(truly.array, said.array)
    assert said.geometry.is_close(plain.geometry, 1e-3) and truly.geometry.is_close(lying, 1e-3)
    assert json.loads(out)["labels"][1]["volume_ml"] == pytest.approx(truly.volume_ml("lungs"), abs=0.06)


def test_an_orientation_that_is_not_given_is_told_unless_it_is_said(med3d):
    data = bytearray(Path("scan.nii.gz").read_bytes())
    data = bytearray(gzip.decompress(data))
    data[252:256] = bytes(4)
    Path("lost.nii.gz").write_bytes(gzip.compress(data))
    warnings = json.loads(med3d("lost.nii.gz", "-o", "a.nii.gz", "--json")[1])["warnings"]
    assert any("does not say how the patient lies" in sentence for sentence in warnings)
    said = json.loads(med3d("lost.nii.gz", "-o", "b.nii.gz", "--json", "--orientation", "LPS")[1])["warnings"]
    assert not any("does not say how the patient lies" in sentence for sentence in said)


def test_left_and_right_lung_get_numbers_of_their_own(med3d):
    organs = ("--organ", "lungs", "--organ", "liver")
    assert med3d("scan.nii.gz", *organs, "-o", "together.nii.gz")[0] == 0
    code, out, _ = med3d("scan.nii.gz", *organs, "-o", "apart.seg.nrrd", "--split-lungs", "--json")
    report = json.loads(out)
    assert code == 0
    assert [organ["name"] for organ in report["labels"]] == ["left_lung", "right_lung", "liver"]
    together, apart = read_label_map("together.nii.gz"), read_label_map("apart.seg.nrrd")
    assert np.array_equal(together.array == 1, (apart.array == 1) | (apart.array == 2)) and (together.array == 1).any()
    assert [label.title for label in apart.labels] == ["Left lung", "Right lung", "Liver"]


def test_several_files_hold_the_same_result(med3d):
    code, out, _ = med3d("scan.nii.gz", "-o", "r.seg.nrrd", "-o", "r.nii.gz", "--json")
    assert code == 0 and json.loads(out)["outputs"] == ["r.seg.nrrd", "r.nii.gz"]
    both = [read_label_map(name) for name in ("r.seg.nrrd", "r.nii.gz")]
    assert both[0].array.any() and np.array_equal(both[0].array, both[1].array)
    assert both[0].labels[0].name == "liver" and both[1].labels[0].name == "label_1"
    code, out, _ = med3d("scan.nii.gz", "-o", "r.nii.gz", "-o", "./r.nii.gz", "-o", "t.nii.gz", "--json")
    assert json.loads(out)["outputs"] == ["r.nii.gz", "t.nii.gz"]


def test_of_several_files_all_are_written_or_none(med3d, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    Path("first.nrrd").write_bytes(b"precious")
    monkeypatch.setattr("Med3DCore.io.write.write_nifti", full)
    assert "second.nii.gz cannot be written" in refused(med3d, "scan.nii.gz", "-o", "first.nrrd", "-o", "second.nii.gz")


def test_lungs_to_part_are_to_be_asked_for(med3d):
    assert "add --organ lungs" in refused(med3d, "scan.nii.gz", "--organ", "liver", "--split-lungs", "-o", "r.nii.gz")
    assert "--organ lungs --split-lungs" in refused(med3d, "scan.nii.gz", "--organ", "left_lung", "-o", "r.nii.gz")


@pytest.mark.parametrize("change", [lambda a: a + np.int16(1024), lambda a: np.clip(a + 60, 0, 255).astype(np.uint8)])
def test_what_is_no_ct_in_hounsfield_units_is_refused_until_it_is_wanted(med3d, change):
    write_volume(make_volume().with_array(change(make_volume().array)), "raw.nii.gz")
    told = refused(med3d, "raw.nii.gz", "-o", "r.nii.gz", word="raw.nii.gz do not look like a CT")
    assert "all the same with --not-ct" in told and not Path("r.nii.gz").exists()
    code, out, _ = med3d("raw.nii.gz", "--not-ct", "--json", "--quiet", "-o", "r.nii.gz")
    assert code == 0 and "raw.nii.gz do not look like a CT" in json.loads(out)["warnings"][0]


def test_default_name_and_nothing_is_replaced_unasked(med3d):
    Path("elsewhere").mkdir()
    Path("scan.nii.gz").replace("elsewhere/Scan 1.NII.GZ")
    assert "Wrote Scan 1.seg.nrrd" in med3d("elsewhere/Scan 1.NII.GZ")[1]
    assert "use -o 'Scan 1.seg.nrrd'" in refused(med3d, "elsewhere/Scan 1.NII.GZ", word="exists already")
    assert med3d("elsewhere/Scan 1.NII.GZ", "-o", "Scan 1.seg.nrrd")[0] == 0
    write_ct(Path("elsewhere"))
    assert "Wrote elsewhere.seg.nrrd" in med3d("elsewhere", "--not-ct")[1]


def test_paths_of_all_kinds(med3d, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home" / "mit Leerzeichen").mkdir(parents=True)
    for name in ("~scan.nii.gz", "größe 中.nii.gz", "-scan.nii.gz"):
        Path(name).write_bytes(Path("scan.nii.gz").read_bytes())
        assert med3d("-o", "~/mit Leerzeichen/ä.nii.gz", "--", name)[0] == 0
        (tmp_path / "home" / "mit Leerzeichen" / "ä.nii.gz").unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no text")
def test_a_name_that_cannot_be_shown(med3d):
    name = os.fsdecode(b"bad\xff")
    Path("scan.nii.gz").replace(f"{name}.nii.gz")
    refused(med3d, f"{name}.nii.gz", "-o", "r.nii.gz", word="bad�.nii.gz holds bytes that are no text")
    Path(f"{name}.nii.gz").replace("scan.nii.gz")
    refused(med3d, "scan.nii.gz", "-o", f"{name}.nii.gz", word="no text")
    write_ct(Path("series"))
    Path("series/im1").replace(f"series/{name}.dcm")
    assert "cannot be read" in med3d("series", "-o", "r.nii.gz", "--not-ct")[1]
    Path("series").rename(name)
    refused(med3d, name, "-o", "r.nii.gz", word="no text")


@pytest.mark.parametrize(
    ("size", "spacing"),
    [((3, 3, 3), 5.0), ((2, 1, 1), 5.0), ((40, 40, 1), 2.0), ((1, 60, 2), 1.0), ((10, 10, 10), 0.1), ((3, 3, 3), 40.0)],
)
def test_tiny_and_flat_scans_go_all_the_way(med3d, size, spacing):
    geometry = Geometry(size, (spacing,) * 3, (1.0, 2.0, 3.0), OBLIQUE)
    array = np.random.default_rng(0).normal(0, 80, geometry.shape).astype(np.int16)
    array.flat[0] = -900
    write_volume(Volume(array, geometry), "tiny.nrrd")
    code, _, _ = med3d("tiny.nrrd", "-o", "r.nrrd", "--picture", "p.png")
    assert code == 0 and read_label_map("r.nrrd").geometry.is_close(geometry)


def test_people_see_volumes_and_the_time_of_each_stage(med3d):
    code, out, _ = med3d("scan.nii.gz", "-o", "seen.nii.gz", "--quiet", "--device", "cpu")
    assert code == 0 and " mL" in out and "Wrote seen.nii.gz" in out
    for stage in ("read", "start torch", "only: network", "restore", "write"):
        assert re.search(rf"^{stage} +\d+\.\d\d s$", out, re.MULTILINE), stage


# -- series, frames, offsets, several scans ----------------------------------------------------------------------------


def of_dicom(change=None, number: int = 0) -> np.ndarray:
    """The scan of ``scan.nii.gz`` as CT slices in a folder ``dicom``."""
    array = np.clip(make_volume().array, -1000, 3000).astype(np.int16)
    write_series(Path("dicom"), array, change=change, first=1 + number)
    return array


def test_the_series_is_always_named(med3d):
    array = of_dicom()
    few = {
        tags.SERIES_UID: "9",
        tags.SERIES_NUMBER: "1",
        tags.SERIES_DESCRIPTION: "Scout",
        tags.IMAGE_TYPE: "A\\B\\LOCALIZER",
    }
    write_series(Path("dicom/more"), array[:2], change=lambda _: few, first=900)
    code, out, _ = med3d("dicom", "-o", "r.nii.gz", "--quiet")
    assert code == 0 and f"Of CT 'Thorax' (series number 3), {len(array)} slices:" in out
    assert "Left out A: CT 'Scout' (series number 1), 2 slices" in out
    report = json.loads(med3d("dicom", "-o", "r.nii.gz", "--quiet", "--json")[1])
    told = report["series"]
    assert (told["series_number"], told["description"], told["slices"]) == (3, "Thorax", len(array))
    assert len(told["left_out"]) == 1 and "Scout" in told["left_out"][0]


def test_a_flawed_ct_is_not_replaced_by_what_can_be_read(med3d):
    array = of_dicom(lambda z: {tags.POSITION: f"0\\0\\{3 * z + 20 * (z > 3)}"})
    other = {tags.SERIES_UID: "9", tags.SERIES_NUMBER: "9", tags.SERIES_DESCRIPTION: "Second", tags.MODALITY: "MR"}
    write_series(Path("dicom/more"), array[:5], change=lambda _: other, first=900)
    refused(med3d, "dicom", "-o", "r.nii.gz", word="has uneven slices")
    refused(med3d, "dicom/more", "-o", "r.nii.gz", word="is MR, and bright-1.0.0 was made for CT")
    refused(med3d, "dicom/more", "-o", "r.nii.gz", "--series", "A", word="--not-ct")
    code, out, _ = med3d("dicom/more", "-o", "r.nii.gz", "--not-ct", "--quiet")
    assert code == 0 and "Of MR 'Second'" in out


def test_acquisition_and_frame_are_chosen(med3d):
    of_dicom(lambda _: {tags.ACQUISITION: "1"})
    array = of_dicom(lambda _: {tags.ACQUISITION: "2", tags.INTERCEPT: "-1000"}, number=500)
    refused(med3d, "dicom", "-o", "r.nii.gz", word="--acquisition 1")
    code, out, _ = med3d("dicom", "-o", "r.nii.gz", "--acquisition", "2", "--quiet")
    assert code == 0 and "acquisition 2" in out
    both = np.stack([np.zeros_like(array), array])
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(one) for one in both]), "4d.nii.gz")
    refused(med3d, "4d.nii.gz", "-o", "r.nii.gz", word="--frame")
    refused(med3d, "4d.nii.gz", "-o", "r.nii.gz", "--frame", "2", word="counted from 0")
    assert med3d("4d.nii.gz", "-o", "r.nii.gz", "--frame", "1", "--quiet")[0] == 0
    assert read_label_map("r.nii.gz").array.any()


def test_an_offset_is_offered_where_it_lacks_and_taken_only_when_said(med3d):
    plain = make_volume()
    body = np.where(plain.array > 10, plain.array, -1000).astype(np.int16)
    write_volume(plain.with_array(body + np.int16(1024)), "raw.nrrd")
    refused(med3d, "raw.nrrd", "-o", "r.nrrd", word="Add it with --offset -1024 if it is a CT")
    write_volume(plain.with_array(body), "right.nrrd")
    med3d("right.nrrd", "-o", "right.seg.nrrd", "--quiet")
    report = json.loads(med3d("raw.nrrd", "-o", "r.nrrd", "--quiet", "--json", "--offset", "-1024")[1])
    assert not any("offset" in sentence for sentence in report["warnings"])
    assert np.array_equal(read_label_map("r.nrrd").array, read_label_map("right.seg.nrrd").array)
    refused(med3d, "raw.nrrd", "-o", "r.nrrd", "--offset", "nan", word="number of Hounsfield units")


def test_several_scans_in_one_call(med3d):
    Path("more").mkdir()
    Path("results").mkdir()
    for name in ("a", "b"):
        Path(f"more/{name}.nii.gz").write_bytes(Path("scan.nii.gz").read_bytes())
    code, out, err = med3d("more/a.nii.gz", "more/b.nii.gz", "-o", "results", "-o", "results/{}_seg.nii.gz")
    assert code == 0 and "1 of 2: more/a.nii.gz" in err and out.count("Wrote results/") == 4
    names = {"a.seg.nrrd", "b.seg.nrrd", "a_seg.nii.gz", "b_seg.nii.gz"}
    assert {path.name for path in Path("results").iterdir()} == names
    assert np.array_equal(read_label_map("results/a.seg.nrrd").array, read_label_map("results/b_seg.nii.gz").array)
    Path("more/c.nii.gz").write_bytes(b"broken")
    code, out, err = med3d("more/c.nii.gz", "more/b.nii.gz", "--json", "--quiet")
    first, second = json.loads(out)
    assert code == 1 and "c.nii.gz" in first["error"] and second["outputs"] == ["b.seg.nrrd"]
    assert err.startswith("med3d: ") and Path("b.seg.nrrd").exists()
    assert med3d("more/c.nii.gz", "more/nothing.nii.gz", "--quiet", "-o", "results")[0] == 2


def test_several_scans_never_share_a_result(med3d):
    Path("more").mkdir()
    Path("more/scan.nii.gz").write_bytes(Path("scan.nii.gz").read_bytes())
    refused(med3d, "scan.nii.gz", "more/scan.nii.gz", word="would both be written to scan.seg.nrrd")
    refused(med3d, "scan.nii.gz", "more/scan.nii.gz", "-o", "r.nii.gz", word="a folder that exists")


def test_the_name_of_a_result_may_begin_with_a_dash(med3d):
    assert med3d("scan.nii.gz", "-o", "-1.nii.gz", "--quiet")[0] == 0 and Path("-1.nii.gz").exists()
