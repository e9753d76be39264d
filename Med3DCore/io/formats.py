"""Reading the header of an image file, whatever its format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from Med3DCore.io.files import FORMATS, as_path, ending_of, require_image
from Med3DCore.io.header import Header
from Med3DCore.io.metaimage import read_metaimage_header
from Med3DCore.io.nifti_header import read_nifti_header
from Med3DCore.io.nrrd import read_nrrd_header

_READERS = {"NIfTI": read_nifti_header, "NRRD": read_nrrd_header, "MetaImage": read_metaimage_header}


def read_header(path: str | Path, frame: int | None = None) -> Header:
    """Read and check the header of a NIfTI, NRRD or MetaImage file.

    The grid is the one that Slicer shows, except for units that it passes over; the header says so then.

    Args:
        path: The file.
        frame: Which volume of a 4D file is meant, from 0.

    Raises:
        SettingError: A frame of a file with one volume is wanted.
        VolumeError: The file is not such an image, is not 3D or 4D, is too short, or says nonsense about its grid.
    """
    path = as_path(path)
    require_image(path)
    with np.errstate(all="ignore"):  # what is no number is found and told
        header = _READERS[FORMATS[ending_of(path)]](path)
    header.voxels.require_room()
    return header.of_frame(frame)
