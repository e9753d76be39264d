"""Which images lie in parallel planes, and which would, were it not for noise in their headers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from Med3DCore.io.dicom.image import PARALLEL, DicomImage
from Med3DCore.io.dicom.pixels import COLOUR
from Med3DCore.io.dicom.stack import stack_images

# Cosines of slices (1.7 degrees) that nobody meant to turn, if apart they make no volume.
_NEARLY = 3e-2


def groups_of_planes(images: Sequence[DicomImage]) -> list[list[DicomImage]]:
    """Images of the same series, size, spacing and plane, each.

    Those of several planes that are nearly parallel stay together if the largest group of them is no volume by itself:
    so one sentence tells of the noise, not one of each angle.
    """
    found: dict[tuple, list[list[DicomImage]]] = defaultdict(list)
    for image in images:
        alike = found[image.series_uid, image.size, image.fault == COLOUR]
        group = next((group for group in alike if _same_plane(image, group[0], PARALLEL)), None)
        if group is None:
            alike.append([image])
        else:
            group.append(image)
    return [group for alike in found.values() for group in _joined(alike)]


def _joined(groups: list[list[DicomImage]]) -> list[list[DicomImage]]:
    """The groups of one series and size, those that only noise keeps apart as one."""
    largest = max(groups, key=len)
    near = [group for group in groups if _same_plane(group[0], largest[0], _NEARLY)]
    if len(near) < 2 or stack_images(largest).problem is None:
        return groups
    joined = [image for group in near for image in group]
    return [joined, *(group for group in groups if not _same_plane(group[0], largest[0], _NEARLY))]


def _same_plane(image: DicomImage, other: DicomImage, apart: float) -> bool:
    if any(abs(a - b) > 1e-3 * b for a, b in zip(image.spacing, other.spacing, strict=True)):
        return False
    if image.axes is None or other.axes is None:
        return image.axes is other.axes
    return bool(np.abs(image.axes - other.axes).max() <= apart)
