"""The voxels of a DICOM series."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.io.dicom.decode import decode
from Med3DCore.io.dicom.image import DicomImage
from Med3DCore.io.dicom.series import Series
from Med3DCore.io.itk import captured
from Med3DCore.io.memory import require_memory
from Med3DCore.io.voxels import stack_slices
from Med3DCore.io.warning import warner
from Med3DCore.progress import Progress
from Med3DCore.system.leftovers import own_name, remove_leftovers
from Med3DCore.system.threads import ahead, in_threads

_AT_ONCE = 32
_TEMPORARY = "med3d-dicom-"


def read_series(series: Series, progress: Progress | None = None) -> np.ndarray:
    """The voxels of a series, each slice with its own rescale slope and intercept, or modality LUT, applied.

    Returns:
        ``[z, y, x]`` uint8, int16 or float32, see :func:`.stack_slices`. Slices that are missing are the mean of their
        neighbours; those of a tilted gantry are shifted back, see :mod:`.tilt`.

    Raises:
        VolumeError: The series is no volume, or a file is damaged.
        ResourceError: It does not fit into the free memory.
    """
    name = series.name
    if series.problem is not None:
        raise VolumeError(
            f"{name} {series.problem}; export it again in full, or load it in 3D Slicer and save it as NRRD."
        )
    for note in series.notes:
        warner(progress)(f"{name}: {note}.")
    shape = series.geometry.shape
    require_memory(int(np.prod(shape, dtype=np.int64)) * 4, name)
    remove_leftovers(Path(tempfile.gettempdir()), _TEMPORARY)
    with tempfile.TemporaryDirectory(prefix=own_name(_TEMPORARY, "-"), ignore_cleanup_errors=True) as folder:
        slices = _slices(series.images, Path(folder), progress)
        if series.tilt is not None:
            slices = series.tilt.straightened(slices, series.modality == "CT")
        return stack_slices(_filled(slices, series.missing), shape)


def read_slice(image: DicomImage, folder: Path, name: str = "slice") -> np.ndarray:
    """The values of one slice, ``[y, x]``.

    Args:
        image: The slice.
        folder: For temporary files.
        name: Of such a file; one that no other thread uses.

    Raises:
        VolumeError: The file is damaged, or gone.
    """
    data = b"".join(image.pixels.stored(image.frame))
    stored = decode(image.pixels, data, folder, name) if image.pixels.compressed else image.pixels.values(data)
    return image.rescale.apply(stored)


def _slices(images: tuple[DicomImage, ...], folder: Path, progress: Progress | None) -> Iterator[np.ndarray]:
    def one(number: int) -> np.ndarray:
        return read_slice(images[number], folder, f"{number}.dcm")

    decoded = any(image.pixels.compressed for image in images)
    for number, values in enumerate((_quietly if decoded else ahead)(one, range(len(images)), _AT_ONCE)):
        yield values
        if progress is not None and ((number + 1) % _AT_ONCE == 0 or number + 1 == len(images)):
            progress.update((number + 1) / len(images))


def _quietly(function: Callable, items: Sequence, most: int) -> Iterator:
    """As :func:`.ahead`, without what GDCM prints; it takes turns, since progress may go to the error stream, too."""
    for start in range(0, len(items), most):
        with captured():
            results = in_threads(function, items[start : start + most])
        yield from results


def _filled(slices: Iterator[np.ndarray], missing: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Slices in order, with the mean of both neighbours where one is missing."""
    last: np.ndarray | None = None
    number = 0
    for values in slices:
        if last is not None and number in missing:
            mean = (last.astype(np.float64) + values) / 2
            yield mean if values.dtype.kind == "f" else np.rint(mean).astype(values.dtype)
            number += 1
        yield values
        last, number = values, number + 1
