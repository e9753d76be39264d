"""A label that lost where it lies, as after ``nibabel.Nifti1Image(array, numpy.eye(4))``, on its image again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.geometry import Geometry
from Med3DCore.volume import LabelMap


def with_header_of(image: Geometry, label: LabelMap) -> LabelMap:
    """A label map with the grid of its image, voxel by voxel; whether it then lies right, a check must tell.

    Args:
        image: Grid of the image.
        label: uint8 ``[z, y, x]`` of as many voxels; in the reversed order of axes, too, as an array of SimpleITK has
            when nibabel saves it.

    Raises:
        DataError: It has another number of voxels, or lies there already.
    """
    if label.geometry.is_close(image, tolerance_mm=0.1):
        raise DataError(f"{label.name} lies on its image already; nothing need be copied.")
    if label.geometry.size == image.size:
        array = label.array
    elif label.geometry.size == image.size[::-1]:
        array = np.ascontiguousarray(label.array.transpose())
    else:
        sizes = (" x ".join(map(str, size)) for size in (label.geometry.size, image.size))
        raise DataError("{} has {} voxels and the image {}; a header cannot be copied.".format(label.name, *sizes))
    return replace(label, array=array, geometry=image)
