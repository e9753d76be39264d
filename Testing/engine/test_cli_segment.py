"""``med3d segment`` as its users meet it: what it promises, what it refuses, and what stopping it leaves behind."""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from test_io_dicom import three_series, write_ct
from test_models_safety import Evil, rebuild, with_document, with_weights
from test_worker_requests import make_stage, make_volume, save_model

from Med3DCore.cli.console import ProgressBar
from Med3DCore.cli.main import main, make_parser
from Med3DCore.geometry import Geometry
from Med3DCore.io import read_label_map, write_volume
from Med3DCore.models import catalogue
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

ROOT = Path(__file__).parents[2]
OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, -1.0)  # left-handed too
ORGANS = ("liver", "lungs")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A folder with a model that finds what is bright, both as liver and as lungs; where they meet the first wins."""
    folder = tmp_path_factory.mktemp("shipped")
    save_model(folder, "bright", [make_stage("only", ORGANS, 3.0)])
    return folder


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The current folder, with ``scan.nii.gz``."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    write_volume(make_volume(), "scan.nii.gz")
    return tmp_path / "work"


@pytest.fixture
def med3d(work, shipped, monkeypatch, capsys):
    """Runs ``med3d segment`` in that folder; gives exit code, standard output and standard error."""
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: shipped)
    monkeypatch.setenv("MED3D_MODELS", str(work.parent / "models"))

    def run(*arguments):
        code = main(["segment", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def contents():
    """Every file below the current folder and its bytes."""
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def refused(med3d, *arguments, word=""):
    """The one sentence with which the command refuses; it must leave every file as it was."""
    before = contents()
    code, out, err = med3d("--quiet", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("med3d: ") and err.count("\n") == 1 and err.endswith(".\n")
    assert word in err
    assert contents() == before
    return err


# -- what it promises ----------------------------------------------------------------------------------------------


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
    assert report["warnings"] == ["No liver found in scan.nii.gz."]
    assert report["model"] == "bright-1.0.0" and "CPU" in report["device"] and report["output"] == "r.seg.nrrd"
    assert {"read", "only: network", "write"} <= set(report["seconds"])
    assert sum(report["seconds"].values()) <= report["total_seconds"] + 0.1
    assert "only: network" in err and "left" in err


@pytest.mark.parametrize("change", [lambda a: a + np.int16(1024), lambda a: np.clip(a + 60, 0, 255).astype(np.uint8)])
def test_what_is_no_ct_in_hounsfield_units_is_told(med3d, change):
    write_volume(make_volume().with_array(change(make_volume().array)), "raw.nii.gz")
    code, out, _ = med3d("raw.nii.gz", "--json", "--quiet", "-o", "r.nii.gz")
    assert code == 0 and "raw.nii.gz do not look like a CT" in json.loads(out)["warnings"][0]


def test_default_name_and_nothing_is_replaced_unasked(med3d):
    Path("elsewhere").mkdir()
    Path("scan.nii.gz").replace("elsewhere/Scan 1.NII.GZ")
    assert "Wrote Scan 1.seg.nrrd" in med3d("elsewhere/Scan 1.NII.GZ")[1]
    assert "use -o 'Scan 1.seg.nrrd'" in refused(med3d, "elsewhere/Scan 1.NII.GZ", word="exists already")
    assert med3d("elsewhere/Scan 1.NII.GZ", "-o", "Scan 1.seg.nrrd")[0] == 0
    write_ct(Path("elsewhere"))
    assert "Wrote elsewhere.seg.nrrd" in med3d("elsewhere")[1]


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
    assert "cannot be read" in med3d("series", "-o", "r.nii.gz")[1]
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


# -- what it refuses -----------------------------------------------------------------------------------------------


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
        ("series", "--series 2"),
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
    monkeypatch.setattr("Med3DCore.picture.find_spec", lambda _: None)
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


# -- too little memory or disk -------------------------------------------------------------------------------------


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
    monkeypatch.setattr("Med3DCore.io.read_volume", exhausted)
    refused(med3d, "scan.nii.gz", word="not enough memory")


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_result(med3d, monkeypatch):
    med3d("scan.nii.gz", "-o", "r.nii.gz")
    monkeypatch.setattr("Med3DCore.io.nifti._write_slices", full_disk)
    refused(med3d, "scan.nii.gz", "-o", "r.nii.gz", word="No space left")


def test_a_picture_that_fails_loses_no_segmentation(med3d, monkeypatch):
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full_disk)
    code, out, _ = med3d("scan.nii.gz", "-o", "r.nii.gz", "--picture", "p.png", "--json")
    report = json.loads(out)
    assert code == 1 and "picture" not in report and "No space left" in report["warnings"][-1]
    assert read_label_map("r.nii.gz").array.any()
    assert sorted(contents()) == ["r.nii.gz", "scan.nii.gz"]


# -- stopping it ---------------------------------------------------------------------------------------------------


def test_ctrl_c_at_every_step_leaves_nothing(med3d, monkeypatch):
    steps = iter(range(10**6))
    monkeypatch.setattr(Progress, "check", lambda _: next(steps))
    assert med3d("scan.nii.gz", "-o", "whole.nii.gz")[0] == 0
    count = next(steps)
    Path("whole.nii.gz").unlink()
    before = contents()
    for moment in range(0, count, 7):
        steps = iter(range(10**6))

        def check(_, steps=steps, moment=moment):
            if next(steps) == moment:
                raise KeyboardInterrupt

        monkeypatch.setattr(Progress, "check", check)
        code, out, err = med3d("scan.nii.gz", "-o", "r.nii.gz")
        assert (code, out) == (130, "") and err.endswith("med3d: stopped; no file was left half-written.\n")
        assert contents() == before


@pytest.mark.parametrize("ending", [".nii.gz", ".seg.nrrd"])
def test_ctrl_c_while_writing_keeps_the_old_result(med3d, monkeypatch, ending):
    med3d("scan.nii.gz", "-o", f"r{ending}")
    before = contents()

    def half(*arguments, **_):
        target = arguments[-1] if ending == ".seg.nrrd" else None
        (Path(target).write_bytes if target else arguments[0].write)(b"half")
        raise KeyboardInterrupt

    where = "Med3DCore.io.write._write_with_itk" if ending == ".seg.nrrd" else "Med3DCore.io.nifti._write_slices"
    monkeypatch.setattr(where, half)
    assert med3d("scan.nii.gz", "-o", f"r{ending}")[0] == 130
    assert contents() == before


def start(shipped, *arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MED3D_MODELS": str(shipped)}
    command = [sys.executable, "-m", "Med3DCore.cli.main", *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", **options
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send to a process")
@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("read", signal.SIGINT),
        ("start torch", signal.SIGINT),
        ("network", signal.SIGINT),
        ("start torch", signal.SIGTERM),
    ],
)
def test_a_signal_ends_the_process_cleanly(shipped, stage, number):
    before = contents()
    process = start(shipped, "segment", "scan.nii.gz", "--model", "bright", "-o", "r.nii.gz", "--mirror")
    for line in process.stderr:
        if stage in line:
            break
    for _ in range(3):  # somebody impatient
        process.send_signal(number)
    out, err = process.communicate(timeout=120)
    # Python ends itself by the signal if it came while a string of code ran; a shell shows the same number for both.
    assert process.returncode in (128 + number, -number)
    assert out == "" and err.splitlines()[-1] == "med3d: stopped; no file was left half-written."
    assert "Traceback" not in err and contents() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipes")
@pytest.mark.usefixtures("work")
def test_nobody_reads_the_output(shipped):
    process = start(shipped, "segment", "scan.nii.gz", "--model", "bright", "-o", "r.nii.gz", "--json")
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=120) == 141
    assert read_label_map("r.nii.gz").array.any()


# -- the command itself --------------------------------------------------------------------------------------------


def test_no_arguments_shows_the_help(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and all(command in err for command in ("segment", "info", "evaluate", "models", "phantom"))


@pytest.mark.parametrize(
    "arguments", [["segment"], ["segment", ""], ["segment", "a", "b"], ["segmnt"], ["segment", "a", "--no"]]
)
def test_misuse_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and "error:" in capsys.readouterr().err


def test_every_option_is_explained():
    for command, parser in make_parser()._subparsers._group_actions[0].choices.items():
        assert parser.description and "``" not in parser.description, command
        for action in parser._actions:
            assert action.help or action.dest == argparse.SUPPRESS, f"{command} {action.dest}"


@pytest.mark.parametrize(("encoding", "marks"), [("utf-8", "█·"), ("cp1252", "#.")])
def test_the_bar_fits_the_terminal_and_goes_away(monkeypatch, encoding, marks):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "50")
    bar = ProgressBar()
    bar("coarse: network", 0.5, 100.0)
    bar("a stage with a very long name indeed", 1.0, 5.0)
    bar.close()
    _, first, second, blank, last = terminal.buffer.getvalue().decode(encoding).split("\r")
    assert first.startswith(f"{marks[0] * 12}{marks[1] * 12}  50%  coarse: network, a")
    assert {len(first), len(second), len(blank)} == {49} and blank.strip() == last == ""


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("heavy", ["torch", "matplotlib"])
@pytest.mark.parametrize(
    "arguments", ["--help", "info scan.nii.gz", "evaluate r.nii.gz r.nii.gz", "models list", "segment missing.nii.gz"]
)
def test_what_does_not_compute_imports_no_torch(heavy, arguments):
    write_volume(make_volume().with_array((make_volume().array > 10).astype(np.uint8)), "r.nii.gz")
    code = (
        "import sys, Med3DCore\n"
        "assert not {'numpy', 'SimpleITK', 'torch'} & set(sys.modules)\n"
        "from Med3DCore.cli.main import main\n"
        "try: main(sys.argv[2:])\n"
        "except SystemExit: pass\n"
        "print('imported' if sys.argv[1] in sys.modules else 'free', file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code, heavy, *arguments.split()], env=environment, capture_output=True, text=True
    )
    assert result.stderr.splitlines()[-1] == "free", result.stderr


def test_people_see_volumes_and_the_time_of_each_stage(med3d):
    code, out, _ = med3d("scan.nii.gz", "-o", "seen.nii.gz", "--quiet", "--device", "cpu")
    assert code == 0 and " mL" in out and "Wrote seen.nii.gz" in out
    for stage in ("read", "start torch", "only: network", "restore", "write"):
        assert re.search(rf"^{stage} +\d+\.\d\d s$", out, re.MULTILINE), stage
