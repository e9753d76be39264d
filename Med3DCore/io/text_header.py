"""What ITK passes over without a word in the text headers of NRRD and MetaImage files.

A spacing that is missing or not a number becomes 1 mm, and compressed voxels that are too few are filled up with
whatever lies in memory.
"""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path

from Med3DCore.errors import VolumeError

_LONGEST = 1 << 20
# Up to a thousand times as much may come out of it.
_CHUNK = 1 << 16


def require_spacing(path: Path, format_name: str) -> None:
    """Refuse a NRRD or MetaImage file that does not say how large its voxels are.

    Raises:
        VolumeError: It does not.
    """
    fields, _ = _fields(path, format_name)
    if format_name == "MetaImage":
        known = _numbers(fields.get("elementspacing", fields.get("elementsize", "")))
    elif "space directions" in fields:
        known = [1.0 for vector in re.findall(r"\([^)]*\)", fields["space directions"])]
    else:
        known = _numbers(fields.get("spacings", ""))
    if sum(math.isfinite(value) for value in known) < 3:
        raise VolumeError(
            f"{path} does not say how large its voxels are (its header has no spacing for all three axes); set it, for "
            "example in 3D Slicer, and save it again."
        )


def require_all_voxels(path: Path, needed: int) -> None:
    """Refuse a compressed MetaImage that holds fewer bytes than its header promises.

    Args:
        path: The .mha or .mhd file.
        needed: Bytes of all voxels.

    Raises:
        VolumeError: It is truncated or damaged.
    """
    fields, offset = _fields(path, "MetaImage")
    source = fields.get("elementdatafile", "")
    if fields.get("compresseddata", "").lower() != "true" or source.upper().startswith("LIST") or "%" in source:
        return
    is_local = source.upper() == "LOCAL"
    size = int(fields["compresseddatasize"]) if fields.get("compresseddatasize", "").isdecimal() else None
    try:
        inflated = _inflated(path if is_local else path.parent / source, offset if is_local else 0, size, needed)
    except (OSError, zlib.error):
        inflated = 0
    if inflated < needed:
        raise VolumeError(f"{path} is truncated or damaged; copy or export it again.")


def _inflated(path: Path, offset: int, size: int | None, needed: int) -> int:
    """How many bytes, up to those needed, come out of a part of a file."""
    total, inflate = 0, zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    with path.open("rb") as file:
        file.seek(offset)
        left = path.stat().st_size if size is None else size
        while total < needed and left > 0 and (chunk := file.read(min(_CHUNK, left))):
            total += len(inflate.decompress(chunk))
            left -= len(chunk)
    return total


def _fields(path: Path, format_name: str) -> tuple[dict[str, str], int]:
    """The header's fields, names in lower case, and where it ends."""
    with path.open("rb") as file:
        head = file.read(_LONGEST)
    separator = "=" if format_name == "MetaImage" else ":"
    fields, position = {}, 0
    for line in head.splitlines(keepends=True):
        position += len(line)
        name, found, value = line.decode("latin-1").partition(separator)
        if not found and not line.strip() and format_name == "NRRD":
            break
        fields.setdefault(name.strip().lower(), value.strip(" =\r\n\t"))
        if name.strip().lower() == "elementdatafile":
            break
    return fields, position


def _numbers(text: str) -> list[float]:
    """The numbers among the words of a text."""
    numbers = []
    for word in text.split():
        try:
            numbers.append(float(word))
        except ValueError:
            continue
    return numbers
