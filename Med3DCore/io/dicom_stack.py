"""Do these DICOM images make one volume? Their order, their grid, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom_image import DicomImage

# Fractions of the distance between slices.
_GAP = 1.5
_UNEVEN = 0.1
_NOTICEABLE = 0.02


@dataclass(frozen=True)
class Stack:
    """Images in the order of their slices.

    Args:
        images: Ordered along the slice axis.
        geometry: The grid of the whole.
        problem: Why it is no volume, as the end of a sentence, or None.
        note: What to warn of, as the end of a sentence, or None.
    """

    images: tuple[DicomImage, ...]
    geometry: Geometry
    problem: str | None = None
    note: str | None = None


def stack_images(images: Sequence[DicomImage]) -> Stack:
    """Order images of the same plane, size and spacing by position and find the grid that they fill.

    The distance between slices is measured between their positions, never taken from Slice Thickness
    or Spacing Between Slices, which scanners fill in freely.
    """
    unique: dict[tuple, DicomImage] = {}
    for image in images:  # copies of a file count once; a name that a careless export gave to all of them does not
        place = np.round(image.geometry.origin, 3)
        unique.setdefault((image.image_uid or str(image.path), *place.tolist()), image)
    images = tuple(unique.values())
    if len(images) == 1:
        return Stack(images, images[0].geometry, images[0].fault or _colour(images[0]))
    first = images[0].geometry
    normal = first.direction_matrix[:, 2]
    images = tuple(sorted(images, key=lambda image: float(np.dot(image.geometry.origin, normal))))
    origins = np.array([image.geometry.origin for image in images])
    positions = origins @ normal
    length = positions[-1] - positions[0]
    distance = float(length / (len(images) - 1))
    problem = next((image.fault for image in images if image.fault), None)
    problem = problem or _colour(images[0]) or _several_frames(images)
    problem = problem or _uneven(positions) or _tilted(origins, normal, length)
    size = (*first.size[:2], len(images))
    if distance <= 0:
        return Stack(images, replace(first, size=size), problem)
    geometry = Geometry(size, (*first.spacing[:2], distance), images[0].geometry.origin, first.direction)
    jitter = float(np.abs(positions - positions[0] - distance * np.arange(len(images))).max())
    note = None
    if problem is None and jitter > _NOTICEABLE * distance + 0.01:
        note = f"its slices are up to {jitter:.2f} mm from even {distance:.4g} mm steps; even steps were taken"
    return Stack(images, geometry, problem, note)


def _colour(image: DicomImage) -> str | None:
    return "holds colour pictures" if image.components > 1 else None


def _several_frames(images: Sequence[DicomImage]) -> str | None:
    return "mixes single slices and multi-frame images" if any(i.geometry.size[2] > 1 for i in images) else None


def _uneven(positions: np.ndarray) -> str | None:
    steps = np.diff(positions)
    typical = float(np.median(steps))
    if steps.min() < 0.01:
        count = len(positions) - int(np.count_nonzero(steps < 0.01))
        return f"has {len(positions)} images at only {count} places (several phases, or positions are missing)"
    if steps.max() > _GAP * typical:
        missing = int(np.sum(np.round(steps / typical) - 1))
        return f"lacks {missing} slices (a gap of {steps.max():.4g} mm where slices are {typical:.4g} mm apart)"
    jitter = np.abs(positions - np.linspace(positions[0], positions[-1], len(positions))).max()
    if jitter > _UNEVEN * typical:
        return f"has uneven slices ({steps.min():.4g} to {steps.max():.4g} mm apart)"
    return None


def _tilted(origins: np.ndarray, normal: np.ndarray, length: float) -> str | None:
    drift = origins - origins[0]
    drift = np.linalg.norm(drift - np.outer(drift @ normal, normal), axis=1).max()
    if drift > 0.1 + 1e-3 * length:  # positions are often rounded to 0.1 mm
        return f"was taken with the gantry tilted by about {np.degrees(np.arctan2(drift, length)):.1f} degrees"
    return None
