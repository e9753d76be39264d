"""NRRD and MetaImage that are cut, damaged or make no sense: refused in a sentence."""

from __future__ import annotations

import gzip
import random

import numpy as np
import pytest
from test_io_refusals import refusal
from text_headers import VALUES, a_meta, a_nrrd, read

from Med3DCore.errors import Med3DError, VolumeError
from Med3DCore.io import read_header, read_label_map
from Med3DCore.progress import Progress


def test_a_short_file_of_several_takes_nothing_from_the_next(tmp_path):
    for z, values in enumerate(VALUES):
        (tmp_path / f"s{z}.gz").write_bytes(
            gzip.compress(values.tobytes()[: -2 if z == 1 else None] + b"more" * (z == 2))
        )
    path = a_nrrd(tmp_path / "scan.nhdr", b"", encoding="gzip", data_file="s%d.gz 0 3 1")
    assert "truncated or damaged" in refusal(path)
    (tmp_path / "s1.gz").write_bytes(gzip.compress(VALUES[1].tobytes()))
    assert np.array_equal(read(path)[0].array, VALUES)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii", "hex"])
def test_a_file_that_is_too_short_is_found_by_its_header(tmp_path, encoding):
    with pytest.raises(VolumeError, match="truncated"):
        read_header(a_nrrd(tmp_path / "scan.nrrd", b"1", encoding=encoding, sizes="400 400 40"))


def test_a_header_without_an_end_is_not_read_for_ever(tmp_path):
    for path, line in (
        (a_nrrd(tmp_path / "scan.nrrd"), b"#" * 999 + b"\n"),
        (a_meta(tmp_path / "scan.mha"), b" " * 999 + b"\n"),
    ):
        first, _, rest = path.read_bytes().partition(b"\n")
        path.write_bytes(first + b"\n" + line * ((5 << 20) // len(line)) + rest)
        assert "damaged" in refusal(path)


@pytest.mark.parametrize(
    "name", ["/etc/hostname", "../scan.raw", "sub/scan.raw", "..\\scan.raw", "C:scan.raw", "\x1b[1m"]
)
@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_data_files_are_plain_names_beside_the_header(tmp_path, ending, name):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "scan.raw").write_bytes(VALUES.tobytes())
    path = tmp_path / f"scan{ending}"
    a_meta(path, b"", name) if ending == ".mhd" else a_nrrd(path, b"", data_file=name)
    assert "no file beside it" in refusal(path)


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_a_missing_data_file_is_named(tmp_path, ending):
    path = tmp_path / f"scan{ending}"
    a_meta(path, b"", "ct raw.raw") if ending == ".mhd" else a_nrrd(path, b"", data_file="ct raw.raw")
    assert "'ct raw.raw', which is not there" in refusal(path)
    (tmp_path / "ct raw.raw").write_bytes(VALUES.tobytes())
    assert np.array_equal(read(path)[0].array, VALUES)
    (tmp_path / "ct raw.raw").write_bytes(VALUES.tobytes()[:-2])
    assert "truncated" in refusal(path)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dimension": "17"}, "its dimension is 17"),
        ({"dimension": "three"}, "its dimension is 'three'"),
        ({"sizes": "6 5"}, "its sizes is '6 5'"),
        ({"sizes": "6 5 0"}, "no voxels"),
        ({"sizes": "6 5 -4"}, "no voxels"),
        ({"sizes": "6 5 999"}, "truncated"),
        ({"sizes": "6 5 99999999"}, "m long by its spacing"),
        ({"type": "block"}, "its type is 'block'"),
        ({"endian": None}, "its endian is missing"),
        ({"encoding": "zip"}, "its encoding is 'zip'"),
        ({"space": "left-right-up"}, "its space is"),
        ({"space_directions": "(1,0,0) (0,1,0)"}, "its space directions are"),
        ({"space_directions": "(1,0) (0,1) (0,0)"}, "its space directions are"),
        ({"space_directions": "(1e-6,0,0) (0,1,0) (0,0,1)"}, "a spacing of 1e-06"),
        ({"space_directions": "(1e30,0,0) (0,1,0) (0,0,1)"}, "a spacing of 1e+30"),
        ({"space_origin": "(nan,0,0)"}, "where its voxels lie"),
        ({"space_origin": "(1e30,0,0)"}, "cannot be in a patient"),
        ({"kinds": "domain"}, "its kinds are"),
        ({"byte_skip": "-2"}, "its byte skip is -2"),
        ({"sizess": "1"}, "it holds the line"),
        ({"content": "x" * 5_000_000}, "damaged"),
        ({"dimension": "5", "sizes": "6 5 1 2 2", "kinds": "domain domain domain list list"}, "."),
    ],
)
def test_nrrd_headers_that_make_no_sense(tmp_path, changes, expected):
    sentence = refusal(a_nrrd(tmp_path / "scan.nrrd", **changes))
    assert expected in sentence
    assert len(sentence) < 400


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"NDims": "11"}, "its ndims is 11"),
        ({"DimSize": "6 5"}, "its dimsize is"),
        ({"DimSize": "6 5 x"}, "its dimsize is"),
        ({"DimSize": "6 5 -4"}, "no voxels"),
        ({"ElementType": "MET_OTHER"}, "its elementtype is"),
        ({"ElementSpacing": "1e30 1 1"}, "a spacing of 1e+30"),
        ({"ElementSpacing": "1e-6 1 1"}, "a spacing of 1e-06"),
        ({"Offset": "nan 0 0"}, "where its voxels lie"),
        ({"TransformMatrix": "1 0 0"}, "its transformmatrix is"),
        ({"TransformMatrix": "nan 0 0 0 1 0 0 0 1"}, "where its voxels lie"),
        ({"ObjectType": "Mesh"}, "its objecttype is"),
        ({"CompressedData": "perhaps"}, "its compresseddata is"),
        ({"Comment": "x" * 5_000_000}, "damaged"),
    ],
)
def test_metaimage_headers_that_make_no_sense(tmp_path, changes, expected):
    sentence = refusal(a_meta(tmp_path / "scan.mha", **changes))
    assert expected in sentence
    assert len(sentence) < 400


