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
_HEADS = {"little": struct.Struct("<HH2sH"), "big": struct.Struct(">HH2sH")}  # group, number, VR, short length
# What a file may ask of us; those of scanners stay far below.
_LONGEST_TEXT = 128
_WINDOW = 1 << 13  # bytes read at a time: most headers are shorter
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
        value = self.values.get(tag)
        if not value:
            return ""
        text = " ".join(value.decode(coding, "replace").replace("\0", " ").split())
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
        return next(iter(self.items.get(tag, ())), None) or DataSet(self.order)


def read_elements(path: Path) -> tuple[DataSet, str]:
    """The data set of a file up to its pixels, and its transfer syntax.

    Raises:
        VolumeError: It is damaged or ends too early.
        OSError: It cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        reader = _Reader(file, path)
        syntax = reader.transfer_syntax()
        if syntax == DEFLATED:
            reader = _Reader(_inflated(file, reader), path)
        return reader.elements(syntax), syntax


def open_data_set(path: Path, syntax: str) -> BinaryIO:
    """A file in which the places that :func:`read_elements` found are places: inflated if need be.

    Raises:
        VolumeError: It is damaged.
        OSError: It cannot be opened.
    """
    file = path.open("rb", buffering=0)
    if syntax != DEFLATED:
        return file
    with file:
        reader = _Reader(file, path)
        reader.transfer_syntax()
        return _inflated(file, reader)


def damaged(path: Path) -> VolumeError:
    """What to say of a file that ends too early or makes no sense."""
    return VolumeError(f"{path} is truncated or damaged; copy or export the series again.")


def _inflated(file: BinaryIO, reader: _Reader) -> BinaryIO:
    """What follows the meta information of a deflated file (PS3.5, A.5)."""
    file.seek(reader.at)
    try:
        return BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), _INFLATED))
    except zlib.error:
        raise damaged(reader.path) from None


class _Reader:
    """Walks through the elements of an open file, of which it reads a window at a time."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self.path, self.at = file, path, 0
        self._size = file.seek(0, 2)
        self._window, self._begin = b"", 0
        self._heads_so_far = 0

    def transfer_syntax(self) -> str:
        """Reads the meta information, if there is any, which is always explicit little endian."""
        self._in_window(_WINDOW)
        self.at = 132 if self._window[128:132] == b"DICM" else 0
        start = self._window[self.at : self.at + 6]
        if start[:2] != b"\x02\0":
            return EXPLICIT if start[4:6] in _VRS else IMPLICIT
        return self.elements(EXPLICIT, group=2).text(tags.TRANSFER_SYNTAX) or IMPLICIT

    def elements(self, syntax: str, group: int | None = None) -> DataSet:
        """The elements up to the pixels, or those of one group."""
        self._explicit = syntax != IMPLICIT
        self._order: ByteOrder = "big" if syntax == BIG_ENDIAN else "little"
        self._layout = _HEADS[self._order]
        return self._elements(self._size, group=group)

    def _elements(self, end: int, depth: int = 0, group: int | None = None) -> DataSet:
        """The elements up to a place, to the end of an item, or to the pixels; or those of one group."""
        found = DataSet(self._order)
        while self.at < end:
            begin = self.at
            tag, vr, length = self._head()
            if tag == ITEM_END and depth:
                break
            if group is not None and tag >> 16 != group:
                self._go(begin)
                break
            if tag == tags.PIXELS and depth == 0:
                found.pixels = (self.at, None if length == _UNDEFINED else length)
                break
            if length == _UNDEFINED or tag in tags.SEQUENCES:
                items = self._sequence(length, vr, depth)
                if tag in tags.SEQUENCES:
                    found.items[tag] = items
            elif tag in tags.VALUES and length <= _LONGEST:
                found.values[tag] = self._take(length)
            else:
                self._go(self.at + length)
        return found

    def _sequence(self, length: int, vr: bytes, depth: int) -> list[DataSet]:
        if depth > _DEEPEST:
            raise damaged(self.path)
        fragments = vr in (b"OB", b"OW")  # compressed pixels of an icon
        explicit, self._explicit = self._explicit, self._explicit and vr != b"UN"  # PS3.5, 6.2.2
        end = self._size if length == _UNDEFINED else self.at + length
        items = []
        while self.at < end:
            tag, _, length = self._head()
            if tag == SEQUENCE_END:
                break
            if tag != ITEM:
                raise damaged(self.path)
            if fragments:
                self._go(self.at + length)
                continue
            items.append(self._elements(self._size if length == _UNDEFINED else self.at + length, depth + 1))
        self._explicit = explicit
        return items

    def _head(self) -> tuple[int, bytes, int]:
        """Tag, VR (empty if it is not written) and length of the next element."""
        start = self._in_window(12)  # the longest head; a shorter one may end the file
        if len(self._window) - start < 8 or self._heads_so_far == _MOST:
            raise damaged(self.path)
        self._heads_so_far += 1
        group, number, vr, short = self._layout.unpack_from(self._window, start)
        tag = group << 16 | number
        self.at += 8
        if not self._explicit or group == 0xFFFE or vr not in _VRS:
            return tag, b"", int.from_bytes(self._window[start + 4 : start + 8], self._order)
        return tag, vr, int.from_bytes(self._take(4), self._order) if vr in _LONG else short

    def _take(self, count: int) -> bytes:
        start = self._in_window(count)
        self.at += count
        if start + count > len(self._window):
            raise damaged(self.path)
        return self._window[start : start + count]

    def _in_window(self, count: int) -> int:
        """Where in the window the next bytes are, after another one is read if they aren't all in it."""
        start = self.at - self._begin
        if 0 <= start <= len(self._window) - count:
            return start
        self._file.seek(self.at)
        self._window, self._begin = self._file.read(max(count, _WINDOW)), self.at
        return 0

    def _go(self, place: int) -> None:
        if place > self._size:
            raise damaged(self.path)
        self.at = place
