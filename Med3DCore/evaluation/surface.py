"""How far two surfaces lie apart in millimetres: ASSD, RMSD, MSSD (Hausdorff), HD95 and NSD.

Follows section C of papers.md, that is the public LiTS evaluation: the surface of a mask is the mask without its
erosion by the 18-neighbourhood, so it is made of voxels, those at the border of the image included, and the means are
pooled over both surfaces. Of a single slice, all of which that would be, we take the outline. Two common variants give
slightly other numbers: MedPy's newer ``assd`` averages the two directed means, and the LiTS notebook takes its
Hausdorff distance from 6-neighbourhood surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.evaluation.overlap import as_masks
from Med3DCore.geometry import Triple, triple

# Spacings come out of file headers rounded (2.0000001 mm), which must not push a whole surface out of the tolerance.
_ROUNDING_MM = 1e-4


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """The distance of every surface voxel of either mask to the surface of the other.

    A mask without a surface has no distances, and the other's are infinite. So if one mask is empty every distance
    measure is inf and NSD 0; if both are, all of them are nan. The public LiTS notebook calls both 0 mm.

    Args:
        from_prediction: float32 vector, mm, one value for each surface voxel of the prediction.
        from_reference: float32 vector, mm, one value for each surface voxel of the reference.
    """

    from_prediction: np.ndarray
    from_reference: np.ndarray

    @property
    def assd(self) -> float:
        """Average symmetric surface distance in mm: the mean of all distances."""
        return float(self._pooled.mean(dtype=np.float64)) if self._pooled.size else nan

    @property
    def rmsd(self) -> float:
        """Root mean square symmetric surface distance in mm."""
        return float(np.sqrt(np.square(self._pooled, dtype=np.float64).mean())) if self._pooled.size else nan

    @property
    def mssd(self) -> float:
        """Maximum symmetric surface distance in mm, the Hausdorff distance."""
        return float(self._pooled.max()) if self._pooled.size else nan

    @property
    def hd95(self) -> float:
        """95 % Hausdorff distance in mm: the larger of both directed 95th percentiles (linear between samples).

        Section C does not define it; this is the usual form (Metrics Reloaded, MONAI). MedPy pools both sides first.
        """
        if not self._pooled.size:
            return nan
        if np.isinf(self._pooled).any():
            return inf
        return float(max(np.percentile(side, 95) for side in (self.from_prediction, self.from_reference)))

    def nsd(self, tolerance_mm: float) -> float:
        """Normalised surface Dice, 0 to 1: the part of both surfaces that lies within the tolerance of the other.

        Counts surface voxels; the original (Nikolov et al. 2018) weights each by the area of the surface through it.
        """
        within = self._pooled <= tolerance_mm + _ROUNDING_MM
        return float(within.mean()) if within.size else nan

    @property
    def _pooled(self) -> np.ndarray:
        return np.concatenate([self.from_prediction, self.from_reference])


def measure_surfaces(
    prediction: np.ndarray, reference: np.ndarray, spacing: Triple, known: np.ndarray | None = None
) -> SurfaceDistances:
    """Measure from each mask's surface to the other's.

    Only the box around both masks is computed, so time and memory follow the organ and not the scan.

    Args:
        prediction: Mask ``[z, y, x]``, bool or numbers of which any but 0 is inside.
        reference: Mask on the same grid.
        spacing: Voxel spacing (x, y, z) in mm. The axes may point anywhere as long as they are orthogonal.
        known: Where the reference can be trusted, bool. A border against unknown voxels is no surface. None:
            everywhere.

    Returns:
        Distances, exact to float32.

    Raises:
        DataError: The masks differ in shape, or a spacing is not above 0.
    """
    if not all(0 < value < inf for value in spacing):
        raise DataError(f"Distances need a voxel spacing above 0 mm on every axis, not {tuple(spacing)}.")
    prediction, reference = as_masks(prediction, reference, known)
    box = bounding_box(prediction | reference, margin=1)
    unknown = None if known is None else ~known[box]
    surfaces = [_surface(mask[box], unknown) for mask in (prediction, reference)]
    return SurfaceDistances(
        _distances(surfaces[0], surfaces[1], spacing),
        _distances(surfaces[1], surfaces[0], spacing),
    )


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, slice, slice]:
    """Smallest box of array slices (z, y, x) with every True voxel; the empty box if there is none.

    Args:
        mask: Bool ``[z, y, x]``.
        margin: Voxels more on every side, as far as the array goes.
    """
    box: list[slice] = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        used = np.flatnonzero(mask.any(axis=others))
        if not used.size:
            return (slice(0, 0),) * 3
        mask = mask[(slice(None),) * axis + (slice(used[0], used[-1] + 1),)]
        box.append(slice(max(0, int(used[0]) - margin), int(used[-1]) + 1 + margin))
    return triple(box)


def _surface(mask: np.ndarray, unknown: np.ndarray | None) -> np.ndarray:
    """Voxels of the mask with a background voxel, or the image's end, among their 18 neighbours."""
    solid = mask if unknown is None else mask | unknown
    # The 18-neighbourhood is the union of three 3x3 squares, and a square is one line after another.
    along_x = _erode_along(solid, 2)
    inner = _erode_along(along_x, 1)
    inner &= _erode_along(along_x, 0)
    inner &= _erode_along(_erode_along(solid, 1), 0)
    return mask & ~inner


def _erode_along(mask: np.ndarray, axis: int) -> np.ndarray:
    """Erode by a line of three voxels along one axis; outside of the array is background.

    Along an axis of one voxel nothing ends: a single slice has an outline, of which its whole area is no part.
    """
    if mask.shape[axis] == 1:
        return mask.copy()
    result = np.zeros_like(mask)
    target, source = np.moveaxis(result, axis, 0), np.moveaxis(mask, axis, 0)
    target[1:-1] = source[1:-1] & source[:-2] & source[2:]
    return result


def _distances(surface: np.ndarray, other: np.ndarray, spacing: Triple) -> np.ndarray:
    """float32 mm from each voxel of one surface to the nearest of the other; inf if that has none."""
    if not other.any():
        return np.full(np.count_nonzero(surface), np.inf, np.float32)
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(other.view(np.uint8))
    image.SetSpacing(spacing)
    # Maurer's transform is exact and linear in the voxels; inside the other surface it is negative: 0 for us.
    transform = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    return np.maximum(sitk.GetArrayViewFromImage(transform)[surface], 0)
