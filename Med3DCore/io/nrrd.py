"""The headers of NRRD files, attached (``.nrrd``) or with the voxels in other files (``.nhdr``).

Source: the format's definition at teem.sourceforge.net/nrrd/format.html. Where that leaves something open, it is read
as ITK does, so that Slicer shows the same.
"""

from __future__ import annotations

import re
import reprlib
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.io.grid import checked_grid
from Med3DCore.io.header import Header
from Med3DCore.io.nrrd_place import nrrd_place
from Med3DCore.io.stored_voxels import StoredVoxels, damaged
from Med3DCore.io.text_header import LONGEST, TextHeader, header_lines

_TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPE = {name: dtype for dtype, names in _TYPES.items() for name in names.split("|")}
_ENCODING = {
    "raw": "raw",
    **dict.fromkeys(("gzip", "gz"), "deflate"),
    **dict.fromkeys(("bzip2", "bz2"), "bzip2"),
    **dict.fromkeys(("text", "txt", "ascii"), "text"),
    "hex": "hex",
}
_SAME = {
    "centerings": "centers",
    "axismins": "axis mins",
    "axismaxs": "axis maxs",
    "datafile": "data file",
    "lineskip": "line skip",
    "byteskip": "byte skip",
    "blocksize": "block size",
    "sampleunits": "sample units",
    "oldmin": "old min",
    "oldmax": "old max",
}
_KNOWN = set(_SAME.values()) | {
    *("type", "dimension", "sizes", "encoding", "endian", "content", "number", "min", "max"),
    *("space", "space dimension", "space units", "space origin", "space directions", "measurement frame"),
    *("spacings", "thicknesses", "kinds", "labels", "units"),
}


def read_nrrd_header(path: Path) -> Header:
    """Read and check the header of a ``.nrrd`` or ``.nhdr`` file.

    Raises:
        VolumeError: It is damaged, not 3D or 4D, or says nonsense about its grid.
    """
    head, metadata, listed = _fields(path)
    dimension = head.whole("dimension", 1)[0]
    if not 1 <= dimension <= 16:
        raise head.damaged(f"its dimension is {dimension}")
    if dimension < 3:
        raise VolumeError(f"{path} is a 2D picture; Med3D needs a 3D volume.")
    sizes = head.whole("sizes", dimension)
    kinds = head.fields.get("kinds", "").lower().split() or [""] * dimension
    if len(kinds) != dimension:
        raise head.damaged(f"its kinds are {head.shown('kinds')}")
    place = nrrd_place(head, kinds)
    geometry = checked_grid(path, [sizes[axis] for axis in place.axes], place.spacing, place.origin, place.direction)
    more = [axis for axis in range(dimension) if axis not in place.axes and sizes[axis] != 1]
    if len(more) > 1 or min(sizes) < 1:
        raise VolumeError(f"{path} has axes of {head.shown('sizes')} voxels; Med3D needs a 3D volume.")
    kept = sorted([*place.axes, *more], reverse=True)
    shape = tuple(sizes[axis] for axis in kept)
    voxels = _voxels(head, listed, shape, kept.index(more[0]) if more else None)
    kind = (kinds[more[0]] if more else "") or "domain"
    note, notes = place.orientation_note, place.notes
    return Header(path, "NRRD", geometry, voxels, kind, metadata, note, note is None, notes)


def _fields(path: Path) -> tuple[TextHeader, dict[str, str], list[str] | None]:
    """The fields, the pairs of key and value, and the data files, None if the voxels follow the header."""
    fields: dict[str, str] = {}
    metadata: dict[str, str] = {}
    listed, end = None, 0
    head = TextHeader(path, "NRRD", fields, 0)
    lines = header_lines(path)
    if not re.fullmatch("NRRD000[1-6]", next(lines)[0]):
        raise head.damaged("its first line is not that of one")
    for line, position in lines:
        end = position
        if not line.strip():
            break
        if line.startswith("#"):
            continue
        key, colon, value = line.partition(":")
        name = _SAME.get(key.strip().lower(), key.strip().lower())
        if value.startswith("="):
            metadata[key] = _unescaped(value[1:])
        elif name not in _KNOWN or name in fields or not colon:
            raise head.damaged(f"it holds the line {reprlib.repr(line)}")
        else:
            fields[name] = value.strip()
        if name == "data file":
            listed = [value.strip()]
            if value.strip().upper().startswith("LIST"):  # all that follows are names
                listed = [line for line, _ in lines if line.strip()]
    return TextHeader(path, "NRRD", fields, end), metadata, listed


def _unescaped(value: str) -> str:
    return re.sub(r"\\(n|\\)", lambda match: "\n" if match[1] == "n" else "\\", value)


def _voxels(head: TextHeader, listed: list[str] | None, shape: tuple[int, ...], axis: int | None) -> StoredVoxels:
    dtype, encoding = np.dtype(head.one_of("type", _TYPE)), head.one_of("encoding", _ENCODING)
    if dtype.itemsize > 1 and encoding != "text":
        dtype = dtype.newbyteorder(head.one_of("endian", {"little": "<", "big": ">"}))
    files = (head.path,) if listed is None else head.data_files(listed)
    start = head.end if listed is None else 0
    if lines := head.skipped("line skip"):
        start = _behind_lines(head.path, files, start, lines)
    skip = head.skipped("byte skip", -1 if encoding == "raw" else 0)
    if encoding in ("raw", "text"):
        start, skip = (-1 if skip < 0 else start + skip), 0
    return StoredVoxels(head.path, files, dtype, shape, encoding, start, skip, component_axis=axis)


def _behind_lines(path: Path, files: tuple[Path, ...], start: int, count: int) -> int:
    """Where the voxels begin behind lines of another header."""
    if len(files) > 1:
        raise VolumeError(f"{path} skips lines in each of {len(files)} data files, which Med3D cannot; make it one.")
    with files[0].open("rb") as file:
        file.seek(start)
        for _ in range(count):
            if not file.readline(LONGEST):
                raise damaged(path)
        return file.tell()
