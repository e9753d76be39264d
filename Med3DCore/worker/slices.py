"""Whether a client laid the slices of a DICOM series out as they were taken: Slicer's reader spreads them evenly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from Med3DCore.io.dicom import series_of_files
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

_NOTICEABLE = 0.01  # of the distance between slices


def warn_of_slices(files: Sequence[str], scan: Volume, progress: Progress) -> None:
    """Warn where slices are missing, doubled or unevenly apart, so that the scan is stretched or squeezed.

    Args:
        files: The slices that the scan was loaded from, an image each. A scan of another number of slices was cropped
            or resampled since; nothing is said of it.
        scan: As the client has it, its slices along the z axis.
        progress: Gets the warning.
    """
    paths = [Path(file) for file in files if Path(file).is_file()]
    if len(paths) != len(files) or len(paths) != scan.geometry.size[2] or len(paths) < 2:
        return
    found = series_of_files(paths, progress)
    if not found:
        return
    series, laid = max(found, key=lambda one: one.slices), scan.geometry.spacing[2]
    wrong = "its shapes and volumes in mL are wrong. Segment its DICOM folder with the command med3d segment instead"
    if series.tilt and scan.geometry.size[:2] == tuple(series.images[0].size):
        tilt = f"(gantry tilt of {series.tilt.degrees:.1f} degrees)"
        progress.warn(
            f"The slices of {scan.name} lie aside of each other {tilt}, but it was loaded as if they lay over each "
            "other: its shapes are wrong. Segment its DICOM folder with the command med3d segment instead."
        )
    if series.problem:
        progress.warn(f"{scan.name} {series.problem}, but it was loaded as if all were {laid:.3g} mm apart: {wrong}.")
    elif abs(laid / series.geometry.spacing[2] - 1) > _NOTICEABLE:
        apart, why = series.geometry.spacing[2], []
        if series.missing:
            why.append("1 is missing" if len(series.missing) == 1 else f"{len(series.missing)} are missing")
        if doubled := len(paths) - sum(one.slices for one in found):
            why.append("1 is there twice" if doubled == 1 else f"{doubled} are there twice")
        if len(found) > 1:
            why.append(f"they are of {len(found)} scans")
        reason = f" ({', '.join(why)})" if why else ""
        progress.warn(
            f"The slices of {scan.name} are {apart:.3g} mm apart{reason}, but it was loaded as if they were {laid:.3g} "
            f"mm apart: {wrong}."
        )
