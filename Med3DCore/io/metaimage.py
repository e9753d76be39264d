"""The headers of MetaImage files, with the voxels behind them (``.mha``) or in other files (``.mhd``).

Source: the format's description at itk.org/Wiki/ITK/MetaIO/Documentation. Where that leaves something open, it is read
as ITK does, so that Slicer shows the same; but slope, intercept and units are applied, which ITK passes over.
"""

from __future__ import annotations

import reprlib
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.grid import checked_grid
from Med3DCore.io.header import Header
from Med3DCore.io.orientation import HINT, anatomical_letters, not_given, orientation_letters
from Med3DCore.io.stored_voxels import StoredVoxels
from Med3DCore.io.text_header import TextHeader, header_lines
from Med3DCore.io.units import in_mm

_TYPES = {"met_char": "i1", "met_short": "i2", "met_int": "i4", "met_long": "i4", "met_long_long": "i8"}
_TYPES |= {name.replace("met_", "met_u"): dtype.replace("i", "u") for name, dtype in _TYPES.items()}
_TYPES |= {"met_float": "f4", "met_double": "f8"}
_YES = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}
# Names of one thing; in ITK, too, the first that is there counts.
_AXES = ("transformmatrix", "rotation", "orientation")
_OFFSET = ("offset", "position", "origin")
_BYTE_ORDER = ("binarydatabyteordermsb", "elementbyteordermsb")
_SPACING = ("elementspacing", "elementsize")
_ONCE = {
    *("ndims", "dimsize", "elementtype", "elementdatafile", "binarydata", "compresseddata", "compresseddatasize"),
    *("headersize", "elementnumberofchannels", "anatomicalorientation", "distanceunits", "objecttype"),
    *("elementtointensityfunctionslope", "elementtointensityfunctionoffset", *_AXES, *_OFFSET, *_BYTE_ORDER, *_SPACING),
}


def read_metaimage_header(path: Path) -> Header:
    """Read and check the header of a ``.mha`` or ``.mhd`` file.

    Raises:
        VolumeError: It is damaged, not 3D or 4D, or says nonsense about its grid.
    """
    head, metadata, listed = _fields(path)
    head.one_of("objecttype", {"image": True}, "image")
    dimensions = head.whole("ndims", 1)[0]
    if not 1 <= dimensions <= 10:
        raise head.damaged(f"its ndims is {dimensions}")
    size = head.whole("dimsize", dimensions)
    if dimensions < 3:
        raise VolumeError(f"{path} is a 2D picture; Med3D needs a 3D volume.")
    more = [n for n in size[3:] if n != 1]
    channels = head.whole("elementnumberofchannels", 1)[0] if "elementnumberofchannels" in head.fields else 1
    geometry, note, notes = _place(head, size)
    if min(size) < 1 or len(more) > 1 or channels < 1 or (more and channels > 1):
        raise VolumeError(f"{path} has axes of {head.shown('dimsize')} voxels; Med3D needs a 3D volume.")
    shape = (*more, *size[2::-1], *([channels] if channels > 1 else []))
    axis = 0 if more else 3 if channels > 1 else None
    voxels = _voxels(head, listed, shape, axis)
    kind = "vector" if channels > 1 else "list"
    said = anatomical_letters(head.fields.get("anatomicalorientation", ""))
    is_oriented = _first(head, _AXES) is not None or bool(said)
    return Header(path, "MetaImage", geometry, voxels, kind, metadata, note, is_oriented, notes)


