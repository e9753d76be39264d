"""Reading and writing of label maps, plain or as a segmentation of 3D Slicer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from Med3DCore.errors import OutputError, VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom_results import Origin, dicom_written, kind_of_output, read_dicom_labels
from Med3DCore.io.files import as_path, first_bytes, is_dicom
from Med3DCore.io.formats import read_header
from Med3DCore.io.header import Header
from Med3DCore.io.label_names import label_for
from Med3DCore.io.memory import require_memory
from Med3DCore.io.organ_files import organ_files, read_organ_files
from Med3DCore.io.overlay import Overlay
from Med3DCore.io.read import read_voxels
from Med3DCore.io.seg_nrrd import HIGHEST_VALUE, Segment, read_segments, segment_fields
from Med3DCore.io.warning import warner
from Med3DCore.io.write import fields_written
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap

_ROUNDING = 1e-3


def write_label_map(labels: LabelMap, path: str | Path) -> None:
    """Write a label map on its own grid: .nii.gz, .nii, .nrrd, .mha, or .seg.nrrd.

    A .seg.nrrd is a segmentation in 3D Slicer: segments with names, colours and SNOMED CT codes. The others hold the
    values only.

    Raises:
        OutputError: As :func:`.write_volume`.
    """
    write_label_maps(labels, [path])


def write_label_maps(labels: LabelMap, paths: Iterable[str | Path], origin: Origin | None = None) -> None:
    """As :func:`write_label_map`, into several files: all of them or, if one cannot be written, none.

    Args:
        labels: The label map.
        paths: The files; of a scan that is a DICOM series also .seg.dcm and .rtstruct.dcm.
        origin: That series, and what found the labels. Needed for DICOM only.

    Raises:
        OutputError: As :func:`.write_volume`.
        VolumeError: Labels overlap, for which only DICOM has a place here.
    """
    with ExitStack() as files:
        for path in map(Path, paths):
            if labels.overlaps and kind_of_output(path) is None:
                sentence = f"The labels of {labels.name} overlap, for which {path} has no place; save it in 3D Slicer."
                raise VolumeError(sentence)
            if kind_of_output(path) is not None:
                if origin is None:
                    raise OutputError(f"{path} cannot be written: only a DICOM series can have results in DICOM.")
                files.enter_context(dicom_written(labels, path, origin))
                continue
            is_segmentation = path.name.lower().endswith(".seg.nrrd")
            fields = segment_fields(labels.labels, labels.geometry.size) if is_segmentation else {}
            files.enter_context(fields_written(labels, fields, path))


def read_label_map(
    path: str | Path,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
    grid: Geometry | None = None,
) -> LabelMap:
    """Read a label map from a NIfTI, NRRD or MetaImage file, a segmentation of 3D Slicer (.seg.nrrd), or DICOM.

    The segments of a segmentation become the labels 1, 2, ... in their order in the file, whatever values they have
    there; where they overlap both are kept, see :class:`.LabelMap`. Its grid may be smaller than that of the
    scan, since Slicer saves only the part that holds segments. A folder with one file an organ names its labels, too.

    Args:
        path: The file or folder.
        names: What the values 1, 2, ... of a plain image mean; without, they are ``label_1``, ``label_2``, ... up to
            the highest. A segmentation names its own segments. Of a folder: the labels that are needed.
        progress: Takes the warnings. Without it, they are Python's.
        grid: Of the scan, which DICOM may need: an RTSTRUCT without looks for its series in its own folder, a SEG of a
            tilted gantry takes a grid of its own.

    Returns:
        uint8 ``[z, y, x]`` and its labels.

    Raises:
        VolumeError: It cannot be read, or its values are not whole numbers from 0 to 255 that have names.
        ResourceError: It does not fit into the free memory.
    """
    path = as_path(path)
    if path.is_dir() and organ_files(path):
        return read_organ_files(path, names, progress)
    warn = warner(progress)
    if path.is_dir():
        raise VolumeError(f"{path} is a folder; give a label map file, or the DICOM SEG or RTSTRUCT in it.")
    if is_dicom(first_bytes(path)):
        return read_dicom_labels(path, grid, warn)
    header = read_header(path)
    for sentence in (*((header.orientation_note,) if header.orientation_note else ()), *header.notes):
        warn(sentence)
    segments = read_segments(header, warn)
    if segments:
        overlay = _merge(header, segments, warn)
        labels = tuple(segment.label for segment in segments)
        return LabelMap(overlay.array, header.geometry, path.name, labels, overlay.overlaps)
    header.require_scalar()
    array = _whole_numbers(read_voxels(header), path)
    highest = int(array.max())
    if names is not None and highest > len(names):
        raise VolumeError(f"{path} holds the value {highest} but only {len(names)} labels are named; name all of them.")
    names = names or [f"label_{value}" for value in range(1, highest + 1)]
    labels = tuple(label_for(name, position) for position, name in enumerate(names))
    return LabelMap(array, header.geometry, path.name, labels)


def _whole_numbers(array: np.ndarray, path: Path) -> np.ndarray:
    """Values of labels, uint8; what a header's scaling left of a whole number (0.9999999) is one."""
    if array.dtype.kind == "f" and np.abs(array - np.rint(array)).max() < _ROUNDING:
        array = np.rint(array).astype(np.int64)
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" or low < 0 or high > 255:
        raise VolumeError(
            f"{path} is no label map: its values ({low:g} to {high:g}) are not all whole numbers from 0 to 255."
        )
    return array.astype(np.uint8, copy=False)


def _merge(header: Header, segments: Sequence[Segment], warn: Callable[[str], None]) -> Overlay:
    if len(segments) > 255:
        raise VolumeError(f"{header.path} holds {len(segments)} segments; Med3D reads at most 255, split the file.")
    voxels = int(np.prod(header.geometry.size, dtype=np.int64))
    require_memory(3 * header.voxels.bytes + 3 * voxels, str(header.path))
    layers = np.stack(list(header.voxels.slices())).reshape(*header.geometry.shape, header.components)
    low, high = layers.min(), layers.max()
    whole = layers.dtype.kind in "iu" or bool(np.all(layers == np.rint(layers)))  # False for NaN too
    if not whole or low < 0 or high > HIGHEST_VALUE:
        raise VolumeError(f"{header.path} is no segmentation: its values ({low:g} to {high:g}) stand for no segments.")
    layers = layers.astype(np.uint16, copy=False)
    overlay, lost = Overlay(header.geometry.shape, len(segments), str(header.path)), 0
    for layer in range(header.components):
        position_of = np.zeros(HIGHEST_VALUE + 1, np.uint8)
        for position, segment in reversed(list(enumerate(segments, start=1))):  # of two with one value the first has it
            if segment.layer == layer:
                position_of[segment.value] = position
        positions = position_of[layers[..., layer]]
        lost += int(np.count_nonzero((positions == 0) & (layers[..., layer] > 0)))
        overlay.lay(positions)
    if lost:
        warn(f"{lost} voxels of {header.path} have values that belong to no segment; they were left out.")
    return overlay
