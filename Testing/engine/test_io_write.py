"""Writing: whole or not at all, and a sentence if not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from test_io_formats import ENDINGS, a_volume

from Med3DCore.errors import Cancelled, OutputError
from Med3DCore.geometry import Geometry
from Med3DCore.io import check_output, read_volume, write_label_map, write_volume, written_beside
from Med3DCore.labels import find_labels
from Med3DCore.volume import LabelMap, Volume


def refusal(path: Path) -> str:
    with pytest.raises(OutputError) as caught:
        write_volume(a_volume(), path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_endings(tmp_path):
    for name in ("scan", "scan.dcm", "scan.nhdr", "scan.png"):
        assert ".nii.gz, .nii, .nrrd, .mha" in refusal(tmp_path / name)
    write_volume(a_volume(), tmp_path / "SCAN.NII.GZ")
    assert np.array_equal(read_volume(tmp_path / "SCAN.NII.GZ").array, a_volume().array)


def test_places_that_cannot_be(tmp_path):
    assert "create it first" in refusal(tmp_path / "nowhere" / "scan.nii.gz")
    (tmp_path / "scan.nii.gz").mkdir()
    assert "is a folder; give the name of a file in it" in refusal(tmp_path / "scan.nii.gz")
    (tmp_path / "file").touch()
    assert "no folder" in refusal(tmp_path / "file" / "scan.nii.gz")


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "may not write" in refusal(tmp_path / "scan.nii.gz")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="only Linux has a folder that even root may not write")
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_system_refuses_the_file(ending):
    assert "choose" in refusal(Path(f"/proc/self/scan{ending}"))


def test_check_output_is_for_any_result(tmp_path):
    check_output(tmp_path / "result.seg.nrrd")
    check_output(tmp_path / "picture.png", endings=(".png",))
    with pytest.raises(OutputError, match=r"\.png"):
        check_output(tmp_path / "picture.jpg", endings=(".png",))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, ending, monkeypatch):
    target = tmp_path / f"scan{ending}"
    target.write_text("old")

    def half_written(_image, path, **_options):
        Path(path).write_text("half")
        raise RuntimeError("sitk::ERROR: x\nITK ERROR: MetaImageIO(0x5): File cannot be written\nReason: No space left")

    def no_space(stream, *_rest):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("SimpleITK.WriteImage", half_written)
    monkeypatch.setattr("Med3DCore.io.nifti._write_slices", no_space)
    assert "No space left" in refusal(target)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_text() == "old"


@pytest.mark.skipif(os.name != "posix", reason="Windows knows no limit of a file's size")
@pytest.mark.parametrize("ending", [*ENDINGS, ".seg.nrrd"])
@pytest.mark.parametrize("lacking", [1, 40, 4000])
def test_a_disk_that_lacks_room_for_the_last_bytes(tmp_path, ending, lacking):
    import resource

    path = tmp_path / f"scan{ending}"
    noise = np.random.default_rng(0).integers(0, 2, (30, 40, 50)).astype(np.uint8)  # hardly compresses
    labels = LabelMap(noise, Geometry((50, 40, 30)), "noise", find_labels(["liver"]))
    write_label_map(labels, path)
    size = path.stat().st_size
    path.unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - lacking, before[1]))
    try:
        with pytest.raises(OutputError, match=r"the disk is full|File too large"):
            write_label_map(labels, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [Cancelled("stopped"), KeyboardInterrupt()])
def test_stopping_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)), written_beside(tmp_path / "scan.nii.gz") as temporary:
        temporary.write_text("half")
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".nii.gz")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_is_replaced(tmp_path):
    path = tmp_path / "scan.nrrd"
    path.write_text("old")
    os.link(path, tmp_path / "same file")
    write_volume(a_volume(), path)
    assert np.array_equal(read_volume(path).array, a_volume().array)
    assert (tmp_path / "same file").read_text() == "old"  # a new file took the name; the old was not written into
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("given", "stored"), [(bool, np.uint8), (np.int64, np.int16), (np.float64, np.float32), (np.uint16, np.int16)]
)
def test_types_that_are_stored_smaller(tmp_path, given, stored):
    array = np.arange(60).reshape(3, 4, 5).astype(given)
    if given is np.float64:
        array += 0.5
    write_volume(Volume(array, Geometry((5, 4, 3))), tmp_path / "scan.nii.gz")
    back = read_volume(tmp_path / "scan.nii.gz").array
    assert back.dtype == stored
    assert np.array_equal(back, array)


def test_an_axis_too_long_for_nifti(tmp_path):
    volume = Volume(np.zeros((1, 1, 32768), np.uint8), Geometry((32768, 1, 1)))
    with pytest.raises(OutputError, match=r"write it as \.nrrd"):
        write_volume(volume, tmp_path / "scan.nii")
    assert list(tmp_path.iterdir()) == []


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(a_volume(), tmp_path / name)
    data = (tmp_path / "a.nii.gz").read_bytes()
    assert data == (tmp_path / "b.nii.gz").read_bytes()
    assert data[3:8] == bytes(5)  # no name and no time in the header of gzip


@pytest.mark.parametrize("ending", [".nii.gz", ".seg.nrrd"])
def test_a_label_map_is_small_and_quick(tmp_path, ending):
    array = np.zeros((100, 256, 256), np.uint8)
    array[20:80, 60:200, 60:200] = 1
    labels = LabelMap(array, Geometry((256, 256, 100)), "big", find_labels(["liver"]))
    start = time.perf_counter()
    write_label_map(labels, tmp_path / f"big{ending}")
    assert time.perf_counter() - start < 1.0  # 0.02 s on an idle computer
    assert (tmp_path / f"big{ending}").stat().st_size < array.size / 100
