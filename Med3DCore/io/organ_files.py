"""A folder with one file an organ, ``liver.nii.gz``, ``spleen.nii.gz``, ..., as one label map.

So do TotalSegmentator's data set and its program store labels: masks on one grid, which may overlap.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.io.files import ending_of
from Med3DCore.io.formats import read_header
from Med3DCore.io.header import Header
from Med3DCore.io.label_names import label_for, our_name
from Med3DCore.io.memory import require_memory
from Med3DCore.io.overlay import Overlay
from Med3DCore.io.read import read_voxels
from Med3DCore.io.warning import warner
from Med3DCore.labels import LABELS
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap

SEGMENTATIONS = "segmentations"
"""What TotalSegmentator calls such a folder in that of a case."""

_MOST = 250
_LEFT = ("lung_upper_lobe_left", "lung_lower_lobe_left")
_RIGHT = ("lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right")
# Organs of ours that others store in parts: known where all parts are.
_UNIONS = {"left_lung": _LEFT, "right_lung": _RIGHT, "lungs": _LEFT + _RIGHT}


def organ_files(folder: Path) -> dict[str, Path]:
    """The masks in a folder by our name of their organ, sorted; none if it holds no image files.

    Raises:
        VolumeError: Two files mean one organ, there are too many, or the folder cannot be read.
    """
    found: dict[str, Path] = {}
    try:
        paths = sorted(path for path in folder.iterdir() if ending_of(path) and not path.name.startswith("."))
    except OSError as error:
        raise VolumeError(f"{folder} cannot be read: {error.strerror}.") from None
    for path in paths:
        name = our_name(path.name[: -len(ending_of(path))])
        if name in found:
            raise VolumeError(f"{found[name]} and {path} both mean '{name}'; rename one of them.")
        found[name] = path
    if len(found) > _MOST:
        raise VolumeError(f"{folder} holds {len(found)} masks; Med3D reads at most {_MOST}, take some out.")
    return found


def folder_of_organs(folder: Path) -> Path | None:
    """A folder that holds masks, or the one of a case that does; None if there is neither.

    Others hold label maps of several cases: there no file is named after an organ.
    """
    inside = folder / SEGMENTATIONS
    if inside.is_dir() and organ_files(inside):
        return inside
    names = {our_name(path.name[: -len(ending_of(path))]) for path in folder.iterdir() if ending_of(path)}
    return None if names.isdisjoint({*LABELS, *_LEFT, *_RIGHT}) else folder


def organ_names(folder: Path) -> list[str]:
    """The labels of a folder, in the order of their values: its files and what some of them are together.

    Raises:
        VolumeError: As :func:`organ_files`.
    """
    files = organ_files(folder)
    return [*files, *(name for name, parts in _UNIONS.items() if name not in files and set(parts) <= files.keys())]


def read_organ_files(folder: Path, wanted: Collection[str] | None = None, progress: Progress | None = None) -> LabelMap:
    """The masks of a folder as one label map.

    Args:
        folder: The folder.
        wanted: Which labels are needed; by default all. The others' files are not opened, and their labels are nowhere.
        progress: May cancel, and takes warnings. Without it, they are Python's.

    Returns:
        uint8 ``[z, y, x]`` on the grid of the first file, with the labels of :func:`organ_names`.

    Raises:
        VolumeError: A file cannot be read, is no mask, or lies on another grid than the first.
        ResourceError: They do not fit into the free memory.
    """
    files, names = organ_files(folder), organ_names(folder)
    if not files:
        raise VolumeError(f"{folder} holds no label files, such as liver.nii.gz.")
    needed = set(names if wanted is None else wanted)
    needed |= {part for name in needed & _UNIONS.keys() - files.keys() for part in _UNIONS[name]}
    first = read_header(next(iter(files.values())))
    for sentence in (*((first.orientation_note,) if first.orientation_note else ()), *first.notes):
        warner(progress)(sentence)
    require_memory(8 * int(np.prod(first.geometry.size, dtype=np.int64)), str(folder))
    overlay = Overlay(first.geometry.shape, len(names), str(folder))
    for name, path in files.items():
        if progress is not None:
            progress.check()
        if name in needed:
            overlay.lay(_mask(path, first) * np.uint8(1 + names.index(name)))
    for value, name in enumerate(names, start=1):
        if name in needed and name not in files:
            overlay.name_union(value, {1 + names.index(part) for part in _UNIONS[name]})
    labels = tuple(label_for(name, position) for position, name in enumerate(names))
    return LabelMap(overlay.array, first.geometry, folder.name, labels, overlay.overlaps)


def _mask(path: Path, first: Header) -> np.ndarray:
    """Where the organ of a file is, bool ``[z, y, x]``; whatever one value it has there."""
    header = read_header(path)
    header.require_scalar()
    if not header.geometry.is_close(first.geometry, tolerance_mm=0.1):
        raise VolumeError(f"{path} lies on another grid than {first.path}; the masks of a folder must share one.")
    array = read_voxels(header)
    mask = array != 0
    high = array.max()
    if array.min() < 0 or (high != 0 and not np.array_equal(mask, array == high)):
        raise VolumeError(f"{path} is no mask of one organ: it has more than one value; name the file itself as label.")
    return mask
