"""Do these slices make one volume? Their order, their grid, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry, triple
from Med3DCore.io.dicom.image import PARALLEL, DicomImage
from Med3DCore.io.dicom.steps import SAME_PLACE, even_steps
from Med3DCore.io.dicom.tilt import Tilt, find_tilt
from Med3DCore.io.grid import require_grid

_HEAD_FIRST = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
# Cosines of parallel slices that differ more are told.
_NOTICEABLE = 1e-3
_LOCATED = (
    "its slices have no ImagePositionPatient of their own; their SliceLocation was taken, so where they lie in the "
    "patient, and which end is up, is not sure"
)


@dataclass(frozen=True)
class Stack:
    """Images in the order of their slices.

    Args:
        images: Ordered along the slice axis.
        geometry: The grid of the whole.
        missing: Which slices of it are to be filled in, from 0.
        doubled: Whether two images are at one place.
        problem: Why it is no volume, as the end of a sentence, or None.
        notes: What to warn of, as the ends of sentences.
        tilt: How slices are to be shifted over each other, or None.
    """

    images: tuple[DicomImage, ...]
    geometry: Geometry
    missing: tuple[int, ...] = ()
    doubled: bool = False
    problem: str | None = None
    notes: tuple[str, ...] = ()
    tilt: Tilt | None = None


def stack_images(images: Sequence[DicomImage]) -> Stack:
    """Order images of one plane and size by position and find the grid that they fill.

    The distance between slices is measured between their positions, never taken from Slice Thickness or Spacing
    Between Slices, which scanners fill in freely. The axes are the rotation nearest to the mean of all images' axes.
    """
    images, axes, notes = tuple(images), mean_axes(images), []
    kinds = {None if image.axes is None else image.axes.tobytes(): image for image in images}  # most often one
    turned = max(float(np.abs(mean_axes((image,)) - axes).max()) for image in kinds.values())
    if turned > _NOTICEABLE:
        notes.append("its slices are turned a little against each other; the mean was taken")
    notes += [_LOCATED] if images[0].located else []
    problem = _shaky(turned) or next((image.fault for image in images if image.fault), None)
    origins = np.array([(0.0, 0.0, 0.0) if image.position is None else image.position for image in images])
    positions = origins @ axes[:, 2]
    order = np.argsort(positions, kind="stable")
    images, origins, positions = tuple(images[i] for i in order), origins[order], positions[order]
    one, spacing = images[0], images[0].spacing
    if len(images) == 1:
        notes += [] if one.thickness else ["it does not say how thick its only slice is; 1 mm was assumed"]
        geometry = Geometry(
            (*one.size, 1), (*spacing, one.thickness or 1.0), triple(_floats(origins[0])), tuple(_floats(axes))
        )
        return Stack(images, geometry, problem=problem or _impossible(geometry, one.path), notes=tuple(notes))
    if any(image.position is None for image in images):
        problem = problem or _unplaced(images)
    steps = even_steps(positions)
    notes += [steps.note] if steps.note else []
    problem, tilt = problem or steps.problem, None
    if problem is None:
        tilt, problem = find_tilt(origins, axes, spacing)
    origin = origins[0] + steps.start * axes[:, 2]
    geometry = Geometry(
        (*one.size, steps.count), (*spacing, steps.distance or 1.0), triple(_floats(origin)), tuple(_floats(axes))
    )
    if tilt is not None:
        geometry = tilt.straight_grid(geometry)
        notes.append(f"gantry tilt of {tilt.degrees:.1f} degrees, sheared back")
    problem = problem or _impossible(geometry, one.path)
    doubled = bool(np.diff(positions).min() < SAME_PLACE)
    return Stack(images, geometry, steps.missing, doubled, problem, tuple(notes), tilt)


def mean_axes(images: Sequence[DicomImage]) -> np.ndarray:
    """The axes of the array, as the images have them on average: float64 ``[3, 3]``, columns of a rotation."""
    mean = np.mean([_HEAD_FIRST if image.axes is None else image.axes for image in images], axis=0)
    left, _, right = np.linalg.svd(mean, full_matrices=False)
    rows, columns = left @ right
    return np.stack([rows, columns, np.cross(rows, columns)], axis=1)


def _impossible(geometry: Geometry, path: Path) -> str | None:
    try:
        require_grid(path, geometry.spacing, geometry.origin, geometry.direction_matrix)
    except VolumeError:
        shown = " x ".join(f"{value:g}" for value in geometry.spacing)
        return f"has a spacing ({shown} mm) or a place that cannot be"
    return None


def _floats(values: np.ndarray) -> Iterator[float]:
    return (float(value) for value in values.ravel())


def _shaky(turned: float) -> str | None:
    if turned <= PARALLEL:
        return None
    degrees, most = np.degrees((turned, PARALLEL))
    return f"has slices turned up to {degrees:.2g} degrees from their mean, where up to {most:.1g} is taken for noise"


def _unplaced(images: Sequence[DicomImage]) -> str:
    frames = images[0].pixels.frames
    if frames > 1:
        return f"does not say where each of its {frames} frames lies"
    return "does not say where its slices lie (ImagePositionPatient is missing)"
