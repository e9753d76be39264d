"""DICOM pixels: the values that they stand for, however they are stored; damaged ones cost nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import USUAL, format_of, write_file, write_frames, write_series, write_slice
from dicom_scans import hounsfield, read, refusal

from Med3DCore.errors import Med3DError
from Med3DCore.io import list_series
from Med3DCore.io.dicom import tags
from Med3DCore.io.dicom.elements import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, read_elements
from Med3DCore.io.dicom.fragments import JPEG, JPEG_2000, RLE
from Med3DCore.progress import Progress

SYNTAXES = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)


def write(folder: Path, stored: np.ndarray, changes: dict, syntax: str = EXPLICIT) -> None:
    for z, values in enumerate(stored):
        write_slice(folder / f"im{z}.dcm", values, 3.0 * z, changes, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8, np.int32])
def test_all_ways_to_store_pixels(tmp_path, syntax, dtype):
    low = max(np.iinfo(dtype).min, -1500)
    stored = np.random.default_rng(0).integers(low, min(np.iinfo(dtype).max, 4000), (3, 4, 6)).astype(dtype)
    write(tmp_path, stored, {tags.INTERCEPT: "-24", tags.SLOPE: "2"}, syntax)
    assert np.array_equal(read(tmp_path)[0], 2 * stored.astype(np.int32) - 24)
    write(tmp_path, stored, {tags.INTERCEPT: "0.25", tags.SLOPE: "0.5"}, syntax)
    assert np.array_equal(read(tmp_path)[0], 0.5 * stored + 0.25)


@pytest.mark.parametrize(("used", "high"), [(12, 11), (12, 15), (10, 11)])
@pytest.mark.parametrize("signed", [0, 1])
def test_bits_beside_the_value_do_not_count(tmp_path, used, high, signed):
    rng = np.random.default_rng(0)
    values = rng.integers(-(1 << used - 1) if signed else 0, 1 << (used - signed), (3, 4, 6))
    shift = high + 1 - used
    overlays = rng.integers(0, 1 << 16, values.shape) & ~(((1 << used) - 1) << shift)
    stored = ((values & ((1 << used) - 1)) << shift | overlays).astype(np.uint16)
    write(tmp_path, stored, {tags.BITS_USED: used, tags.HIGH_BIT: high, tags.SIGNED: signed, tags.INTERCEPT: "0"})
    assert np.array_equal(read(tmp_path)[0], values)


def test_a_picture_shown_inverted_has_the_values_that_it_has(tmp_path):
    write_series(tmp_path / "slices", hounsfield(), change=lambda _: {tags.PHOTOMETRIC: "MONOCHROME1"})
    assert np.array_equal(read(tmp_path / "slices")[0], hounsfield())
    write_frames(tmp_path / "frames" / "f.dcm", hounsfield(), changes={tags.PHOTOMETRIC: "MONOCHROME1"})
    assert np.array_equal(read(tmp_path / "frames")[0], hounsfield())
    stored = (hounsfield(3).astype(np.int32) + 1024).astype(np.uint16)
    write_compressed(tmp_path / "jpeg", stored, "JPEG", {tags.PHOTOMETRIC: "MONOCHROME1"})
    assert np.array_equal(read(tmp_path / "jpeg")[0], hounsfield(3))


def test_a_modality_lut_is_applied(tmp_path):
    stored = np.random.default_rng(0).integers(0, 60, (3, 4, 6)).astype(np.uint16)
    table = (np.arange(50, dtype=np.int32) * 30 - 1024).astype(np.int16)  # from the stored value 5 on

    def changes(data: bytes, bits: int = 16, kind: str = "HU") -> dict:
        lut = {tags.LUT_DESCRIPTOR: (50, 5, bits), tags.LUT_TYPE: kind, tags.LUT_DATA: data}
        return {tags.MODALITY_LUT: [lut], tags.INTERCEPT: None, tags.SLOPE: None}

    wanted = table[np.clip(stored.astype(int) - 5, 0, 49)]
    write(tmp_path, stored, changes(table.tobytes()))
    assert np.array_equal(read(tmp_path)[0], wanted)
    write(tmp_path, stored, changes(np.arange(50, 100, dtype=np.uint8).tobytes(), 8, "US"))
    assert np.array_equal(read(tmp_path)[0], np.clip(stored.astype(int) + 45, 50, 99))
    write(tmp_path, stored, changes(b"\0\0"))
    assert "Modality LUT that cannot be read" in refusal(tmp_path)


def test_a_slope_of_zero_is_refused(tmp_path):
    write_series(tmp_path, hounsfield(3), change=lambda _: {tags.SLOPE: "0"})
    assert "RescaleSlope of 0" in refusal(tmp_path)


def test_each_frame_has_its_own_rescale_and_strays_do_not_count(tmp_path):
    hu = hounsfield(6)
    groups = [{tags.VALUE_TRANSFORMATION: [{tags.SLOPE: str(1 + z), tags.INTERCEPT: str(-z)}]} for z in range(6)]
    groups = [group | {0x00081140: [{tags.POSITION: "7\\7\\7"}]} for group in groups]
    write_frames(tmp_path / "f.dcm", hu, groups, {tags.POSITION: "5\\5\\5", 0x00081115: [{tags.POSITION: "6\\6\\6"}]})
    array, geometry, warnings = read(tmp_path)
    scale = np.arange(6)[:, None, None]
    assert np.array_equal(array, (hu.astype(int) + 1024) * (1 + scale) - scale)
    assert geometry.origin == (-100.0, -80.0, 0.0) and warnings == []


def test_frames_without_a_place_each_are_refused(tmp_path):
    write_frames(tmp_path / "f.dcm", hounsfield(6), [{}] * 6, {tags.PER_FRAME: [{}] * 5, tags.POSITION: "1\\2\\3"})
    assert "does not say where each of its 6 frames lies" in refusal(tmp_path)


@pytest.mark.parametrize("frames", ["inf", "nan", "-1", "1e300", "2"])
def test_an_absurd_number_of_frames_is_damage(tmp_path, frames):
    write_series(tmp_path, hounsfield(3), change=lambda z: {tags.FRAMES: frames} if z == 1 else {})
    progress = Progress()
    series = list_series(tmp_path, progress)[0]
    assert series.slices == (3 if frames in ("inf", "nan") else 2)
    assert any("im002.dcm" in sentence for sentence in progress.warnings) == (series.slices == 2)


def test_unknown_compression_and_odd_bits_are_refused_in_words(tmp_path):
    stored = hounsfield(1)[0]
    elements = USUAL | format_of(stored) | {tags.POSITION: "0\\0\\0"}
    write_file(tmp_path / "a" / "im.dcm", elements, (b"", b"\xff\x4f" + bytes(40)), "1.2.840.10008.1.2.4.201")
    assert "compressed in a way that cannot be read (1.2.840.10008.1.2.4.201)" in refusal(tmp_path / "a")
    write_file(tmp_path / "b" / "im.dcm", elements | {tags.BITS: 12, tags.BITS_USED: 12}, stored.tobytes())
    assert "stores its pixels in 12 bits" in refusal(tmp_path / "b")


# -- compressed --------------------------------------------------------------------------------------------------------


def code_stream(stored: np.ndarray, folder: Path, kind: str) -> tuple[bytes, str]:
    """What GDCM makes of a slice, and its transfer syntax; kind is JPEG or JPEG2000, RLE is made here."""
    if kind == "RLE":
        planes = stored.astype(">u2").view(np.uint8).reshape(-1, 2).T
        packed = [
            b"".join(bytes([47]) + plane[at : at + 48].tobytes() for at in range(0, 1920, 48)) for plane in planes
        ]
        offsets = [2, 64, 64 + len(packed[0])]
        return struct.pack("<16I", *offsets, *[0] * 13) + b"".join(packed), RLE
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetFileName(str(folder / "made.dcm"))
    writer.SetUseCompression(True)
    writer.SetCompressor(kind)
    folder.mkdir(parents=True, exist_ok=True)
    writer.Execute(sitk.GetImageFromArray(stored))
    header, syntax = read_elements(folder / "made.dcm")
    content = (folder / "made.dcm").read_bytes()[header.pixels[0] + 8 :]
    (folder / "made.dcm").unlink()
    return content[8 : 8 + int.from_bytes(content[4:8], "little")], syntax


def write_compressed(folder: Path, stored: np.ndarray, kind: str, changes: dict | None = None) -> list[bytes]:
    streams = []
    for z, values in enumerate(stored):
        stream, syntax = code_stream(values, folder, kind)
        elements = USUAL | format_of(values) | {tags.POSITION: f"0\\0\\{3 * z}", tags.IMAGE_UID: f"1.{z}"}
        write_file(folder / f"im{z}.dcm", elements | (changes or {}), (b"", stream), syntax)
        streams.append(stream)
    return streams


def picture(slices: int = 3) -> np.ndarray:
    y, x = np.mgrid[:40, :48]
    return np.stack([(1024 + 10 * y + 3 * x + z).astype(np.uint16) for z in range(slices)])


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", "RLE"])
def test_compressed_slices_and_frames(tmp_path, kind):
    stored = picture()
    streams = write_compressed(tmp_path / "slices", stored, kind)
    assert np.array_equal(read(tmp_path / "slices")[0], stored.astype(int) - 1024)
    syntax = {"JPEG": JPEG[3], "JPEG2000": JPEG_2000[0], "RLE": RLE}[kind]
    position = [{tags.PLANE_POSITION: [{tags.POSITION: f"0\\0\\{3 * z}"}]} for z in range(3)]
    elements = USUAL | format_of(stored[0]) | {tags.FRAMES: "3", tags.PER_FRAME: position}
    write_file(tmp_path / "whole" / "f.dcm", elements, (b"", *streams), syntax)
    assert np.array_equal(read(tmp_path / "whole")[0], stored.astype(int) - 1024)
    if kind == "RLE":
        return  # a frame is one fragment there
    parts = [piece for stream in streams for piece in (stream[:100], stream[100:])]
    starts = np.cumsum([0, *(16 + len(stream) + len(stream) % 2 for stream in streams)])[:3]
    for table in (b"", struct.pack("<3I", *starts)):
        write_file(tmp_path / "parts" / "f.dcm", elements, (table, *parts), syntax)
        assert np.array_equal(read(tmp_path / "parts")[0], stored.astype(int) - 1024)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", "RLE"])
@pytest.mark.parametrize("low", [-1000, 100])
def test_compressed_negative_values_of_fewer_bits_than_they_take(tmp_path, kind, low):
    values = picture().astype(int) - 1024 + low
    stored = (values & 0xFFF).astype(np.uint16)
    write_compressed(
        tmp_path, stored, kind, {tags.SIGNED: 1, tags.BITS_USED: 12, tags.HIGH_BIT: 11, tags.INTERCEPT: "0"}
    )
    assert np.array_equal(read(tmp_path)[0], values)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", "RLE"])
@pytest.mark.parametrize("left", [0.2, 0.8])
def test_a_truncated_compressed_slice_is_named_before_anything_is_decoded(tmp_path, kind, left, monkeypatch):
    write_compressed(tmp_path, picture(), kind)
    path = tmp_path / "im2.dcm"
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    monkeypatch.setattr(sitk, "ReadImage", None)
    progress = Progress()
    assert list_series(tmp_path, progress)[0].slices == 2
    assert len(progress.warnings) == 1 and "im2.dcm" in progress.warnings[0]


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", "RLE"])
def test_a_code_stream_that_promises_more_than_the_header_is_not_decoded(tmp_path, kind, monkeypatch):
    streams = write_compressed(tmp_path, picture(), kind)
    monkeypatch.setattr(sitk, "ReadImage", None)
    if kind == "RLE":
        wrong = struct.pack("<I", 9) + streams[2][4:]
    elif kind == "JPEG":
        wrong = streams[2].replace(struct.pack(">HH", 40, 48), struct.pack(">HH", 42, 48))
    else:
        wrong = streams[2].replace(struct.pack(">II", 48, 40), struct.pack(">II", 48, 42))
    assert wrong != streams[2]
    path = tmp_path / "im2.dcm"
    path.write_bytes(path.read_bytes().replace(streams[2], wrong))
    for other in ("im0.dcm", "im1.dcm"):
        (tmp_path / other).unlink()
    assert "im2.dcm is truncated or damaged" in refusal(tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", "RLE"])
def test_a_code_stream_of_more_bits_than_the_header_is_not_decoded(tmp_path, kind, monkeypatch):
    write_compressed(tmp_path, picture(1), kind, {tags.BITS: 8, tags.BITS_USED: 8, tags.HIGH_BIT: 7})
    monkeypatch.setattr(sitk, "ReadImage", None)
    assert "im0.dcm is truncated or damaged" in refusal(tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", "RLE"])
def test_a_code_stream_that_breaks_off_is_damaged(tmp_path, kind):
    streams = write_compressed(tmp_path, picture(), kind)
    path = tmp_path / "im2.dcm"
    elements = USUAL | format_of(picture()[2]) | {tags.POSITION: "0\\0\\6", tags.IMAGE_UID: "1.2"}
    write_file(path, elements, (b"", streams[2][: len(streams[2]) // 2]), read_elements(path)[1])
    assert "im2.dcm is truncated or damaged" in refusal(tmp_path)


@pytest.mark.parametrize("number", range(40))
def test_a_damaged_header_is_a_sentence_or_a_volume(tmp_path, number):
    write_series(tmp_path, hounsfield(3))
    write_frames(tmp_path / "f.dcm", hounsfield(4), changes={tags.SERIES_UID: "7"})
    rng = np.random.default_rng(number)
    for path in sorted(tmp_path.iterdir()):
        data = bytearray(path.read_bytes())
        for _ in range(4):
            data[rng.integers(0, len(data))] = rng.integers(0, 256)
        path.write_bytes(data[: int(rng.integers(len(data) // 2, len(data) + 1))])
    try:
        for number in range(1, 1 + len(list_series(tmp_path, Progress()))):
            read(tmp_path, series=number)
    except Med3DError as error:
        assert str(error).endswith(".") and len(str(error)) < 2000
