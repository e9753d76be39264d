"""What GDCM does not check: where the frames of a multi-frame DICOM image lie, and whether all pixels are there.

GDCM gives such an image one grid even if its frames have gaps, lie in any order or show two phases, and then calls
1 mm what it could not work out. So the positions that the file itself gives for each frame are compared with it.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import numpy as np

from Med3DCore.geometry import Geometry

_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_POSITION, _PIXEL_SPACING, _SLOPE, _INTERCEPT = (0x0020, 0x0032), (0x0028, 0x0030), (0x0028, 0x1053), (0x0028, 0x1052)
# Of the distance between frames; in mm, since positions are often rounded.
_UNEVEN, _ROUNDED = 0.02, 0.01


def fault_of_frames(path: Path, geometry: Geometry) -> str | None:
    """What is wrong with the frames of a multi-frame image, as the end of a sentence, or None.

    Args:
        path: The file, not compressed as a whole.
        geometry: The grid that GDCM gives it.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end = content.rfind(_PIXEL_DATA)
        header = content[: end if end >= 0 else len(content)]
    frames = geometry.size[2]
    positions = np.array([p for p in _numbers(header, _POSITION) if len(p) == 3])
    if len(positions) != frames or not _numbers(header, _PIXEL_SPACING):
        return f"does not say where each of its {frames} frames lies"
    if any(len(set(_numbers(header, tag))) > 1 for tag in (_SLOPE, _INTERCEPT)):
        return "rescales each of its frames differently"
    ends = [geometry.index_to_physical[:3] @ (0, 0, z, 1) for z in (0, frames - 1)]
    wanted = np.linspace(*ends, frames)
    off = min(np.abs(positions - order).max() for order in (wanted, wanted[::-1]))
    if off > _UNEVEN * geometry.spacing[2] + _ROUNDED:
        return "has frames that do not lie one behind the other in even steps (gaps, several phases, or another order)"
    return None


def bytes_from_pixels_on(path: Path) -> int:
    """How many bytes a file has from the first pixel data in it on; 0 if there are none."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(_PIXEL_DATA)
        return max(0, len(content) - start - len(_PIXEL_DATA) - 4) if start >= 0 else 0


def _numbers(header: bytes, tag: tuple[int, int]) -> list[tuple[float, ...]]:
    """The values of all decimal strings of a tag, with or without the VR written out, little endian."""
    name = b"".join(part.to_bytes(2, "little") for part in tag)
    pattern = re.compile(re.escape(name) + rb"(?:DS(..)|(..)\x00\x00)", re.DOTALL)
    found = []
    for match in pattern.finditer(header):
        length = int.from_bytes(match[1] or match[2], "little")
        text = header[match.end() : match.end() + length].decode("ascii", "replace")
        try:
            found.append(tuple(float(value) for value in text.strip(" \0").split("\\")))
        except ValueError:
            continue
    return found
