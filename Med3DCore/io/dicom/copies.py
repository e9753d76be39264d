"""Images that show the same, whatever they are called: copies count once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from Med3DCore.io.dicom.image import DicomImage

# Of places where two images lie, looked at before all of them are: phases differ there, copies do not.
_SAMPLES = 3


def without_copies(places: Sequence[Sequence[DicomImage]], of_one_kind: bool = False) -> list[DicomImage]:
    """One image of those at one place whose pixels and values are equal.

    Args:
        places: The images at each place.
        of_one_kind: Whether copies are of the same acquisition, phase and so on, too, if not of the same study: the
            first slices of two phases may both be empty.
    """
    doubled = [there for there in places if len(there) > 1]
    samples = doubled[:: 1 + len(doubled) // _SAMPLES]
    if all(len(different(there, of_one_kind)) == len(there) for there in samples):
        return [image for there in places for image in there]
    return [image for there in places for image in different(there, of_one_kind)]


def different(images: Sequence[DicomImage], of_one_kind: bool = False) -> list[DicomImage]:
    """Those of images that show different things, or, if asked for, are of different kinds; the first of equals."""
    if len(images) == 1:
        return list(images)
    found: dict[tuple, DicomImage] = {}
    for image in images:
        kind = tuple(value for name, value in image.marks.items() if name != "study") if of_one_kind else ()
        found.setdefault((_digest(image), kind), image)
    return list(found.values())


def are_copies(images: Iterable[tuple[DicomImage, DicomImage]]) -> bool:
    """Whether the images of each pair show the same."""
    return all(_digest(one) == _digest(other) for one, other in images)


def _digest(image: DicomImage) -> bytes:
    """Of what a slice shows."""
    rescale = image.rescale
    digest = hashlib.sha256(repr((rescale.slope, rescale.intercept, rescale.first)).encode())
    digest.update(b"" if rescale.table is None else rescale.table.tobytes())
    for piece in image.pixels.stored(image.frame):
        digest.update(piece)
    return digest.digest()
