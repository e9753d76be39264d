"""``med3d segment`` refuses in one sentence, and every file stays as it was."""

from __future__ import annotations

import errno
import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bright_model import make_volume
from cli_helpers import contents, refused
from test_io_dicom import three_series
from test_models_safety import Evil, rebuild, with_document, with_weights

from Med3DCore.cli.main import main
from Med3DCore.io import read_label_map, write_volume
from Med3DCore.models import catalogue


def bad_scan(kind):
    """Write an input of a kind that cannot be segmented; returns its name."""
    path = Path(f"{kind}.nii.gz")
    array = make_volume().array
    if kind == "empty":
        path.touch()
    elif kind == "truncated":
        path.write_bytes(Path("scan.nii.gz").read_bytes()[:9000])
    elif kind == "text":
        path = Path("text.txt")
        path.write_text("not an image")
    elif kind == "locked":
        path = Path("locked.zip")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("ct.nii", "x")
        data = bytearray(path.read_bytes())
        data[6] |= 1
        path.write_bytes(data)
    elif kind == "2D":
        sitk.WriteImage(sitk.GetImageFromArray(array[0]), path)
    elif kind == "4D":
        sitk.WriteImage(sitk.JoinSeries([make_volume().to_sitk()] * 2), path)
    elif kind == "RGB":
        sitk.WriteImage(sitk.GetImageFromArray(np.stack([array] * 3, axis=-1), isVector=True), path)
    elif kind == "NaN":
        write_volume(make_volume().with_array(np.where(array < -50, np.nan, array).astype(np.float32)), path)
    elif kind == "constant":
        write_volume(make_volume().with_array(np.full_like(array, 7)), path)
    elif kind in ("sheared", "spacing"):
        path = Path(f"{kind}.nii")
        write_volume(make_volume(), path)
        data = bytearray(path.read_bytes())
        struct.pack_into(
            "<ff" if kind == "sheared" else "<f", data, *((280, 0.3, -1.5) if kind == "sheared" else (88, 0))
        )
        path.write_bytes(data)
    elif kind in ("folder", "series"):
        path = Path(kind)
        path.mkdir()
        if kind == "series":
            three_series(path)
    return path


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("missing", "check the name"),
        ("empty", "0 bytes"),
        ("truncated", "truncated"),
        ("text", "not an image"),
        ("locked", "password-protected"),
        ("2D", "2D picture"),
        ("4D", "4D image"),
        ("RGB", "colour"),
        ("NaN", "NaN"),
        ("constant", "nothing to see"),
        ("sheared", "right angles"),
        ("spacing", "spacing"),
        ("folder", "no DICOM image"),
        ("series", "--series B"),
    ],
)
def test_bad_input(med3d, kind, word):
    assert kind in refused(med3d, bad_scan(kind), "-o", "r.nii.gz", word=word)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--organ", "brain"], "No model on this computer finds 'brain'; they find liver, lungs"),
        (["--organ", "liver", "--organ", "liver"], "only once"),
        (["--model", "nope"], "no model 'nope'; known models: bright-1.0.0"),
        (["--model", "bright", "--organ", "spleen"], "does not know 'spleen'"),
        (["-o", "r.png"], ".seg.nrrd, .nii.gz"),
        (["-o", "nowhere/r.nii.gz"], "there is no folder nowhere; create it first"),
        (["-o", "."], "is a folder"),
        (["-o", "../work/scan.nii.gz"], "would replace the scan"),
        (["--picture", "p.jpg"], ".png"),
        (["--picture", "nowhere/p.png"], "there is no folder nowhere"),
    ],
)
def test_what_is_wrong_with_the_request_is_found_before_the_work(med3d, monkeypatch, arguments, word):
    monkeypatch.setattr("Med3DCore.io.read_volume", lambda *_: pytest.fail("the scan was read"))
    refused(med3d, "scan.nii.gz", *arguments, word=word)


def test_other_wrong_requests(med3d, monkeypatch):
    refused(med3d, "scan.nii.gz", "--device", "gpu", word="Unknown device 'gpu'; use one of")
    refused(med3d, "scan.nii.gz", "--series", "1", word="DICOM folder only")
    monkeypatch.setattr("Med3DCore.drawing.figure.find_spec", lambda _: None)
    refused(med3d, "scan.nii.gz", "--picture", "p.png", word="matplotlib")
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused(med3d, "scan.nii.gz", word="may not write")


