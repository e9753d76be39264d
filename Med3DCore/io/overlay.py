"""Segments laid over each other in one array: a value for each segment, and one for each overlap that there is."""

from __future__ import annotations

import numpy as np

from Med3DCore.errors import VolumeError

EVERYWHERE = (slice(None), slice(None), slice(None))
# In label images, 255 often means that nobody said what is there.
_HIGHEST = 254


class Overlay:
    """An array in which values up to ``count`` mean one segment and those above several at once.

    No segment is cut out of another: a lesion stays a part of its organ, see :class:`Med3DCore.volume.LabelMap`.

    Args:
        shape: Of the array ``[z, y, x]``.
        count: How many segments there are, at most 255.
        name: What to call it in messages.

    Attributes:
        array: uint8 ``[z, y, x]``.
    """

    def __init__(self, shape: tuple[int, ...], count: int, name: str) -> None:
        self.array = np.zeros(shape, np.uint8)
        self._count, self._name = count, name
        self._members: list[tuple[int, ...]] = [(), *((value,) for value in range(1, count + 1))]

    @property
    def overlaps(self) -> tuple[tuple[int, ...], ...]:
        """The segments that the values ``count + 1``, ... mean, as :attr:`.LabelMap.overlaps`."""
        return tuple(self._members[self._count + 1 :])

    def lay(self, values: np.ndarray, place: tuple[slice, slice, slice] = EVERYWHERE) -> None:
        """Lay segments over those that are there.

        Args:
            values: uint8 ``[z, y, x]`` of segments; 0 where there is none.
            place: Which part of the array they cover.

        Raises:
            VolumeError: There are more kinds of overlaps than there are values.
        """
        there = self.array[place]
        both = (there > 0) & (values > 0)
        codes = (there[both].astype(np.uint16) << 8) | values[both]
        np.maximum(there, values, out=there, where=~both)
        if codes.size:
            table = np.zeros(1 << 16, np.uint8)
            for code in np.flatnonzero(np.bincount(codes)).tolist():
                table[code] = self._together(*divmod(code, 256))
            there[both] = table[codes]

    def name_union(self, value: int, parts: set[int]) -> None:
        """Make a segment of several others: wherever one of them is, it is, too.

        Raises:
            VolumeError: As :meth:`lay`.
        """
        table = np.arange(256, dtype=np.uint8)
        present = np.flatnonzero(np.bincount(self.array.ravel(), minlength=256)).tolist()
        for old in present:
            if parts & set(self._members[old]):
                table[old] = self._together(old, value)
        np.take(table, self.array, out=self.array)

    def _together(self, first: int, second: int) -> int:
        """The value that means all that two values do."""
        members = tuple(sorted({*self._members[first], *self._members[second]}))
        if members not in self._members:
            if len(self._members) > _HIGHEST:
                raise VolumeError(
                    f"The segments of {self._name} overlap in more ways than Med3D can keep apart; leave out those "
                    "that are not needed."
                )
            self._members.append(members)
        return self._members.index(members)
