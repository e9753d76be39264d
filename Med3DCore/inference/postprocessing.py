"""Remove what cannot be the organ, on the network's own grid, where it is cheap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.volume import Volume


@dataclass(frozen=True)
class Cleaning:
    """What to do with the mask of one label.

    Args:
        keep_largest: Keep so many of the largest connected pieces (faces touch); 0 keeps all.
        fill_holes: Fill enclosed holes.
        min_ml: Remove pieces smaller than this, in mL.
        keep_part: Also keep pieces that are at least this part of the largest, if that one is kept; 0 for none. A scan
            that shows only their bases cuts the lungs into four or more.
    """

    keep_largest: int = 0
    fill_holes: bool = False
    min_ml: float = 0.0
    keep_part: float = 0.0

    @classmethod
    def from_dict(cls, values: dict) -> Cleaning:
        """From a model's description.

        Raises:
            SettingError: Unknown setting.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise SettingError(f"Unknown post-processing setting in {values}.") from error


def clean(score: np.ndarray, voxel_ml: float, cleaning: Cleaning) -> np.ndarray:
    """Apply the rules to a score map, so that its 0.5 level is the border of the cleaned organ.

    Args:
        score: float32 ``[z, y, x]``; inside where above 0.5.
        voxel_ml: Volume of a voxel in mL.
        cleaning: The rules.

    Returns:
        A float32 map: 0 where a piece was removed, 1 in filled holes, the score elsewhere.
    """
    mask = score > 0.5
    if not mask.any():
        return score
    pieces = numbered_pieces(mask)
    sizes = np.bincount(pieces.ravel())[1:]
    count = len(sizes)
    order = np.argsort(sizes, kind="stable")[::-1]
    keep = [i for i in order[: cleaning.keep_largest or count] if sizes[i] * voxel_ml >= cleaning.min_ml]
    if keep and cleaning.keep_part:
        keep = sorted({*keep, *np.flatnonzero(sizes >= cleaning.keep_part * sizes[keep[0]])})
    kept = np.isin(pieces, np.add(keep, 1)) if len(keep) < count else mask
    cleaned = np.where(mask & ~kept, np.float32(0), score)
    if cleaning.fill_holes:
        cleaned[_with_holes_filled(kept) & ~kept] = 1.0
    return cleaned


def distance_to(mask: np.ndarray, grid: Geometry) -> np.ndarray:
    """How far each voxel is from the nearest one of a mask.

    Args:
        mask: Boolean ``[z, y, x]`` with something in it.
        grid: Its grid.

    Returns:
        float32 ``[z, y, x]`` in mm; 0 in the mask.
    """
    import SimpleITK as sitk

    image = Volume(mask, grid).to_sitk()
    distance = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    return np.maximum(sitk.GetArrayFromImage(distance), 0.0)


def numbered_pieces(mask: np.ndarray) -> np.ndarray:
    """The pieces of a mask that hang together by voxels' faces, numbered from 1; 0 elsewhere."""
    import SimpleITK as sitk  # here, since imported models need none of it, and it takes 90 MB

    return sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(mask.view(np.uint8))))


def _with_holes_filled(mask: np.ndarray) -> np.ndarray:
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(mask.view(np.uint8)))) > 0