def test_without_any_model_it_says_what_to_do(med3d, monkeypatch, tmp_path):
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: tmp_path / "nothing")
    refused(med3d, "scan.nii.gz", word="med3d models install FILE")


@pytest.mark.parametrize("attack", ["hash", "schema", "missing", "traversal", "pickle"])
def test_a_bad_model_is_refused_and_never_runs(med3d, shipped, attack):
    file = Path("bad.med3d.zip")
    file.write_bytes((shipped / "bright-1.0.0.med3d.zip").read_bytes())
    weights, target = "weights/only.pt", Path("executed").resolve()
    if attack == "hash":
        with zipfile.ZipFile(file) as archive:
            data = bytearray(archive.read(weights))
        data[-1] ^= 1
        rebuild(file, {weights: bytes(data)})
    elif attack == "schema":
        with_document(file, lambda document: document.update(schema_version=99))
    elif attack == "missing":
        rebuild(file, {weights: None})
    elif attack == "traversal":
        rebuild(file, {"../../executed": b"x"})
    else:
        torch.save({"conv1.weight": Evil(target)}, "evil.pt")
        with_weights(file, Path("evil.pt").read_bytes(), weights)
    words = {
        "hash": "SHA-256",
        "schema": "update Med3D",
        "missing": "is missing",
        "traversal": "not part of a model package",
        "pickle": "never runs code",
    }
    assert "bad.med3d.zip" in refused(med3d, "scan.nii.gz", "--model", file, word=words[attack])
    assert not target.exists() and not target.parent.parent.joinpath("executed").exists()


def test_too_little_memory(med3d, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("Med3DCore.io.memory.free_memory", lambda: 1000)
        refused(med3d, "scan.nii.gz", word="GB of memory to be read")
    with monkeypatch.context() as patch:
        patch.setattr("Med3DCore.inference.memory.free_memory", lambda: 1000)
        refused(med3d, "scan.nii.gz", word="66 x 72 x 80 mm")
    with monkeypatch.context() as patch:
        patch.setattr("Med3DCore.inference.memory.free_bytes", lambda _: 1000)
        refused(med3d, "scan.nii.gz", word="not enough free memory")

    def exhausted(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with monkeypatch.context() as patch:
        patch.setattr("Med3DCore.inference.sliding_window._predict", exhausted)
        refused(med3d, "scan.nii.gz", word="not enough free memory")
    monkeypatch.setattr("Med3DCore.cli.segment_one.read_found", exhausted)
    refused(med3d, "scan.nii.gz", word="not enough memory")


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_result(med3d, monkeypatch):
    med3d("scan.nii.gz", "-o", "r.nii.gz")
    monkeypatch.setattr("Med3DCore.io.nifti._write_slices", full_disk)
    refused(med3d, "scan.nii.gz", "-o", "r.nii.gz", word="No space left")


@pytest.mark.parametrize("before", ["segment scan.nii.gz -o", "phantom", "info"])
def test_a_name_that_is_too_long_is_refused_in_a_short_sentence(work, capsys, before):
    for name in ("x" * 256, "/".join(["d" * 200] * 30)):
        assert main([*before.split(), name + ".nii.gz"]) == 2
        said = capsys.readouterr().err
        assert "is too long" in said and "give a shorter one" in said and len(said) < 130


def test_any_other_file_that_a_full_disk_has_no_place_for(work, capsys, monkeypatch):
    monkeypatch.setattr("Med3DCore.cli.phantom.run", full_disk)
    assert main(["phantom", "made"]) == 2
    said = capsys.readouterr().err
    assert "A file cannot be written: No space left on device; make space there and start again." in said


def test_a_picture_that_fails_loses_no_segmentation(med3d, monkeypatch):
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full_disk)
    code, out, _ = med3d("scan.nii.gz", "-o", "r.nii.gz", "--picture", "p.png", "--json")
    report = json.loads(out)
    assert code == 1 and "picture" not in report and "No space left" in report["warnings"][-1]
    assert read_label_map("r.nii.gz").array.any()
    assert sorted(contents()) == ["r.nii.gz", "scan.nii.gz"]
