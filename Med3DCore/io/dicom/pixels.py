"""How the pixels of a DICOM file are stored, and what their values mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from Med3DCore.io.dicom import tags
from Med3DCore.io.dicom.elements import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, DataSet, damaged, open_data_set
from Med3DCore.io.dicom.fragments import SYNTAXES, Span, spans_of_frames

COLOUR = "holds colour pictures"
_UNCOMPRESSED = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)


@dataclass(frozen=True)
class PixelFormat:
    """The pixels of a file, all of which are there.

    Args:
        path: The file.
        syntax: Transfer syntax UID.
        order: Byte order of uncompressed pixels, ``"<"`` or ``">"``.
        frames: How many slices the file holds.
        rows: Of a slice.
        columns: Of a slice.
        bits: Bits a pixel takes.
        used: How many of them hold the value.
        high: The highest of these, from 0.
        signed: Whether values may be negative.
        spans: Of each frame, where its bytes are: one span, or the fragments of a compressed one.
        fault: Why they cannot be read, as the end of a sentence, or None.
    """

    path: Path
    syntax: str
    order: str
    frames: int
    rows: int
    columns: int
    bits: int
    used: int
    high: int
    signed: bool
    spans: tuple[tuple[Span, ...], ...]
    fault: str | None = None

    @property
    def compressed(self) -> bool:
        """Whether the pixels must be decoded."""
        return self.syntax not in _UNCOMPRESSED

    @classmethod
    def of(cls, path: Path, header: DataSet, syntax: str) -> PixelFormat:
        """The format that a header describes.

        Raises:
            VolumeError: The header makes no sense, or the file ends before its pixels do.
        """
        rows, columns = header.integer(tags.ROWS), header.integer(tags.COLUMNS)
        frames, samples = int(header.number(tags.FRAMES) or 1), header.integer(tags.SAMPLES, 1)
        bits = header.integer(tags.BITS, 16)
        used = min(header.integer(tags.BITS_USED, bits), bits)
        if header.pixels is None or min(rows, columns, frames, samples, used) < 1:
            raise damaged(path)
        start, length = header.pixels
        if length is None:
            spans = spans_of_frames(path, start, frames)
        else:
            size = rows * columns * samples * bits // 8
            there = length if syntax == DEFLATED else min(length, path.stat().st_size - start)
            if there < size * frames:
                raise damaged(path)
            spans = tuple(((start + size * frame, size),) for frame in range(frames))
        return cls(
            path=path,
            syntax=syntax,
            order=">" if syntax == BIG_ENDIAN else "<",
            frames=frames,
            rows=rows,
            columns=columns,
            bits=bits,
            used=used,
            high=max(header.integer(tags.HIGH_BIT, used - 1), used - 1),
            signed=bool(header.integer(tags.SIGNED)),
            spans=spans,
            fault=_fault(header, syntax, length is None, samples, bits),
        )

    def stored(self, frame: int) -> list[bytes]:
        """The bytes of a frame as they are in the file, by span.

        Raises:
            VolumeError: The file has changed meanwhile, or it is damaged.
        """
        try:
            with open_data_set(self.path, self.syntax) as file:
                pieces = [file.read(length) for start, length in self.spans[frame] if file.seek(start) == start]
        except OSError:
            raise damaged(self.path) from None
        if [len(piece) for piece in pieces] != [length for _, length in self.spans[frame]]:
            raise damaged(self.path)
        return pieces

    def values(self, data: bytes) -> np.ndarray:
        """The stored values of a frame whose bytes are not compressed, ``[y, x]`` of whole numbers."""
        kind = "i" if self.signed and self.used == self.bits else "u"
        values = np.frombuffer(data, f"{self.order}{kind}{self.bits // 8}").reshape(self.rows, self.columns)
        if self.used == self.bits:
            return values
        values = (values >> (self.high + 1 - self.used)) & ((1 << self.used) - 1)  # overlays may lie beside them
        if not self.signed:
            return values
        sign = 1 << (self.used - 1)
        return (values.astype(np.int64) ^ sign) - sign


@dataclass(frozen=True, eq=False)
class Rescale:
    """From stored values to real ones, such as Hounsfield units (PS3.3, C.11.1).

    How bright they are to be shown (Photometric Interpretation MONOCHROME1) changes nothing about them.

    Args:
        slope: Of a linear function.
        intercept: Of it.
        table: Or the values themselves, from the stored value ``first`` on; at its ends it goes on.
        first: See ``table``.
        fault: Why they are not known, as the end of a sentence, or None.
    """

    slope: float = 1.0
    intercept: float = 0.0
    table: np.ndarray | None = None
    first: int = 0
    fault: str | None = None

    @classmethod
    def of(cls, said: DataSet) -> Rescale:
        """What a header says."""
        if tags.MODALITY_LUT in said.items:
            return _table(said.item(tags.MODALITY_LUT), bool(said.integer(tags.SIGNED)))
        slope, intercept = said.number(tags.SLOPE), said.number(tags.INTERCEPT)
        slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
        if not (np.isfinite([slope, intercept]).all() and slope):
            return cls(fault=f"has a RescaleSlope of {slope:g} and an intercept of {intercept:g}, which cannot be")
        return cls(slope, intercept)

    def apply(self, stored: np.ndarray) -> np.ndarray:
        """Real values, as whole numbers where they are."""
        if self.table is not None:
            return self.table[np.clip(stored.astype(np.int64) - self.first, 0, len(self.table) - 1)]
        if (self.slope, self.intercept) == (1.0, 0.0):
            return stored
        if self.slope.is_integer() and self.intercept.is_integer():
            return stored.astype(np.int64 if stored.itemsize > 2 else np.int32) * int(self.slope) + int(self.intercept)
        return stored * self.slope + self.intercept


def _table(lut: DataSet, signed: bool) -> Rescale:
    descriptor = np.frombuffer(lut.values.get(tags.LUT_DESCRIPTOR, b"")[:6], "<u2" if lut.order == "little" else ">u2")
    data = lut.values.get(tags.LUT_DATA, b"")
    if len(descriptor) < 3 or len(data) < (count := int(descriptor[0]) or 1 << 16):
        return Rescale(fault="has a Modality LUT that cannot be read")
    wide = ("<u2" if lut.order == "little" else ">u2") if len(data) >= 2 * count else "u1"
    table = np.frombuffer(data, wide, count)
    if lut.text(tags.LUT_TYPE) == "HU" and table.max() > np.iinfo(np.int16).max:
        table = table.astype(np.uint16).view(np.int16)  # nothing is that dense: these are negative numbers
    first = int(descriptor[1])
    return Rescale(table=table, first=first - (1 << 16) if signed and first >= 1 << 15 else first)


def _fault(header: DataSet, syntax: str, encapsulated: bool, samples: int, bits: int) -> str | None:
    if samples > 1 or "PALETTE" in header.text(tags.PHOTOMETRIC):
        return COLOUR
    if encapsulated != (syntax not in _UNCOMPRESSED) or (encapsulated and syntax not in SYNTAXES):
        return f"is compressed in a way that cannot be read ({syntax})"
    if bits not in (8, 16, 32):
        return f"stores its pixels in {bits} bits"
    return None
