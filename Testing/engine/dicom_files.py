"""DICOM files for tests, written element by element, so that a test can say what is wrong with them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from Med3DCore.io.dicom import tags
from Med3DCore.io.dicom.elements import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT

_BINARY = {
    tags.ROWS,
    tags.COLUMNS,
    tags.SAMPLES,
    tags.BITS,
    tags.BITS_USED,
    tags.HIGH_BIT,
    tags.SIGNED,
    tags.LUT_DESCRIPTOR,
    tags.FRAME_ACQUISITION,
}
_UIDS = {tags.SOP_CLASS, tags.IMAGE_UID, tags.STUDY_UID, tags.SERIES_UID, tags.FRAME_OF_REFERENCE}
CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
SPACING = (2.0, 1.5)
USUAL = {
    tags.SOP_CLASS: CT,
    tags.MODALITY: "CT",
    tags.SERIES_DESCRIPTION: "Thorax",
    tags.STUDY_UID: "1.2",
    tags.SERIES_UID: "1.2.3",
    tags.SERIES_NUMBER: "3",
    tags.ACQUISITION: "1",
    tags.ORIENTATION: "1\\0\\0\\0\\1\\0",
    tags.SAMPLES: 1,
    tags.PHOTOMETRIC: "MONOCHROME2",
    tags.PIXEL_SPACING: f"{SPACING[1]}\\{SPACING[0]}",
    tags.INTERCEPT: "-1024",
    tags.SLOPE: "1",
}


def write_file(path: Path, elements: dict, pixels: bytes | Sequence[bytes], syntax: str = EXPLICIT) -> None:
    """A DICOM file.

    Args:
        path: The file; its folder is made.
        elements: Texts, whole numbers (or a tuple of them), bytes, or lists of such dicts for sequences, by tag.
        pixels: As they are, or the fragments of compressed ones; the first is their offset table.
        syntax: Transfer syntax UID.
    """
    order, explicit = ">" if syntax == BIG_ENDIAN else "<", syntax != IMPLICIT
    body = _data_set(elements, order, explicit)
    if isinstance(pixels, bytes):
        body += _element(tags.PIXELS, b"OW", pixels, order, explicit)
    else:
        items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(one)) + one for one in map(_even, pixels))
        body += (
            struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        )
    if syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
    kind = _element(0x00020002, b"UI", _even(elements.get(tags.SOP_CLASS, CT).encode()), "<", True)
    meta = kind + _element(tags.TRANSFER_SYNTAX, b"UI", _even(syntax.encode()), "<", True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        bytes(128) + b"DICM" + _element(0x00020000, b"UL", struct.pack("<I", len(meta)), "<", True) + meta + body
    )


def format_of(stored: np.ndarray) -> dict:
    """The elements that say how pixels ``[y, x]`` are stored."""
    bits = 8 * stored.itemsize
    numbers = {tags.ROWS: stored.shape[0], tags.COLUMNS: stored.shape[1], tags.BITS: bits, tags.BITS_USED: bits}
    return numbers | {tags.HIGH_BIT: bits - 1, tags.SIGNED: int(stored.dtype.kind == "i")}


def write_slice(path: Path, stored: np.ndarray, z: float, changes: dict | None = None, syntax: str = EXPLICIT) -> None:
    """A slice of a CT at ``z`` mm; ``changes`` are elements over the usual ones, None for none."""
    number = path.stem.strip("abcdefghijklmnopqrstuvwxyz")
    elements = USUAL | format_of(stored) | {tags.POSITION: f"-100\\-80\\{z:g}", tags.IMAGE_UID: f"1.2.3.{number or 0}"}
    elements |= {tags.INSTANCE: number} | (changes or {})
    order = ">" if syntax == BIG_ENDIAN else "<"
    pixels = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
    write_file(path, {tag: value for tag, value in elements.items() if value is not None}, pixels, syntax)


def write_series(
    folder: Path, hu: np.ndarray, places: Sequence[float] | None = None, change: Callable | None = None, first: int = 1
) -> None:
    """A CT of slices 3 mm apart, stored as 16 bits with an offset of 1024.

    Args:
        folder: Where to.
        hu: ``[z, y, x]``.
        places: z of the slices in mm.
        change: Gives the elements over the usual ones for each slice, by its number from 0.
        first: Number of the first file.
    """
    for number, values in enumerate(hu):
        z = 3.0 * number if places is None else places[number]
        stored = (values.astype(np.int32) + 1024).astype(np.uint16)
        write_slice(folder / f"im{first + number:03d}.dcm", stored, z, change(number) if change else None)


def write_frames(path: Path, hu: np.ndarray, groups: Sequence[dict] | None = None, changes: dict | None = None) -> None:
    """An enhanced CT: all slices, 3 mm apart, in one file.

    Args:
        path: The file.
        hu: ``[z, y, x]``.
        groups: Elements over the usual ones for each frame, by the sequence that they are in.
        changes: Elements over the usual ones of the file.
    """
    stored = (hu.astype(np.int32) + 1024).astype(np.uint16)
    groups = groups or [{} for _ in hu]
    shared = {
        tags.PLANE_ORIENTATION: [{tags.ORIENTATION: USUAL[tags.ORIENTATION]}],
        tags.PIXEL_MEASURES: [{tags.PIXEL_SPACING: USUAL[tags.PIXEL_SPACING]}],
        tags.VALUE_TRANSFORMATION: [{tags.INTERCEPT: "-1024", tags.SLOPE: "1"}],
    }
    frames = [
        {tags.PLANE_POSITION: [{tags.POSITION: f"-100\\-80\\{3 * number}"}]} | group
        for number, group in enumerate(groups)
    ]
    own = (tags.ORIENTATION, tags.PIXEL_SPACING, tags.INTERCEPT, tags.SLOPE)
    elements = {tag: value for tag, value in USUAL.items() if tag not in own} | format_of(stored[0])
    elements |= {tags.SOP_CLASS: ENHANCED_CT, tags.IMAGE_UID: "1.2.3.1", tags.FRAMES: str(len(hu))}
    elements |= {tags.SHARED: [shared], tags.PER_FRAME: frames} | (changes or {})
    write_file(path, elements, stored.tobytes())


def _data_set(elements: dict, order: str, explicit: bool) -> bytes:
    return b"".join(_any(tag, value, order, explicit) for tag, value in sorted(elements.items()))


def _any(tag: int, value: object, order: str, explicit: bool) -> bytes:
    if isinstance(value, list):
        sets = [_data_set(item, order, explicit) for item in value]
        items = b"".join(struct.pack(f"{order}HHI", 0xFFFE, 0xE000, len(item)) + item for item in sets)
        return _element(tag, b"SQ", items, order, explicit)
    if tag in _BINARY:
        numbers = value if isinstance(value, tuple) else (value,)
        return _element(tag, b"US", struct.pack(f"{order}{len(numbers)}H", *numbers), order, explicit)
    if isinstance(value, bytes):
        return _element(tag, b"OW", value, order, explicit)
    vr, filling = (b"UI", b"\0") if tag in _UIDS else (b"LO", b" ")
    return _element(tag, vr, _even(str(value).encode("latin_1"), filling), order, explicit)


def _element(tag: int, vr: bytes, value: bytes, order: str, explicit: bool) -> bytes:
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if not explicit:
        return head + struct.pack(f"{order}I", len(value)) + value
    if vr in (b"OB", b"OW", b"SQ"):
        return head + vr + bytes(2) + struct.pack(f"{order}I", len(value)) + value
    return head + vr + struct.pack(f"{order}H", len(value)) + value


def _even(value: bytes, filling: bytes = b"\0") -> bytes:
    return value + filling * (len(value) % 2)
