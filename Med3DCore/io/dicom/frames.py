"""The frames of a multi-frame image as if each were a file of its own."""

from __future__ import annotations

from Med3DCore.io.dicom import tags
from Med3DCore.io.dicom.elements import DataSet

_GROUPS = (
    tags.PLANE_POSITION,
    tags.PLANE_ORIENTATION,
    tags.PIXEL_MEASURES,
    tags.VALUE_TRANSFORMATION,
    tags.FRAME_CONTENT,
)


def frames_of(header: DataSet, count: int) -> list[DataSet]:
    """What a file says of each of its frames: its own functional groups, over shared ones, over the header itself.

    Only these sequences are asked (PS3.3, C.7.6.16): positions are in many others, too, such as those of other images.

    Args:
        header: The data set of the file.
        count: Frames that it holds. Where its groups are fewer or more, nobody knows which frame is which, so no
            frame has a position.
    """
    own = header.items.get(tags.PER_FRAME, [])
    shared = header.item(tags.SHARED)
    if len(own) != count:
        own = [DataSet(header.order)] * count
    return [_flat(header, shared, one, alone=count == 1) for one in own]


def _flat(header: DataSet, shared: DataSet, own: DataSet, alone: bool) -> DataSet:
    values = dict(header.values)
    if not alone:
        values.pop(tags.POSITION, None)  # of the first frame at best
    for groups in (shared, own):
        for sequence in _GROUPS:
            values |= groups.item(sequence).values
    return DataSet(header.order, values, header.items)
