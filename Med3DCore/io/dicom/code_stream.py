"""Does a compressed slice promise the picture that its file does? Asked before a codec sees it.

A codec takes the code stream at its word, whatever the file around it says. So size, components and bits must be the
file's own, and the stream must have its end.
"""

from __future__ import annotations

import struct

from Med3DCore.io.dicom.fragments import JPEG_2000, RLE
from Med3DCore.io.dicom.pixels import PixelFormat

_END = b"\xff\xd9"
# Start-of-frame markers of JPEG (from C0 to CF but those of tables) and of JPEG-LS.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_MOST_TILES = 1 << 12


def agrees(pixels: PixelFormat, stream: bytes) -> bool:
    """Whether a code stream is one of a slice of this format, as far as its header tells."""
    if pixels.syntax == RLE:
        return _is_rle(stream, pixels.bits // 8)
    said = _jpeg_2000(stream) if pixels.syntax in JPEG_2000 else _jpeg(stream)
    if said is None:
        return False
    *picture, bits = said
    return picture == [pixels.columns, pixels.rows, 1] and 2 <= bits <= pixels.bits


def _is_rle(stream: bytes, planes: int) -> bool:
    """PS3.5, annex G: a segment for each byte of a pixel, one behind the other."""
    if len(stream) <= 64:
        return False
    count, *starts = struct.unpack_from("<16I", stream)
    return (
        count == planes
        and starts[0] == 64
        and starts[:count] == sorted(starts[:count])
        and starts[count - 1] < len(stream)
    )


def _jpeg_2000(stream: bytes) -> tuple[int, int, int, int] | None:
    """Columns, rows, components and bits by the SIZ marker (ISO 15444-1, A.5.1), or None."""
    at = stream.find(b"\xff\x4f\xff\x51", 0, 1024)
    if at < 0 or len(stream) < at + 43:
        return None
    right, lower, left, upper, width, height, _, _, parts, depth = struct.unpack_from(">8IHB", stream, at + 8)
    if min(width, height) < 1 or (right // width + 1) * (lower // height + 1) > _MOST_TILES:
        return None
    return right - left, lower - upper, parts, (depth & 127) + 1


def _jpeg(stream: bytes) -> tuple[int, int, int, int] | None:
    """Columns, rows, components and bits by the frame header (ISO 10918-1, B.2.2), or None."""
    at = 2
    while at + 10 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker in _FRAMES:
            bits, rows, columns, parts = struct.unpack_from(">BHHB", stream, at + 4)
            return (columns, rows, parts, bits) if _END in stream[-64:] else None
        at += 1 if marker == 0xFF else 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None
