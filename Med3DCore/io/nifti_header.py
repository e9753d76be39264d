"""The headers of NIfTI-1 and NIfTI-2 files (nifti1.h, nifti2.h).

Of a file that says in two ways where it lies, that one is taken which ITK takes, so that Slicer shows the same.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Literal

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.byte_stream import decoded
from Med3DCore.io.grid import checked_grid, impossible_spacing, no_place, sheared
from Med3DCore.io.header import Header
from Med3DCore.io.orientation import HINT, difference, not_given
from Med3DCore.io.stored_voxels import StoredVoxels, damaged

TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COLOURS = {128: 3, 2304: 4}
_OTHER_TYPES = {1: "single bits", 32: "complex numbers", 1792: "complex numbers", 2048: "complex numbers"}
_UNITS = {1: 1e3, 3: 1e-3}
_SCANNER = 1
_ORDERS: tuple[tuple[Literal["<", ">"], Literal["little", "big"]], ...] = (("<", "little"), (">", "big"))
# Of pixdim and sform; float32 and tools that round one of them differ by less.
_SPACINGS_AGREE = 0.01
_HEADER_BYTES = 540
# Stored bytes that hold the header however they are compressed, and are inflated in a moment.
_ENOUGH = 1 << 14


def _layout(**fields: tuple[int, str, int]) -> np.dtype:
    formats = [(kind, (count,)) if count > 1 else kind for _, kind, count in fields.values()]
    offsets = [offset for offset, _, _ in fields.values()]
    return np.dtype({"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": _HEADER_BYTES})


_LAYOUTS = {
    348: _layout(
        dim=(40, "i2", 8),
        datatype=(70, "i2", 1),
        pixdim=(76, "f4", 8),
        vox_offset=(108, "f4", 1),
        scl=(112, "f4", 2),
        units=(123, "u1", 1),
        codes=(252, "i2", 2),
        quatern=(256, "f4", 3),
        qoffset=(268, "f4", 3),
        srow=(280, "f4", 12),
        magic=(344, "S4", 1),
    ),
    540: _layout(
        magic=(4, "S4", 1),
        datatype=(12, "i2", 1),
        dim=(16, "i8", 8),
        pixdim=(104, "f8", 8),
        vox_offset=(168, "i8", 1),
        scl=(176, "f8", 2),
        codes=(344, "i4", 2),
        quatern=(352, "f8", 3),
        qoffset=(376, "f8", 3),
        srow=(400, "f8", 12),
        units=(500, "i4", 1),
    ),
}


def read_nifti_header(path: Path) -> Header:
    """Read and check the header of a ``.nii`` or ``.nii.gz`` file.

    Raises:
        VolumeError: It is damaged, not 3D or 4D, or says nonsense about its grid.
    """
    head, order = _read(path)
    dim = head["dim"].astype(object)
    if not 1 <= dim[0] <= 7:
        raise _no_nifti(path, f"its number of dimensions is {dim[0]}")
    size = [int(n) for n in dim[1 : dim[0] + 1]]
    if len(size) < 3:
        raise VolumeError(f"{path} is a 2D picture; Med3D needs a 3D volume.")
    more = [max(1, n) for n in size[3:]]
    kind = "vector" if len(more) > 1 and more[0] == 1 and more[1] > 1 else "list"
    count = int(np.prod(more, dtype=object))
    code, encoding = int(head["datatype"]), "deflate" if path.name.lower().endswith(".gz") else "raw"
    shape, axis = ((count, *size[2::-1]), 0) if count > 1 else (tuple(size[2::-1]), None)
    if code in _COLOURS:
        shape, axis, kind = (*shape, _COLOURS[code]), len(shape), "RGB-color"
    elif code not in TYPES:
        stored = _OTHER_TYPES.get(code, f"type {code}")
        raise VolumeError(f"The voxels of {path} are stored as {stored}; convert them to whole or real numbers.")
    geometry, note, is_oriented = _place(path, head, size[:3])
    voxels = StoredVoxels(
        path,
        (path,),
        np.dtype(TYPES.get(code, "u1")).newbyteorder(order),
        shape,
        encoding,
        component_axis=axis,
        scale=_scale(head["scl"]),
        **({"skip": _offset(path, head)} if encoding == "deflate" else {"start": _offset(path, head)}),
    )
    return Header(path, "NIfTI", geometry, voxels, kind, orientation_note=note, is_oriented=is_oriented)


def _read(path: Path) -> tuple[np.void, Literal["<", ">"]]:
    """The header's fields and its byte order."""
    try:
        with path.open("rb") as file:
            stored = decoded(file, "deflate" if path.name.lower().endswith(".gz") else "raw", _ENOUGH)
            head = b""
            for piece in stored:
                head += piece
                if len(head) >= _HEADER_BYTES:
                    break
    except (EOFError, OSError, zlib.error):
        raise damaged(path) from None
    for order, name in _ORDERS:
        length = int.from_bytes(head[:4], name)
        if length in _LAYOUTS:
            if len(head) < length:
                raise damaged(path)
            whole = head[:_HEADER_BYTES].ljust(_HEADER_BYTES, b"\0")
            fields = np.frombuffer(whole, _LAYOUTS[length].newbyteorder(order))[0]
            if fields["magic"][:3] not in (b"n+1", b"n+2"):
                raise _no_nifti(path, "it lacks NIfTI's sign; if it is ANALYZE or the half of a pair, convert it")
            return fields, order
    if len(head) < 348:
        raise damaged(path)
    raise _no_nifti(path, "its first bytes are those of something else")


