"""Where slices lie that have no position, by their Slice Location (0020,1041)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from Med3DCore.io.dicom.image import DicomImage
from Med3DCore.io.dicom.stack import mean_axes
from Med3DCore.io.dicom.steps import SAME_PLACE


def located(images: Sequence[DicomImage]) -> list[DicomImage]:
    """Images with positions from Slice Location, if none of them has a position, or all have one and the same.

    DICOM calls it a relative place and leaves open to which end it counts; here, as most scanners do, towards the
    head, or, of slices that stand upright, towards the back or the left. Of where slices lie beside each other it says
    nothing: all begin at 0.

    Args:
        images: Of one plane.

    Returns:
        The same images unchanged if they have positions, or if not all of them have a location and these differ.
    """
    positions = [image.position for image in images if image.position is not None]
    locations = [image.location for image in images if image.location is not None]
    has_places = bool(positions) and (len(positions) < len(images) or np.ptp(positions, axis=0).max() > 0)
    if len(images) < 2 or has_places or len(locations) < len(images) or np.ptp(locations) < SAME_PLACE:
        return list(images)
    normal = mean_axes(images)[:, 2]
    normal = normal * np.sign(normal[np.abs(normal).argmax()])
    return [replace(image, position=image.location * normal, located=True) for image in images]
