"""Folders of image and label pairs, recognised by their names.

    imagesTr/a.nii.gz  labelsTr/a.nii.gz        folders (images, img, ct; labels, masks, seg, ...)
    a_ct.nii.gz        a_seg.nii.gz             words at the end of the name, or at its beginning
    a.nrrd             a.seg.nrrd               as 3D Slicer saves them
    a/ct.nii.gz        a/labels.nii.gz          a folder for each case
    a/ct/1.dcm, ...     a/labels.nrrd            a folder with a DICOM series is an image
    train/..., val/...                          the split

What the values mean is in ``labels.json`` beside them (``{"liver": 1}``); a ``.seg.nrrd`` names its segments itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from Med3DCore.errors import DataError
from Med3DCore.io import read_header
from Med3DCore.io.files import ending_of, first_bytes, is_dicom
from Med3DCore.io.seg_nrrd import read_segments
from Med3DCore.training.cases.case import Case, Values
from Med3DCore.training.data_sets.names import our_name

_IMAGE_WORDS = {"ct", "mr", "mri", "image", "images", "imagestr", "img", "imgs", "scan", "scans", "volume", "volumes"}
_IMAGE_WORDS |= {"dicom", "dcm"}
_LABEL_WORDS = {"seg", "segs", "segmentation", "segmentations", "label", "labels", "labelstr", "labelmap", "mask"}
_LABEL_WORDS |= {"masks", "gt", "groundtruth", "truth", "manual", "contour", "contours"}
_SPLITS = {"train": "training", "training": "training", "val": "validation", "valid": "validation"}
_SPLITS |= {"validation": "validation"}
_TEST_FOLDERS = {"test", "testing", "imagests", "labelsts"}


@dataclass(frozen=True)
class _File:
    """An image or label file, and the case and patient that its name tells: one in two splits is one patient."""

    path: Path
    case: str
    patient: str
    is_label: bool
    split: str


def pair_cases(folder: Path, values: dict[str, Values], warn: Callable[[str], None]) -> list[Case]:
    """The pairs in a folder and its subfolders. Each case is taken for a patient of its own,
    except that one name in the folders of two splits is one patient.

    Args:
        folder: The folder.
        values: What the values of label files mean that do not say it themselves.
        warn: Told of what is left alone.

    Raises:
        DataError: There is no pair, or nobody says what the values mean.
    """
    files = [_classify(path, folder) for path in sorted(folder.rglob("*")) if _is_wanted(path, folder)]
    images, labels = _by_case(files, False), _by_case(files, True)
    for what, names in (("image", images.keys() - labels), ("label", labels.keys() - images)):
        for case in sorted(names):
            file = (images if what == "image" else labels)[case].path
            warn(f"The {what} {file} has no {'label' if what == 'image' else 'image'}; it is left out.")
    pairs = [(images[case], labels[case]) for case in images if case in labels]
    if not pairs:
        raise DataError(
            f"{folder} holds no image with its label; name them such as a_ct.nii.gz and a_seg.nii.gz, or put them into "
            "imagesTr and labelsTr under one name."
        )
    return [_case(image, label, values, folder) for image, label in pairs]


def _case(image: _File, label: _File, values: dict[str, Values], folder: Path) -> Case:
    own = _segment_values(label.path) or values
    if not own:
        raise DataError(
            f'Nothing says what the values of {label.path} mean; write such as {{"liver": 1}} into '
            f"{folder / 'labels.json'}."
        )
    return Case(
        image.case, image.path, label.path, own, tuple(own), image.patient, image.split, source={"data": folder.name}
    )


def _segment_values(path: Path) -> dict[str, Values]:
    """The values that :func:`Med3DCore.io.read_label_map` gives to the segments of a ``.seg.nrrd``."""
    segments = read_segments(read_header(path)) if path.name.lower().endswith(".seg.nrrd") else []
    return {our_name(segment.label.name): value for value, segment in enumerate(segments, start=1)}


def _is_wanted(path: Path, folder: Path) -> bool:
    parts = [part.lower() for part in path.relative_to(folder).parts]
    is_image = _is_dicom_folder(path) if path.is_dir() else bool(ending_of(path))
    return is_image and not any(part.startswith(".") or part in _TEST_FOLDERS for part in parts)


def _is_dicom_folder(folder: Path) -> bool:
    """Whether the first file in a folder that is not an image of another format is a DICOM file."""
    files = (file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith("."))
    first = next((file for file in files if not ending_of(file) and file.stat().st_size), None)
    return first is not None and is_dicom(first_bytes(first))


def _classify(path: Path, folder: Path) -> _File:
    """Whether a file is an image or a label, and of which case: what is left of its name without the words for that."""
    stem = path.name[: len(path.name) - len(ending_of(path))]
    is_label = stem.lower().endswith(".seg")
    stem = stem[:-4] if is_label else stem.removesuffix("_0000")
    words = re.split(r"[\W_]+", stem.lower())
    if words[-1] in _LABEL_WORDS | _IMAGE_WORDS:
        is_label |= words[-1] in _LABEL_WORDS
        stem = re.sub(r"[\W_]*[^\W_]+[\W_]*$", "", stem)
    elif words[0] in _LABEL_WORDS | _IMAGE_WORDS:
        is_label |= words[0] in _LABEL_WORDS
        stem = re.sub(r"^[\W_]*[^\W_]+[\W_]*", "", stem)
    kept, split = [], "training"
    for part in path.relative_to(folder).parts[:-1]:
        split = _SPLITS.get(part.lower(), split)
        is_label |= part.lower() in _LABEL_WORDS
        kept += [part] if part.lower() not in _LABEL_WORDS | _IMAGE_WORDS else []
    kept += [stem] if stem else []
    patient = [part for part in kept if part.lower() not in _SPLITS]
    case, patient = ("_".join(parts) or folder.name for parts in (kept, patient))
    return _File(path, case, patient, is_label, split)


def _by_case(files: list[_File], is_label: bool) -> dict[str, _File]:
    found: dict[str, _File] = {}
    for file in files:
        if file.is_label != is_label:
            continue
        if file.case in found:
            what = "label" if is_label else "image"
            raise DataError(f"The case '{file.case}' has two {what} files, {found[file.case].path} and {file.path}.")
        found[file.case] = file
    return found
