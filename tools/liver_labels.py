"""Labels of livers that a model drafted and a person looked at: sure voxels, unsure ones, and what is no liver.

The drafts of liver-lungs-0.2.0 ran into hearts without contrast and stopped short of some left lobes, since the LiTS
scans that it learned from end where the liver does. Both can be seen in coronal slices in a narrow window, and were
corrected like this on 2026-11-21: everything above a line under the heart is no liver; soft tissue near a draft that
is as bright as the liver may be liver, and teaches nothing.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from Med3DCore.inference.postprocessing import Cleaning, clean

# Under the heart of each accepted case: points (x from the patient's right, z from the feet) in voxels of its coronal
# slices; everything above and to the left of the first point is no liver. None where the draft kept out of the heart.
# Left out: acrinflt_001b, whose pelvis is kept for tests. The last two are held out: nothing is trained on them.
HEART_LINES: dict[str, tuple[tuple[int, int], ...] | None] = {
    "acrinflt_013": ((70, 24), (85, 15), (118, 9)),
    "cmbcrc_01068": None,
    "cptac_c3n00247": ((64, 40), (75, 37), (100, 35)),
    "lctsc_s1-101": ((74, 40), (85, 36), (97, 34), (120, 36)),
    "lctsc_s1-102": ((72, 43), (110, 42)),
    "lctsc_s1-103": ((82, 44), (95, 41), (120, 39)),
    "lctsc_s1-201": ((70, 36), (80, 32), (120, 29)),
    "lctsc_s1-202": ((64, 32), (72, 28), (110, 24)),
    "lidc_0001": None,
    "lidc_0002": ((58, 34), (66, 30), (75, 27), (105, 25)),
    "lidc_0132a": None,
    "lidc_0132b": None,
    "lidc_0314": ((30, 39), (62, 34), (80, 29), (105, 25)),
    "lidc_1011": None,
    "ohif_acrin042": ((66, 52), (75, 49), (100, 44)),
    "ohif_nlst101287": ((42, 35), (75, 31)),
    "lctsc_s1-104": ((74, 30), (90, 23), (118, 22)),
    "lctsc_s1-203": ((74, 47), (85, 46), (112, 42)),
}

UNSURE = 254
"""Value of voxels that teach nothing, in the labels written here."""

# Blurred by a voxel and a half, a liver is within this much of its median; beyond are vessels, kidneys, fluid, fat.
_LIVER_HU = 28.0
# A lobe that the draft missed reaches so far, in voxels of 2.5 or 3 mm.
_MISSED = 14
_LINE_BAND = 2
_SOFT_HU = -300
# Drafts of 0.4.0 and 0.5.0, looked at in axial and coronal slices on 2026-12-01: in the first case both found fluid, in
# the second both stopped short of the left lobe.
BOTH_WRONG, BOTH_SHORT = ("lidc_0314",), ("lidc_0001",)
# Blurred by a voxel, a liver that nobody called ill is within this much of its median.
_BOTH_HU, _BOTH_SOFT_HU = 40.0, -100
# Of two drafts: a missed lobe lies so far from them, in voxels; nothing with less than so many HU may be liver.
_NEAR, _NO_FAT_HU = 10, -30


def label_liver(ct: sitk.Image, draft: sitk.Image, case: str) -> np.ndarray:
    """The label of a case, from its draft.

    Args:
        ct: The scan, in HU.
        draft: The model's mask, on the same grid.
        case: A name in :data:`HEART_LINES`.

    Returns:
        uint8 ``[z, y, x]`` on the scan's grid: 1 surely liver, 0 surely none, :data:`UNSURE`.
    """
    hu = sitk.GetArrayFromImage(sitk.DICOMOrient(ct, "LPS")).astype(np.float32)
    found = sitk.GetArrayFromImage(sitk.DICOMOrient(draft, "LPS")) > 0
    above, near_line = heart(hu.shape, HEART_LINES[case])
    liver = found & ~above
    blurred = ndimage.gaussian_filter(np.clip(hu, -200, 300), 1.5)
    alike = np.abs(blurred - np.median(hu[liver])) < _LIVER_HU
    sure = ndimage.binary_erosion(liver) & alike & ~near_line
    missed = ndimage.binary_dilation(liver, iterations=_MISSED) & alike
    border = ndimage.binary_dilation(liver, iterations=2)
    unsure = (border | missed | near_line & (border | found)) & (hu > _SOFT_HU) & ~(above & ~near_line)
    return _on_grid_of(ct, np.where(sure, 1, np.where(unsure, UNSURE, 0)))


def label_where_both_agree(ct: sitk.Image, first: sitk.Image, second: sitk.Image) -> np.ndarray:
    """The label of an ill liver, from the drafts of two models, lesions that both took for liver included.

    Args:
        ct: The scan, in HU.
        first: One model's mask, on the same grid.
        second: The other's.

    Returns:
        uint8 ``[z, y, x]``: 1 where both found it, :data:`UNSURE` at the border, where they differ, and near both where
        it is as bright as the liver; 0 elsewhere.
    """
    hu = sitk.GetArrayFromImage(ct).astype(np.float32)
    one, other = (sitk.GetArrayFromImage(draft) > 0 for draft in (first, second))
    both, either = ndimage.binary_opening(one & other), one | other
    alike = np.abs(ndimage.gaussian_filter(np.clip(hu, -200, 300), 1.5) - np.median(hu[both])) < _LIVER_HU
    border = ndimage.binary_dilation(either) & ~ndimage.binary_erosion(both)
    missed = ndimage.binary_dilation(either, iterations=_NEAR) & alike & ~either
    unsure = (border | missed | ndimage.binary_dilation(one ^ other)) & (hu > _NO_FAT_HU)
    return np.where(unsure, UNSURE, np.where(both, 1, 0)).astype(np.uint8)


def label_both(ct: sitk.Image, older: sitk.Image, newer: sitk.Image, case: str, ill: bool) -> np.ndarray:
    """The label of a liver, from the drafts of two good models.

    Elsewhere here what is as bright as the liver and near it teaches nothing, in case that a model missed it. So no
    leak into stomach, heart or duodenum was ever counted in a drafted scan. Here only the border and what one model
    alone found teach nothing.

    Args:
        ct: The scan, in HU.
        older: One model's mask, on the same grid.
        newer: The other's.
        case: Its name; if in :data:`HEART_LINES`, what lies above its line is no liver.
        ill: Whether it has lesions, which are liver although they look otherwise.

    Returns:
        uint8 ``[z, y, x]`` on the scan's grid: 1 liver, 0 none, :data:`UNSURE`.
    """
    hu, one, two = (sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS")) for image in (ct, older, newer))
    above, near_line = heart(hu.shape, HEART_LINES.get(case))
    agreed = ndimage.binary_opening((one > 0) & (two > 0) & ~above)
    both = clean(agreed.astype(np.float32), 1.0, Cleaning(keep_largest=1)) > 0
    either = ((one > 0) | (two > 0)) & ~above
    blurred = ndimage.gaussian_filter(np.clip(hu, -200, 300).astype(np.float32), 1.0)
    alike = np.abs(blurred - np.median(hu[both])) < _BOTH_HU
    unsure = ndimage.binary_dilation(both) & ~ndimage.binary_erosion(both) | (either ^ both)
    unsure |= near_line & ndimage.binary_dilation(either, iterations=2)
    if not ill:
        unsure |= both & ~alike
    if case in BOTH_SHORT:
        unsure |= ndimage.binary_dilation(both, iterations=_MISSED) & alike & ~both
    unsure &= (hu > _BOTH_SOFT_HU) & ~(above & ~near_line)
    return _on_grid_of(ct, np.where(unsure, UNSURE, both))


def _on_grid_of(ct: sitk.Image, label: np.ndarray) -> np.ndarray:
    """A label that is stored along LPS, on the scan's own grid."""
    image = sitk.GetImageFromArray(label.astype(np.uint8))
    image.CopyInformation(sitk.DICOMOrient(ct, "LPS"))
    return sitk.GetArrayFromImage(sitk.Resample(image, ct, sitk.Transform(), sitk.sitkNearestNeighbor))


def heart(shape: tuple[int, int, int], line: tuple[tuple[int, int], ...] | None) -> tuple[np.ndarray, np.ndarray]:
    """What lies above the line under the heart, and what is close to it; bool, on a grid stored along LPS."""
    if line is None:
        return np.zeros(shape, bool), np.zeros(shape, bool)
    x = np.arange(shape[2])
    height = np.interp(x, *np.transpose(line))
    over = np.arange(shape[0])[:, None, None] - np.where(x < line[0][0], np.inf, height)
    return np.broadcast_to(over > 0, shape), np.broadcast_to(np.abs(over) <= _LINE_BAND, shape)
