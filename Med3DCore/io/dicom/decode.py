"""Decoding compressed slices with GDCM, which sees their pixels alone.

It gets a file of a dozen elements: nothing that it would shift, invert or rescale in its own way.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from Med3DCore.io.dicom.code_stream import agrees
from Med3DCore.io.dicom.elements import damaged
from Med3DCore.io.dicom.pixels import PixelFormat

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def decode(pixels: PixelFormat, stream: bytes, folder: Path, name: str) -> np.ndarray:
    """The stored values of one compressed slice.

    Args:
        pixels: Of the file that it is from.
        stream: Its code stream.
        folder: For a file that GDCM reads.
        name: Of this file, not used by another thread.

    Returns:
        ``[y, x]`` of whole numbers.

    Raises:
        VolumeError: It is damaged.
    """
    import SimpleITK as sitk

    if not agrees(pixels, stream):
        raise damaged(pixels.path)
    path = folder / name
    path.write_bytes(_file(pixels, stream))
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO")).reshape(pixels.rows, -1)
    except (RuntimeError, ValueError):
        raise damaged(pixels.path) from None
    finally:
        path.unlink(missing_ok=True)


def _file(pixels: PixelFormat, stream: bytes) -> bytes:
    """A DICOM file of one slice that says no more than what decoding needs."""
    numbers = {0x02: 1, 0x10: pixels.rows, 0x11: pixels.columns}
    numbers |= {0x100: pixels.bits, 0x101: pixels.used, 0x102: pixels.high, 0x103: int(pixels.signed)}
    kind = _element(0x28, 0x04, "CS", b"MONOCHROME2 ")
    image = [_element(0x28, number, "US", struct.pack("<H", value)) for number, value in sorted(numbers.items())]
    image.insert(1, kind)
    meta = _element(2, 2, "UI", _uid(_SECONDARY_CAPTURE)) + _element(2, 3, "UI", b"1.2.3\0")
    meta += _element(2, 0x10, "UI", _uid(pixels.syntax))
    stream += b"\0" * (len(stream) % 2)
    fragments = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE000, len(stream)) + stream
    return b"".join(
        [
            bytes(128) + b"DICM",
            _element(2, 0, "UL", struct.pack("<I", len(meta))),
            meta,
            _element(8, 0x16, "UI", _uid(_SECONDARY_CAPTURE)),
            _element(8, 0x18, "UI", b"1.2.3\0"),
            *image,
            struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF),
            fragments,
            struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
        ]
    )


def _element(group: int, number: int, vr: str, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value


def _uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)
