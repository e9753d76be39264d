"""The data elements of a DICOM file, as far as Med3D asks for them: nothing of who the patient is.

Reads explicit and implicit VR, both byte orders, deflated data sets and files without a preamble (PS3.5, PS3.10). Only
what is named in :mod:`.tags` is kept; all else is passed over unread, the pixels too.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

from Med3DCore.errors import VolumeError
from Med3DCore.io.dicom import tags

IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
ByteOrder = Literal["little", "big"]
_UNDEFINED = 0xFFFFFFFF
_SHORT = set(re.findall(b"..", b"AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS"))
_LONG = set(re.findall(b"..", b"OBODOFOLOVOWSQSVUCUNURUTUV"))  # with a length of four bytes, after two reserved ones
_VRS = _SHORT | _LONG
_PAIRS = {"little": struct.Struct("<HH"), "big": struct.Struct(">HH")}
# What a file may ask of us; those of scanners stay far below.
_LONGEST_TEXT = 128
_DEEPEST, _LONGEST, _MOST, _INFLATED = 20, 1 << 20, 3_000_000, 1 << 29


@dataclass
class DataSet:
    """Elements by tag, and where the pixels are.

    Args:
        order: ``"little"`` or ``"big"``: that of binary values.
        values: Bytes of the elements.
        items: The data sets of the sequences.
        pixels: First byte and length of the pixel data, or None; the length is None for compressed ones.
    """

    order: ByteOrder
    values: dict[int, bytes] = field(default_factory=dict)
    items: dict[int, list[DataSet]] = field(default_factory=dict)
    pixels: tuple[int, int | None] | None = None

    def text(self, tag: int, coding: str = "ascii") -> str:
        """A text on one line, of what can be printed, no longer than DICOM allows for names; empty if there is none."""
        text = " ".join(self.values.get(tag, b"").decode(coding, "replace").replace("\0", " ").split())
        if not text.isprintable():
            text = "".join(letter for letter in text if letter.isprintable())
        return text[:_LONGEST_TEXT]

    def numbers(self, tag: int) -> tuple[float, ...]:
        """The numbers of a decimal or integer string; empty if there are none or they are no numbers."""
        try:
            return tuple(float(part) for part in self.text(tag).split("\\"))
        except ValueError:
            return ()

    def number(self, tag: int) -> float | None:
        """The first number of a string, or None if there is none or it is not finite."""
        number = next(iter(self.numbers(tag)), math.nan)
        return number if math.isfinite(number) else None

    def integer(self, tag: int, otherwise: int = 0) -> int:
        """A binary whole number without sign."""
        value = self.values.get(tag, b"")
        return int.from_bytes(value[:4], self.order) if len(value) >= 2 else otherwise

    def item(self, tag: int) -> DataSet:
        """The first data set of a sequence, or an empty one."""
        return next(iter(self.items.get(tag, ())), DataSet(self.order))


def read_elements(path: Path) -> tuple[DataSet, str]:
    """The data set of a file up to its pixels, and its transfer syntax.

    Raises:
        VolumeError: It is damaged or ends too early.
        OSError: It cannot be opened.
    """
    file, syntax = open_data_set(path)
    with file:
        return _Reader(file, path, syntax).elements(), syntax


def open_data_set(path: Path) -> tuple[BinaryIO, str]:
    """A file at the first element of its data set, inflated if need be, and its transfer syntax; the caller closes it.

    Raises:
        VolumeError: It is damaged.
        OSError: It cannot be opened.
    """
    file = path.open("rb")
    try:
        begin = 132 if file.read(136)[128:132] == b"DICM" else 0
        file.seek(begin)
        syntax = _transfer_syntax(file, path)
        if syntax != DEFLATED:
            return file, syntax
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), _INFLATED)
    except zlib.error:
        file.close()
        raise damaged(path) from None
    except BaseException:
        file.close()
        raise
    file.close()
    return BytesIO(inflated), syntax


def damaged(path: Path) -> VolumeError:
    """What to say of a file that ends too early or makes no sense."""
    return VolumeError(f"{path} is truncated or damaged; copy or export the series again.")


def _transfer_syntax(file: BinaryIO, path: Path) -> str:
    """Reads the meta information, if there is any, which is always explicit little endian."""
    start = file.read(8)
    file.seek(-len(start), 1)
    if start[:2] != b"\x02\0":
        return EXPLICIT if start[4:6] in _VRS else IMPLICIT
    meta = _Reader(file, path, EXPLICIT).elements(group=2)
    return meta.text(tags.TRANSFER_SYNTAX) or IMPLICIT


class _Reader:
    """Walks through the elements of an open file."""

    def __init__(self, file: BinaryIO, path: Path, syntax: str) -> None:
        self._file, self._path = file, path
        self._explicit = syntax != IMPLICIT
        self._order: ByteOrder = "big" if syntax == BIG_ENDIAN else "little"
        self._pair = _PAIRS[self._order]
        self._at = file.tell()
        self._size = file.seek(0, 2)
        file.seek(self._at)
        self._read_so_far = 0

    def elements(self, end: int | None = None, depth: int = 0, group: int | None = None) -> DataSet:
        """The elements up to a place, to the end of an item, or to the pixels; or those of one group."""
        found = DataSet(self._order)
        last = self._size if end is None else end
        while self._at < last:
            begin = self._at
            tag, vr, length = self._head()
            if tag == ITEM_END and depth:
                break
            if group is not None and tag >> 16 != group:
                self._go(begin)
                break
            if tag == tags.PIXELS and depth == 0:
                found.pixels = (self._at, None if length == _UNDEFINED else length)
                break
            if length == _UNDEFINED or tag in tags.SEQUENCES:
                items = self._sequence(length, vr, depth)
                if tag in tags.SEQUENCES:
                    found.items[tag] = items
            elif tag in tags.VALUES and length <= _LONGEST:
                found.values[tag] = self._take(length)
            else:
                self._go(self._at + length)
        return found

    def _sequence(self, length: int, vr: bytes, depth: int) -> list[DataSet]:
        if depth > _DEEPEST:
            raise damaged(self._path)
        fragments = vr in (b"OB", b"OW")  # compressed pixels of an icon
        explicit, self._explicit = self._explicit, self._explicit and vr != b"UN"  # PS3.5, 6.2.2
        end = self._size if length == _UNDEFINED else self._at + length
        items = []
        while self._at < end:
            tag, _, length = self._head()
            if tag == SEQUENCE_END:
                break
            if tag != ITEM:
                raise damaged(self._path)
            if fragments:
                self._go(self._at + length)
                continue
            stop = None if length == _UNDEFINED else self._at + length
            items.append(self.elements(stop, depth + 1))
        self._explicit = explicit
        return items

    def _head(self) -> tuple[int, bytes, int]:
        """Tag, VR (empty if it is not written) and length of the next element."""
        head = self._take(8)
        group, number = self._pair.unpack_from(head)
        tag, vr = group << 16 | number, head[4:6]
        if not self._explicit or group == 0xFFFE or vr not in _VRS:
            return tag, b"", int.from_bytes(head[4:8], self._order)
        length = self._take(4) if vr in _LONG else head[6:8]
        return tag, vr, int.from_bytes(length, self._order)

    def _take(self, count: int) -> bytes:
        self._read_so_far += 1
        data = self._file.read(count)
        if len(data) < count or self._read_so_far > _MOST:
            raise damaged(self._path)
        self._at += count
        return data

    def _go(self, place: int) -> None:
        if place > self._size:
            raise damaged(self._path)
        self._file.seek(place)
        self._at = place
