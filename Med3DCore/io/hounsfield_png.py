"""Slices of a CT as 16-bit PNG, as DeepLesion keeps them: a pixel is HU + 32768 (papers.md C)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.io.itk import captured, short_reason
from Med3DCore.io.write import written_beside

_OFFSET = 32768
_MOST_PIXELS = 64_000_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_size(path: Path) -> tuple[int, int]:
    """Width and height of a grey 16-bit PNG, from its header.

    Raises:
        DataError: It is missing, no such PNG, or gigantic.
    """
    try:
        with path.open("rb") as file:
            head = file.read(26)
    except OSError as error:
        raise DataError(f"The slice {path} cannot be read: {error.strerror}.") from None
    if len(head) < 26 or not head.startswith(_SIGNATURE):
        raise DataError(f"{path} is no PNG picture; copy it again.")
    width, height, bits, colours = struct.unpack(">IIBB", head[16:])
    if (bits, colours) != (16, 0):
        raise DataError(f"{path} is no grey PNG of 16 bits, so it cannot hold HU; use the slices as published.")
    if not 0 < width * height <= _MOST_PIXELS:
        raise DataError(f"{path} is {width} x {height} pixels, which no slice of a CT is.")
    return width, height


def read_hounsfield_png(path: Path) -> np.ndarray:
    """HU of a slice, int32 ``[y, x]``.

    Raises:
        DataError: As :func:`png_size`, or it is damaged.
    """
    import SimpleITK as sitk

    width, height = png_size(path)
    try:
        with captured():
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="PNGImageIO"))
    except RuntimeError as error:
        raise DataError(f"The slice {path} is damaged ({short_reason(error)}); copy it again.") from None
    if array.shape != (height, width):
        raise DataError(f"The slice {path} is damaged; copy it again.")
    return array.astype(np.int32) - _OFFSET


def write_hounsfield_png(hu: np.ndarray, path: Path) -> None:
    """Write a slice ``[y, x]``; values beyond 16 bits are cut off.

    Raises:
        OutputError: It cannot be written.
    """
    import SimpleITK as sitk

    array = np.clip(np.rint(hu).astype(np.int64) + _OFFSET, 0, 65535).astype(np.uint16)
    with written_beside(path, ".png") as temporary:
        sitk.WriteImage(sitk.GetImageFromArray(array), str(temporary), useCompression=True)
