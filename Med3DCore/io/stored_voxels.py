"""Where the voxels of an image lie in its files, and reading them slice by slice."""

from __future__ import annotations

import builtins
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.io.byte_stream import can_hold, decoded, exactly, parts

_KINDS = {"i": "signed integer", "u": "unsigned integer", "f": "float"}


@dataclass(frozen=True)
class StoredVoxels:
    """The voxels of an image, as they are stored.

    Args:
        path: What to call the image in messages.
        files: What holds them, one after the other, each an equal part.
        dtype: Of a value, with its byte order.
        shape: Lengths of the stored axes, the slowest first: z, y, x and perhaps the components.
        encoding: ``"raw"``, ``"deflate"``, ``"bzip2"``, ``"hex"`` or ``"text"`` (numbers in words).
        start: Where in each file the stored bytes begin; -1 means that they end with the file.
        skip: So many of the decoded bytes of each file are no voxels.
        stored_size: Stored bytes of each file; None for all up to its end.
        component_axis: Which axis counts the values of a voxel, or None for one value a voxel.
        scale: Slope and intercept by which values are to be taken, or None.
        frame: The only component wanted, or None for all.
    """

    path: Path
    files: tuple[Path, ...]
    dtype: np.dtype
    shape: tuple[int, ...]
    encoding: str = "raw"
    start: int = 0
    skip: int = 0
    stored_size: int | None = None
    component_axis: int | None = None
    scale: tuple[float, float] | None = None
    frame: int | None = None

    @property
    def components(self) -> int:
        """Values a voxel."""
        return 1 if self.component_axis is None or self.frame is not None else self.shape[self.component_axis]

    @property
    def bytes(self) -> int:
        """Size of all values in memory as they are stored."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def type_name(self) -> str:
        """How a value is stored, such as ``"16-bit signed integer"``."""
        return f"{8 * self.dtype.itemsize}-bit {_KINDS[self.dtype.kind]}"

    @property
    def is_streamed(self) -> bool:
        """Whether a slice can be read without those before it having to stay in memory."""
        return self.component_axis is None or (self.component_axis == 0 and self.frame is not None)

    def require_room(self) -> None:
        """Refuse files that are too short for the voxels that the header promises.

        Raises:
            VolumeError: They are, or one cannot be read.
        """
        if self.bytes % len(self.files):
            raise VolumeError(f"The {len(self.files)} data files of {self.path} do not make whole slices; correct it.")
        needed = self.skip + self.bytes // len(self.files)
        for file in self.files:
            try:
                length = file.stat().st_size - max(0, self.start)
            except OSError as error:
                raise VolumeError(f"{file} cannot be read: {error.strerror}; copy it to this computer first.") from None
            stored = length if self.stored_size is None else min(length, self.stored_size)
            if not can_hold(self.encoding, stored, needed):
                raise damaged(self.path)

    def slices(self) -> Iterator[np.ndarray]:
        """The slices in order, scaled.

        Yields:
            ``[y, x]`` or, of several components, ``[y, x, component]`` arrays of the stored type; float64 where a scale
            applies.

        Raises:
            VolumeError: A file ends early or is damaged.
        """
        try:
            for values in self._frames() if self.is_streamed else self._reordered():
                yield values if self.scale is None else values * self.scale[0] + self.scale[1]
        except (EOFError, OSError, ValueError, zlib.error):
            raise damaged(self.path) from None

    def _frames(self) -> Iterator[np.ndarray]:
        """The slices of the only, or the wanted, volume."""
        depth, rows, columns = self.shape[-3:]
        first = depth * (self.frame or 0)
        if self.encoding == "text":
            yield from self._all_words().reshape(-1, rows, columns)[first : first + depth]
            return
        sizes = [rows * columns * self.dtype.itemsize] * (first + depth)
        for part in islice(parts(self._pieces(), sizes), first, None):
            yield np.frombuffer(part, self.dtype).reshape(rows, columns)

    def _reordered(self) -> Iterator[np.ndarray]:
        if self.encoding == "text":
            values = self._all_words()
        else:
            values = np.frombuffer(next(parts(self._pieces(), [self.bytes])), self.dtype)
        whole = values.reshape(self.shape)
        if self.component_axis is not None:
            whole = np.moveaxis(whole, self.component_axis, -1)
        yield from whole if self.frame is None else whole[..., self.frame]

    def _all_words(self) -> np.ndarray:
        """Numbers in words."""
        words = b" ".join(self._pieces()).split()
        values = np.array(words[: prod(self.shape)]).astype(np.float64)
        if len(values) < prod(self.shape):
            raise EOFError
        with np.errstate(all="ignore"):
            stored = values.astype(self.dtype)
        if self.dtype.kind != "f" and not np.array_equal(values, stored):
            raise ValueError
        return stored

    def _pieces(self) -> Iterator[builtins.bytes]:
        """The decoded bytes of all files, one after the other."""
        each = self.bytes // len(self.files)
        for path in self.files:
            with path.open("rb") as file:
                length = path.stat().st_size
                file.seek(length - each if self.start < 0 else self.start)
                pieces = decoded(file, self.encoding, length if self.stored_size is None else self.stored_size)
                yield from pieces if self.encoding == "text" else exactly(pieces, self.skip, each)


def damaged(path: Path) -> VolumeError:
    """What to say of a file that is too short, or whose compressed data makes no sense."""
    return VolumeError(f"{path} is truncated or damaged; copy or export it again.")