def _fields(path: Path) -> tuple[TextHeader, dict[str, str], list[str] | None]:
    """The fields of the format, all others, and the data files, None if the voxels follow the header."""
    fields: dict[str, str] = {}
    others: dict[str, str] = {}
    head = TextHeader(path, "MetaImage", fields, 0)
    lines = header_lines(path)
    for line, end in lines:
        if not line.strip():
            continue
        key, sign, value = line.partition("=")
        name, value = key.strip().lower(), value.strip()
        if not sign or name in fields:
            raise head.damaged(f"it holds the line {reprlib.repr(line)}")
        if name not in _ONCE:
            others[key.strip()] = value
            continue
        fields[name] = value
        if name != "elementdatafile":
            continue
        listed = None if value.upper() == "LOCAL" else [value]
        if value.upper().split()[:1] == ["LIST"]:
            listed = [line for line, _ in lines if line.strip()]
        return TextHeader(path, "MetaImage", fields, end), others, listed
    raise head.damaged("its header has no ElementDataFile")


def _first(head: TextHeader, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in head.fields), None)


def _place(head: TextHeader, size: list[int]) -> tuple[Geometry, str | None, tuple[str, ...]]:
    """The grid, what is to be said about its orientation, and what else."""
    count = len(size)
    if (name := _first(head, _SPACING)) is None:
        raise head.no_spacing()
    spacing = np.array(head.numbers(name, count)[:3])
    if not np.all(np.isfinite(spacing)):
        raise head.no_spacing()
    to_mm, notes = in_mm(head.path, [head.fields.get("distanceunits", "")] * 3)
    origin = np.zeros(3)
    if name := _first(head, _OFFSET):
        origin = np.array(head.numbers(name, count)[:3])
    direction = np.eye(3)
    axes = _first(head, _AXES)
    if axes:  # a row is an axis
        direction = np.array(head.numbers(axes, count * count)).reshape(count, count)[:3, :3].T
    geometry = checked_grid(head.path, size[:3], spacing * to_mm, origin * to_mm, direction)
    return geometry, _orientation_note(head, geometry, axes is not None), notes


def _orientation_note(head: TextHeader, geometry: Geometry, has_axes: bool) -> str | None:
    """ITK takes no notice of AnatomicalOrientation, which old programs write; so it can only confirm or contradict."""
    said = anatomical_letters(head.fields.get("anatomicalorientation", ""))
    taken = orientation_letters(geometry)
    if said and taken not in said:
        source = "its TransformMatrix" if has_axes else "without a TransformMatrix, of its AnatomicalOrientation alone"
        return (
            f"The header of {head.path} places the scan in two ways: its AnatomicalOrientation is "
            f"{head.fields['anatomicalorientation']}, but {taken} was taken ({source}), as 3D Slicer does; {HINT}."
        )
    return None if has_axes or said else not_given(head.path, "its header has no TransformMatrix")


def _voxels(head: TextHeader, listed: list[str] | None, shape: tuple[int, ...], axis: int | None) -> StoredVoxels:
    dtype, encoding = np.dtype(head.one_of("elementtype", _TYPES)), "raw"
    if not head.one_of("binarydata", _YES, "true"):
        encoding = "text"
    elif head.one_of("compresseddata", _YES, "false"):
        encoding = "deflate"
    if order := _first(head, _BYTE_ORDER):
        dtype = dtype.newbyteorder(">" if head.one_of(order, _YES) else "<")
    else:
        dtype = dtype.newbyteorder("<")
    files = (head.path,) if listed is None else head.data_files(listed)
    start = head.end if listed is None else head.skipped("headersize", -1)
    size = head.skipped("compresseddatasize") or None
    slope, offset = (
        head.numbers(name, 1)[0] if name in head.fields else usual
        for name, usual in (("elementtointensityfunctionslope", 1.0), ("elementtointensityfunctionoffset", 0.0))
    )
    if not np.all(np.isfinite((slope, offset))) or slope == 0:
        raise head.damaged(f"its ElementToIntensityFunction is {slope:g} x + {offset:g}")
    return StoredVoxels(
        head.path,
        files,
        dtype,
        shape,
        encoding,
        start,
        stored_size=size if encoding == "deflate" and len(files) == 1 else None,
        component_axis=axis,
        scale=None if (slope, offset) == (1, 0) else (slope, offset),
    )
