"""The content of a file piece by piece: as it is, inflated (gzip, zlib, bzip2), or from hexadecimal digits.

ITK fills the missing part of a truncated or damaged file with whatever was in memory (measured with SimpleITK 2.5.7).
That may not happen to a patient's image, so all but DICOM is decoded here.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

PIECE = 8 << 20
# The most that a stored byte can become: deflate writes 258 bytes with two bits; bzip2 a block of 900 kB with 40 bytes.
# A number in words takes at least a byte, the space behind it not counted.
_LARGEST_GROWTH = {"raw": 1, "deflate": 1032, "bzip2": 1 << 16, "hex": 1, "text": 8}
_ANY_HEADER = zlib.MAX_WBITS | 32


def can_hold(encoding: str, stored: int, needed: int) -> bool:
    """Whether so many stored bytes can become as many as are needed at all; asked before memory is taken."""
    return stored * _LARGEST_GROWTH[encoding] >= needed


def decoded(file: BinaryIO, encoding: str, size: int) -> Iterator[bytes]:
    """What a file holds from where it stands.

    Args:
        file: Open for reading.
        encoding: ``"raw"``, ``"deflate"`` (gzip or zlib), ``"bzip2"``, ``"hex"`` or ``"text"``, which comes as it is.
        size: So many stored bytes at most.

    Yields:
        Pieces of any size.

    Raises:
        EOFError: What is compressed ends early.
        OSError, zlib.error, ValueError: It is damaged.
    """
    stored = _limited(file, size)
    if encoding == "deflate":
        yield from _inflated(stored)
    elif encoding == "bzip2":
        yield from _unzipped(stored)
    elif encoding == "hex":
        yield bytes.fromhex(b"".join(stored).decode("ascii"))
    else:
        yield from stored


def parts(pieces: Iterator[bytes], sizes: Iterable[int]) -> Iterator[bytes]:
    """So many bytes each time, whatever the pieces they come in.

    Raises:
        EOFError: There are not enough.
    """
    buffer = bytearray()
    for size in sizes:
        while len(buffer) < size:
            if (piece := next(pieces, None)) is None:
                raise EOFError
            buffer += piece
        with memoryview(buffer) as view:
            part = bytes(view[:size])
        del buffer[:size]
        yield part
    next(pieces, None)  # what checks the end of the last piece comes after it


def exactly(pieces: Iterator[bytes], skip: int, count: int) -> Iterator[bytes]:
    """So many bytes after those to be skipped, of which a file may hold more.

    Raises:
        EOFError: There are not enough.
    """
    for piece in pieces:
        part = piece[skip : skip + count]
        skip, count = max(0, skip - len(piece)), count - len(part)
        if part:
            yield part
        if not count:
            next(pieces, None)  # a checksum is compared only when its end comes
            return
    raise EOFError


def _limited(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := file.read(min(PIECE, size))):
        size -= len(piece)
        yield piece


def _inflated(stored: Iterator[bytes]) -> Iterator[bytes]:
    """The content of a gzip file, of one or several members, or of zlib's own format.

    Python's own reader takes 8 KiB and its lock each time: alone it is a fifth slower, and next to a thread that
    imports torch far slower still.
    """
    member, data = zlib.decompressobj(_ANY_HEADER), next(stored, b"")
    while True:
        piece = member.decompress(data, 4 * PIECE)
        if piece:
            yield piece
        if member.eof:  # and its checksum is right
            data = (member.unused_data or next(stored, b"")).lstrip(b"\0")  # zeros are padding
            if not data:
                return
            member = zlib.decompressobj(_ANY_HEADER)
        else:
            data = member.unconsumed_tail or next(stored, b"")
            if not (data or piece):
                raise EOFError


def _unzipped(stored: Iterator[bytes]) -> Iterator[bytes]:
    member = bz2.BZ2Decompressor()
    while not member.eof:
        data = next(stored, b"") if member.needs_input else b""
        if member.needs_input and not data:
            raise EOFError
        yield member.decompress(data, 4 * PIECE)
