"""Compressed pixels in a DICOM file: which bytes belong to which frame (PS3.5, A.4)."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from Med3DCore.io.dicom.elements import ITEM, SEQUENCE_END, damaged

Span = tuple[int, int]

# What GDCM decodes.
JPEG = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70))
JPEG_LS = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (80, 81))
JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91))
RLE = "1.2.840.10008.1.2.5"
SYNTAXES = (*JPEG, *JPEG_LS, *JPEG_2000, RLE)
_STARTS = (b"\xff\xd8", b"\xff\x4f", b"\0\0\0\x0c")  # JPEG and JPEG-LS, JPEG 2000, and it in a JP2 file


def spans_of_frames(path: Path, start: int, frames: int) -> tuple[tuple[Span, ...], ...]:
    """First byte and length of the fragments of each frame.

    Args:
        path: The file.
        start: Where its pixel data begins.
        frames: How many frames it is to hold.

    Raises:
        VolumeError: It ends before its pixels do, or its fragments do not make that many frames.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        spans: list[Span] = []
        while start + 8 <= size:
            file.seek(start)
            head = file.read(8)
            tag = int.from_bytes(head[:2], "little") << 16 | int.from_bytes(head[2:4], "little")
            if tag == SEQUENCE_END:
                break
            length = int.from_bytes(head[4:], "little")
            start += 8 + length
            if tag != ITEM or start > size:
                raise damaged(path)
            spans.append((start - length, length))
        if len(spans) <= frames or not sum(length for _, length in spans[1:]):
            raise damaged(path)
        file.seek(spans[0][0])
        table = file.read(spans[0][1])
        fragments = spans[1:]
        begins = _begins(file, table, fragments, frames)
    if len(begins) != frames:
        raise damaged(path)
    return tuple(tuple(fragments[a:b]) for a, b in zip(begins, [*begins[1:], len(fragments)], strict=True))


def _begins(file: BinaryIO, table: bytes, fragments: list[Span], frames: int) -> list[int]:
    """Which fragments begin a frame."""
    if frames == 1:
        return [0]
    if len(fragments) == frames:
        return list(range(frames))
    if len(table) == 4 * frames:
        places = {start - fragments[0][0]: number for number, (start, _) in enumerate(fragments)}
        wanted = [int.from_bytes(table[i : i + 4], "little") for i in range(0, len(table), 4)]
        return [places[place] for place in wanted if place in places]
    begins = []
    for number, (start, _) in enumerate(fragments):
        file.seek(start)
        if file.read(4).startswith(_STARTS):
            begins.append(number)
    return begins
