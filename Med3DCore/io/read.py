"""Reading a scan: one function for every format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.io.dicom import Series, choose_series, list_series, read_series, series_of_file
from Med3DCore.io.files import as_path, first_bytes, is_dicom
from Med3DCore.io.formats import read_header
from Med3DCore.io.grid import require_extent, require_grid
from Med3DCore.io.header import Header
from Med3DCore.io.memory import require_memory
from Med3DCore.io.orientation import turned
from Med3DCore.io.voxels import fill_non_finite, require_contrast, shifted, stack_slices
from Med3DCore.io.warning import warner
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume


def read_volume(
    path: str | Path,
    series: str | int | None = None,
    progress: Progress | None = None,
    frame: int | None = None,
    acquisition: str | int | None = None,
) -> Volume:
    """Read a scan: NIfTI, NRRD, MetaImage, a folder with DICOM files at any depth, or one file of a DICOM series.

    Rescale slope and intercept are applied. Whole numbers that fit come as int16 (uint8 if stored so), all else as
    float32. NaN and infinite voxels, up to half of the volume, take its lowest value, with a warning. Slices of a
    DICOM series that are unevenly spaced are refused; where slices are missing one by one, the mean of their
    neighbours is taken, and those of a tilted gantry are shifted over each other, each with a warning.

    Args:
        path: The file or folder.
        series: Which series of a DICOM folder: its letter in the list (``"A"`` is the first of :func:`.list_series`),
            its DICOM series number, its UID, or a unique beginning of that. Needed only if several could be meant.
        progress: Is told the share of slices read, takes the warnings, and can cancel. Without it warnings are
            Python's.
        frame: Which volume of a 4D file, from 0; without, such a file is refused.
        acquisition: Which acquisition or phase of a DICOM series that holds several.

    Returns:
        The volume, named after the file or folder.

    Raises:
        VolumeError: It cannot be read or is not a usable 3D volume.
        ResourceError: It does not fit into the free memory.
        SettingError: ``series``, ``acquisition`` or ``frame`` was given for what has none.
    """
    return read_found(find_scan(path, series, progress, frame, acquisition), path, progress)


def find_scan(
    path: str | Path,
    series: str | int | None = None,
    progress: Progress | None = None,
    frame: int | None = None,
    acquisition: str | int | None = None,
) -> Header | Series:
    """The scan that :func:`read_volume` would read, judged by headers alone, which takes a moment.

    Raises:
        VolumeError: It is not a usable 3D volume.
        SettingError: ``series``, ``acquisition`` or ``frame`` was given for what has none.
    """
    path = as_path(path)
    folder = path.is_dir()
    if folder or is_dicom(first_bytes(path)):
        if frame:
            raise SettingError(f"A frame is one of a 4D file, and {path} is DICOM; choose a series or acquisition.")
        if not folder:
            return series_of_file(path, series, acquisition, progress)
        return choose_series(list_series(path, progress), series, path, acquisition)
    if series is not None or acquisition is not None:
        what = "A series" if series is not None else "An acquisition"
        raise SettingError(f"{what} can be chosen from a DICOM folder only, and {path} is none; leave it out.")
    header = read_header(path, frame)
    header.require_scalar()
    return header


def read_found(
    scan: Header | Series,
    path: str | Path,
    progress: Progress | None = None,
    orientation: str | None = None,
    offset: float = 0.0,
) -> Volume:
    """Read what :func:`find_scan` found for the same path; the second half of :func:`read_volume`.

    Args:
        scan: What was found.
        path: Where.
        progress: As for :func:`read_volume`.
        orientation: How the axes x, y, z of the array run, such as ``"RAS"``, whatever the file says; its centre stays
            in place.
        offset: Is added to all values, such as -1024 for a CT that was stored without its offset.

    Raises:
        SettingError: The orientation makes no sense.
        Med3DError: As :func:`read_volume`.
    """
    warn, geometry = warner(progress), scan.geometry
    require_grid(path, geometry.spacing, geometry.origin, geometry.direction_matrix)
    require_extent(path, geometry.size, geometry.spacing)
    geometry = geometry if orientation is None else turned(geometry, orientation)
    array = read_voxels(scan, progress) if isinstance(scan, Header) else read_series(scan, progress)
    for sentence in scan.notes if isinstance(scan, Header) else ():  # those of a series are told by who reads it
        warn(sentence)
    if scan.orientation_note and orientation is None:
        warn(scan.orientation_note)
    path = as_path(path)
    name = path.absolute().name or str(path)
    fill_non_finite(array, name, warn)
    array = shifted(array, offset)
    require_contrast(array, name)
    return Volume(array, geometry, name, modality=scan.modality if isinstance(scan, Series) else None)


def read_voxels(header: Header, progress: Progress | None = None) -> np.ndarray:
    """The voxels of a scalar NIfTI, NRRD or MetaImage file.

    Returns:
        ``[z, y, x]`` uint8, int16 or float32, see :func:`.stack_slices`.

    Raises:
        VolumeError: The file is truncated or damaged.
        ResourceError: It does not fit into the free memory.
    """
    voxels, dtype = header.voxels, header.voxels.dtype
    result = int(np.prod(header.geometry.size, dtype=np.int64)) * (4 if dtype.kind == "f" or voxels.scale else 2)
    require_memory(result + (0 if voxels.is_streamed else 2 * voxels.bytes), str(header.path))
    return stack_slices(_followed(voxels.slices(), header.geometry.size[2], progress), header.geometry.shape)


def _followed(slices: Iterator[np.ndarray], count: int, progress: Progress | None) -> Iterator[np.ndarray]:
    for z, values in enumerate(slices):
        yield values
        if progress is not None:
            progress.update((z + 1) / count)
