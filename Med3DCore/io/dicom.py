"""DICOM folders: which series they hold, and reading one of them.

Reads what GDCM reads: raw, JPEG, JPEG-LS, JPEG 2000 and RLE, single and multi-frame. Never shows who the patient is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom_image import DicomImage, scan_images
from Med3DCore.io.dicom_stack import stack_images
from Med3DCore.io.files import as_path, ending_of, require_text
from Med3DCore.io.itk import captured
from Med3DCore.io.memory import require_memory
from Med3DCore.io.voxels import stack_slices
from Med3DCore.io.warning import warner
from Med3DCore.progress import Progress
from Med3DCore.threads import in_threads

_NOT_SCANS = ("SEG", "RTDOSE", "RTSTRUCT", "SR", "PR", "KO", "REG", "OT", "SC")
_AT_ONCE = 32


@dataclass(frozen=True)
class Series:
    """A DICOM series, or the part of one that has the same plane and size.

    Args:
        uid: Series Instance UID.
        number: Series Number, or None.
        description: Series Description.
        modality: Such as ``"CT"``.
        files: In the order of the slices.
        geometry: The grid.
        scout: Whether it is a localizer.
        problem: Why it cannot be read as a volume, as the end of a sentence, or None.
        note: What to warn of when it is read, as the end of a sentence, or None.
    """

    uid: str
    number: int | None
    description: str
    modality: str
    files: tuple[Path, ...]
    geometry: Geometry
    scout: bool = False
    problem: str | None = None
    note: str | None = None

    @property
    def usable(self) -> bool:
        """Whether it is a scan of several slices that can be read."""
        scan = not self.scout and self.modality not in _NOT_SCANS
        return scan and self.problem is None and self.geometry.size[2] > 1

    def __str__(self) -> str:
        size = " x ".join(str(n) for n in self.geometry.size)
        spacing = " x ".join(f"{value:.3g}" for value in self.geometry.spacing)
        name = f"{self.modality} '{self.description}'" if self.description else self.modality
        flaw = f", {self.problem}" if self.problem else ", scout" if self.scout else ""
        return f"{name}, {size} voxels of {spacing} mm{flaw}"


def list_series(folder: str | Path, progress: Progress | None = None) -> list[Series]:
    """The series of images in a folder and all folders below it, by series number.

    Args:
        folder: Any folder; files that are not DICOM images are passed over.
        progress: Takes the warning that CT, MR or PET images cannot be read, and can cancel. Without it the
            warning is Python's.

    Raises:
        VolumeError: There is no such folder, it may not be read, or it holds no DICOM image.
    """
    folder = as_path(folder)
    require_text(folder)
    if not folder.is_dir():
        raise VolumeError(f"There is no folder {folder}; check the name.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise VolumeError(f"The folder {folder} may not be read; ask its owner for permission or copy it elsewhere.")
    series = _series_of(_files_below(folder, progress), warner(progress))
    if not series:
        image = next((path.name for path in sorted(folder.iterdir()) if ending_of(path)), None)
        hint = f"give the file in it, such as {image}" if image else "give an image file or a folder with DICOM files"
        raise VolumeError(f"The folder {folder} holds no DICOM image that can be read; {hint}.")
    return series


def series_of_file(path: Path, progress: Progress | None = None) -> Series:
    """The series, out of the same folder, that one DICOM file belongs to.

    Raises:
        VolumeError: The file is no readable image.
    """
    if not scan_images([path], lambda _: None):
        raise VolumeError(
            f"{path} is a DICOM file but no image that can be read (truncated, damaged, encrypted, or a report); "
            "copy or export it again."
        )
    neighbours = [path, *(other for other in sorted(path.parent.iterdir()) if other.is_file() and other != path)]
    return next(series for series in _series_of(neighbours, warner(progress)) if path in series.files)


def choose_series(series: Sequence[Series], wanted: str | int | None, folder: Path) -> Series:
    """One of the series of a folder.

    Args:
        series: From :func:`list_series`.
        wanted: Its number in the list from 1, its UID, or a unique beginning of it; None takes the only series, or the
            only usable one.
        folder: For the message.

    Raises:
        VolumeError: None or several fit; the sentence lists them.
    """
    if wanted is None:
        found = series if len(series) == 1 else [one for one in series if one.usable]
    elif str(wanted).isdecimal() and 1 <= int(wanted) <= len(series):
        found = [series[int(wanted) - 1]]
    else:
        same = [one for one in series if one.uid == str(wanted)]
        found = same or [one for one in series if one.uid.startswith(str(wanted))]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(f"{number}: {one}" for number, one in enumerate(series, start=1))
    example = next((number for number, one in enumerate(series, start=1) if one.usable), 1)
    asked = "" if wanted is None else f" and '{wanted}' means {'several' if found else 'none'} of them"
    advice = f"choose one, such as `--series {example}`"
    raise VolumeError(f"{folder} holds {len(series)} series{asked}; {advice}: {listed}.")


def read_series(series: Series, progress: Progress | None = None) -> np.ndarray:
    """The voxels of a series, each slice with its own rescale slope and intercept applied.

    Returns:
        ``[z, y, x]`` uint8, int16 or float32, see :func:`stack_slices`.

    Raises:
        VolumeError: The series is no volume, or a file is damaged.
        ResourceError: It does not fit into the free memory.
    """
    name = f"The series {series.description or series.uid} in {series.files[0].parent}"
    if series.problem is not None:
        raise VolumeError(
            f"{name} {series.problem}; export it again in full, or load it in 3D Slicer and save it as NRRD."
        )
    if series.note is not None:
        warner(progress)(f"{name}: {series.note}.")
    shape = series.geometry.shape
    single = len(series.files) == 1
    require_memory(int(np.prod(shape, dtype=np.int64)) * (8 if single else 4), name)
    return stack_slices(_read_frames(series.files[0], shape) if single else _read_slices(series, progress), shape)


def _read_frames(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    with captured():
        return _read_image(path, shape)


def _read_slices(series: Series, progress: Progress | None) -> Iterator[np.ndarray]:
    shape, files = (1, *series.geometry.shape[1:]), series.files
    for start in range(0, len(files), _AT_ONCE):
        with captured():  # never while progress is told: it may go to the error stream
            slices = in_threads(lambda path: _read_image(path, shape)[0], files[start : start + _AT_ONCE])
        yield from slices
        if progress is not None:
            progress.update(min(1.0, (start + _AT_ONCE) / len(files)))


def _read_image(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    import SimpleITK as sitk

    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO")).reshape(shape)
    except (RuntimeError, ValueError):
        raise VolumeError(f"{path} is truncated or damaged; copy or export the series again.") from None


def _files_below(folder: Path, progress: Progress | None) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if progress is not None:
                progress.check()  # somebody may have chosen the folder of all patients
            yield Path(parent) / name


def _series_of(paths: Iterable[Path], warn: Callable[[str], None]) -> list[Series]:
    groups: list[list[DicomImage]] = []
    for image in scan_images(paths, warn):
        group = next((group for group in groups if _belongs(image, group[0])), None)
        if group is None:
            groups.append([image])
        else:
            group.append(image)
    series = []
    for group in groups:
        stack, one = stack_images(group), group[0]
        files = tuple(image.path for image in stack.images)
        names = (one.series_uid, one.series_number, one.description, one.modality)
        series.append(Series(*names, files, stack.geometry, one.localizer, stack.problem, stack.note))
    return sorted(series, key=lambda s: (s.number is None, s.number or 0, s.uid, -len(s.files)))


def _belongs(image: DicomImage, other: DicomImage) -> bool:
    """Same series, same plane, same size: what a slice needs to lie in the same stack."""
    a, b = image.geometry, other.geometry
    return (
        image.series_uid == other.series_uid
        and a.size == b.size
        and image.components == other.components
        and a.size[2] == 1
        and np.allclose(a.direction, b.direction, atol=1e-3)
        and np.allclose(a.spacing[:2], b.spacing[:2], rtol=1e-3)
    )