def mutated(data: bytes, header: int, chance: random.Random) -> bytes:
    """A file with some bytes of its header changed, left out, or repeated."""
    head = bytearray(data[:header])
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(head))
        kind = chance.randrange(4)
        if kind == 0:
            head[place] = chance.randrange(256)
        elif kind == 1:
            del head[place : place + chance.choice((1, 3, 30))]
        elif kind == 2:
            head[place:place] = chance.choice((b"9" * 12, b"-", b"nan", b"\xff\0", b"(", b"%s", b"\n", b"1e39"))
        else:
            head[place:place] = head[max(0, place - 20) : place]
        if not head:
            break
    return bytes(head) + data[header:]


@pytest.mark.parametrize("name", ["a.nrrd", "a.seg.nrrd", "a.mha"])
def test_damaged_headers_give_a_sentence_or_a_volume(tmp_path, name):
    path = (a_meta if name == "a.mha" else a_nrrd)(tmp_path / name)
    whole = path.read_bytes()
    if name == "a.seg.nrrd":
        whole = whole.replace(b"\n\n", b"\nSegment0_ID:=liver\nSegment0_LabelValue:=1\nSegment0_Layer:=0\n\n")
    chance, refused = random.Random(5), 0
    for _ in range(300):
        path.write_bytes(mutated(whole, len(whole) - VALUES.nbytes, chance))
        try:
            read_label_map(path, progress=Progress()) if name == "a.seg.nrrd" else read(path)
        except Med3DError as error:
            refused += 1
            assert len(str(error)) < 500 + len(str(tmp_path))
    assert 100 < refused <= 300
