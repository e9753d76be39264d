"""Is this a grid of boxes in a patient? What an image file says of its place, checked and freed of rounding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry, triple

Numbers = Sequence[float] | np.ndarray

# Largest cosine between two axes that still passes for rounding: cosines with three decimals reach 1.7e-3.
SHEAR_TOLERANCE = 2e-3
# In mm. Beyond them is no patient, but a damaged number or another unit.
_SMALLEST_SPACING = 1e-3
_LARGEST_SPACING = 1e3
_FURTHEST = 1e6
_LONGEST = 1e4


def checked_grid(path: Path, size: Sequence[int], spacing: Numbers, origin: Numbers, direction: np.ndarray) -> Geometry:
    """The grid, its axes turned to the nearest that are exactly at right angles.

    Args:
        path: The file, for the message.
        size: Voxels along x, y and z.
        spacing: (x, y, z) in mm.
        origin: LPS mm.
        direction: 3x3, its columns are the axes.

    Raises:
        VolumeError: As :func:`require_grid`, or there are no voxels.
    """
    if min(size) < 1:
        raise VolumeError(f"{path} holds no voxels (its size is {' x '.join(map(str, size))}); export it again.")
    require_grid(path, spacing, origin, direction)
    require_extent(path, size, spacing)
    direction = np.asarray(direction, dtype=np.float64)
    if np.abs(direction.T @ direction - np.eye(3)).max() > 1e-12:
        left, _, right = np.linalg.svd(direction)
        direction = left @ right
    return Geometry(
        triple(int(n) for n in size),
        triple(float(v) for v in spacing),
        triple(float(v) for v in origin),
        tuple(float(v) for v in direction.ravel()),
    )


def require_grid(
    path: Path | str,
    spacing: Numbers,
    origin: Numbers,
    direction: np.ndarray,
    tolerance: float = SHEAR_TOLERANCE,
) -> None:
    """Refuse a grid that is not a grid of boxes in a patient.

    Args:
        path: The file, or a volume's name, for the message.
        spacing: (x, y, z) in mm.
        origin: LPS mm.
        direction: 3x3, its columns are the axes.
        tolerance: Of the cosines between the axes.

    Raises:
        VolumeError: A spacing is not above zero or not of this world, a number is not finite, or axes are not at right
            angles.
    """
    if not all(_SMALLEST_SPACING <= value <= _LARGEST_SPACING for value in spacing):  # False for NaN too
        raise impossible_spacing(path, spacing)
    if not (np.all(np.isfinite(direction)) and np.all(np.isfinite(origin))):
        raise no_place(path)
    if np.abs(origin).max() > _FURTHEST:
        shown = ", ".join(f"{value:g}" for value in origin)
        raise VolumeError(
            f"{path} lies at ({shown}) mm, which cannot be in a patient; correct its header or export it again."
        )
    if np.abs(direction.T @ direction - np.eye(3)).max() > tolerance:
        raise sheared(path)


def require_extent(path: Path | str, size: Sequence[int], spacing: Numbers) -> None:
    """Refuse a volume that is longer than any scanner: its spacing is wrong, and finer copies of it fill every memory.

    Raises:
        VolumeError: It is longer than 10 m.
    """
    longest = max(n * step for n, step in zip(size, spacing, strict=True))
    if longest > _LONGEST:
        raise VolumeError(
            f"{path} is {longest / 1000:.4g} m long by its spacing, which cannot be; correct its header or "
            "export it again."
        )


def impossible_spacing(path: Path | str, spacing: Numbers) -> VolumeError:
    """What to say of a spacing that no scan has."""
    shown = " x ".join(f"{value:g}" for value in spacing)
    return VolumeError(f"{path} has a spacing of {shown} mm, which cannot be; correct its header or export it again.")


def no_place(path: Path | str) -> VolumeError:
    """What to say of axes or an origin that are no numbers."""
    return VolumeError(
        f"{path} does not say where its voxels lie (its axes or origin are no finite numbers); export it again."
    )


def sheared(path: Path | str) -> VolumeError:
    """What to say of axes that are not at right angles."""
    return VolumeError(
        f"The axes of {path} are not at right angles (a sheared grid, as after an affine registration, or a damaged "
        "header); resample it onto a straight grid first."
    )