def _no_nifti(path: Path, reason: str) -> VolumeError:
    return VolumeError(f"{path} cannot be read as NIfTI ({reason}); it may be damaged, copy or export it again.")


def _offset(path: Path, head: np.void) -> int:
    offset = float(head["vox_offset"])
    if not 0 <= offset < 1 << 40:
        raise _no_nifti(path, f"its voxels would begin at byte {offset:g}")
    return int(offset)


def _scale(values: np.ndarray) -> tuple[float, float] | None:
    slope, intercept = (float(value) for value in values)
    if not (np.isfinite(slope) and np.isfinite(intercept)) or slope == 0 or (slope, intercept) == (1, 0):
        return None
    return slope, intercept


def _place(path: Path, head: np.void, size: list[int]) -> tuple[Geometry, str | None, bool]:
    """The grid, what is to be said about its orientation, and whether there is one."""
    scale = _UNITS.get(int(head["units"]) & 7, 1.0)
    pixdim = head["pixdim"][1:4].astype(np.float64) * scale
    if not min(pixdim) > 0:
        raise impossible_spacing(path, pixdim)
    q_code, s_code = (int(code) for code in head["codes"])
    if q_code <= 0 and s_code <= 0:
        lacking = "the qform_code and sform_code of its header are 0"
        note = not_given(path, lacking, ", where nibabel would take LAS")
        return checked_grid(path, size, pixdim, (0, 0, 0), np.eye(3)), note, False
    by_qform = _qform(path, head, size, pixdim, scale) if q_code > 0 else None
    by_sform = _sform(path, head, size, pixdim, scale) if s_code > 0 else None
    if by_sform is None or by_qform is None:
        if (only := by_sform or by_qform) is None:
            raise no_place(path)
        return only, None, True
    taken, name = (by_sform, "sform") if s_code == _SCANNER else (by_qform, "qform")
    if (apart := difference(by_qform, by_sform)) is None:
        return taken, None, True
    others = "nibabel, too" if name == "sform" else "nibabel takes the sform"
    note = (
        f"The header of {path} places the scan in two ways: by its sform (code {s_code}) it lies {apart} against its "
        f"qform (code {q_code}). The {name} was taken, as 3D Slicer does ({others}); {HINT}."
    )
    return taken, note, True


def _qform(path: Path, head: np.void, size: list[int], pixdim: np.ndarray, scale: float) -> Geometry:
    """Method 2 of nifti1.h: a quaternion, and pixdim[0] for the handedness."""
    b, c, d = head["quatern"].astype(np.float64)
    offset = head["qoffset"].astype(np.float64)
    if not np.all(np.isfinite([b, c, d, *offset])):
        raise no_place(path)
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    a, b, c, d = np.array([a, b, c, d]) / np.linalg.norm([a, b, c, d])
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    if head["pixdim"][0] < 0:
        rotation[:, 2] *= -1
    return _from_ras(path, size, pixdim, rotation, offset * scale)


def _sform(path: Path, head: np.void, size: list[int], pixdim: np.ndarray, scale: float) -> Geometry | None:
    """Method 3 of nifti1.h: an affine matrix; None if it is zero, as where only the code was set."""
    affine = head["srow"].astype(np.float64).reshape(3, 4) * scale
    if not np.all(np.isfinite(affine)):
        raise no_place(path)
    lengths = np.linalg.norm(affine[:, :3], axis=0)
    if not np.any(affine[:, :3]):
        return None
    if not np.all(lengths > 0):
        raise sheared(path)
    geometry = _from_ras(path, size, pixdim, affine[:, :3] / lengths, affine[:, 3])
    if not np.allclose(lengths, pixdim, rtol=_SPACINGS_AGREE):
        shown, other = (" x ".join(f"{value:g}" for value in values) for values in (lengths, pixdim))
        raise VolumeError(
            f"The header of {path} contradicts itself: the spacing is {other} mm by its pixdim and {shown} mm by its "
            "sform; correct it or export the image again."
        )
    return geometry


def _from_ras(path: Path, size: list[int], spacing: np.ndarray, axes: np.ndarray, origin: np.ndarray) -> Geometry:
    """NIfTI's axes run to the right, the front and the head."""
    to_lps = np.array([-1.0, -1.0, 1.0])
    return checked_grid(path, size, spacing, origin * to_lps, axes * to_lps[:, None])
