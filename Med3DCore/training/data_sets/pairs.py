"""Folders of image and label pairs, recognised by their names.

    imagesTr/a.nii.gz  labelsTr/a.nii.gz        folders (images, img, ct; labels, masks, seg, ...)
    a_ct.nii.gz        a_seg.nii.gz             words at the end of the name, or at its beginning
    a.nrrd             a.seg.nrrd               as 3D Slicer saves them
    a/ct.nii.gz        a/labels.nii.gz          a folder for each case
    a/ct/1.dcm, ...     a/labels.nrrd            a folder with a DICOM series is an image
    a/ct.nii.gz        a/segmentations/...      one file an organ, as TotalSegmentator has them
    train/..., val/...                          the split

DICOM SEG and RTSTRUCT belong to the series that they name, see :mod:`.drawn_on`; their names and places say nothing.
What the values mean is in ``labels.json`` beside them (``{"liver": 1}``); a ``.seg.nrrd`` and files of organs name
their labels themselves. TotalSegmentator's ``meta.csv`` says who is held out.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from Med3DCore.errors import DataError
from Med3DCore.io.dicom_results import is_dicom_label
from Med3DCore.io.files import ending_of, first_bytes, is_dicom
from Med3DCore.io.warning import warner
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case
from Med3DCore.training.data_sets.drawn_on import DrawnOn, drawn_on_series
from Med3DCore.training.data_sets.names import Meanings, own_labels
from Med3DCore.training.data_sets.strangers import Strangers
from Med3DCore.training.data_sets.total_segmentator import in_their_splits

_IMAGE_WORDS = {"ct", "mr", "mri", "image", "images", "imagestr", "img", "imgs", "scan", "scans", "volume", "volumes"}
_IMAGE_WORDS |= {"dicom", "dcm"}
_LABEL_WORDS = {"seg", "segs", "segmentation", "segmentations", "label", "labels", "labelstr", "labelmap", "mask"}
_LABEL_WORDS |= {"masks", "gt", "groundtruth", "truth", "manual", "contour", "contours", "rtstruct", "structures"}
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


def pair_cases(folder: Path, meanings: Meanings, progress: Progress | None = None) -> list[Case]:
    """The pairs in a folder and its subfolders. Each case is taken for a patient of its own,
    except that one name in the folders of two splits is one patient, and so are DICOM series of one study.

    Args:
        folder: The folder.
        meanings: What label files mean that do not say it themselves.
        progress: May cancel; told of what is left alone.

    Raises:
        DataError: There is no pair, or nobody says what the values mean.
        Cancelled: The user stopped.
    """
    progress, warn = progress or Progress(), warner(progress)
    every = [path for _, _, paths in _wanted(folder, progress) for path in paths]
    drawn = drawn_on_series(every, folder, warn, progress)
    pairs = [*_by_reference(drawn, folder), *_by_name(folder, {each.series_folder for each in drawn}, warn, progress)]
    if not pairs:
        raise DataError(
            f"{folder} holds no image with its label; name them such as a_ct.nii.gz and a_seg.nii.gz, or put them into "
            "imagesTr and labelsTr under one name. A DICOM SEG or RTSTRUCT needs the series that it was drawn on."
        )
    pairs = sorted(pairs, key=lambda pair: pair[0].path)
    for name, count in Counter(image.case for image, _ in pairs).items():
        if count > 1:
            files = " and ".join(str(label.path) for image, label in pairs if image.case == name)
            raise DataError(f"The case '{name}' has several labels, {files}; keep one of them.")
    strangers = Strangers()
    cases = []
    for image, label in pairs:
        progress.check()
        cases.append(_case(image, label, meanings, folder, strangers))
    strangers.tell(folder, warn)
    return in_their_splits(cases, folder, warn)


def _by_name(
    folder: Path, drawn: set[Path], warn: Callable[[str], None], progress: Progress
) -> list[tuple[_File, _File]]:
    """The pairs whose names tell that they are one; folders of series that have a DICOM label are left out."""
    files = [file for file in _classified(folder, progress) if file.path not in drawn]
    images, labels = _by_case(files, False), _by_case(files, True)
    for what, names in (("image", images.keys() - labels), ("label", labels.keys() - images)):
        for case in sorted(names):
            file = (images if what == "image" else labels)[case].path
            warn(f"The {what} {file} has no {'label' if what == 'image' else 'image'}; it is left out.")
    return [(images[case], labels[case]) for case in images if case in labels]


def _by_reference(drawn: Sequence[DrawnOn], folder: Path) -> Iterator[tuple[_File, _File]]:
    """The DICOM labels with their series, named after the folder of that; one study is one patient."""
    places = [_classify(each.series_folder, folder) for each in drawn]
    possible = [each.names(place.case) for each, place in zip(drawn, places, strict=True)]
    taken = [Counter(names) for names in zip(*possible, strict=True)]
    patients: dict[str, str] = {}
    for each, place, names in zip(drawn, places, possible, strict=True):
        case = next((name for name, counts in zip(names, taken, strict=True) if counts[name] == 1), names[-1])
        patient = patients.setdefault(each.study, place.patient if case == place.case else case)
        image = replace(place, path=each.image, case=case, patient=patient)
        yield image, replace(image, path=each.label, is_label=True)


def _case(image: _File, label: _File, meanings: Meanings, folder: Path, strangers: Strangers) -> Case:
    own = own_labels(label.path, meanings.names)
    strangers.count(own.unknown)
    values, annotated = (own.values, own.annotated) if own.values else (meanings.values, tuple(meanings.values))
    if not values:
        raise DataError(
            f'Nothing says what the values of {label.path} mean; write such as {{"liver": 1}} into '
            f"{folder / 'labels.json'}."
        )
    return Case(
        image.case,
        image.path,
        label.path,
        dict(values),
        annotated,
        image.patient,
        image.split,
        source={"data": folder.name},
    )


def _classified(folder: Path, progress: Progress) -> list[_File]:
    """The images and labels in a folder, be they files, DICOM folders or folders with one file an organ."""
    files, organs = [], []
    for place, names, paths in _wanted(folder, progress):
        found = []
        for path in paths:
            progress.check()
            found += [_classify(path, folder)] if ending_of(path) else []
        own = _classify(place, folder) if place != folder else None
        if own and own.is_label and found and own.case not in {file.case for file in found}:
            organs.append((own, found))
            continue
        files += found
        dicom = (place / name for name in names if _is_dicom_folder(place / name))
        files += [_classify(path, folder) for path in dicom]
    cases = {file.case for file in files if not file.is_label}
    for own, found in organs:
        files += [own] if own.case in cases else found
    return sorted(files, key=lambda file: file.path)


def _wanted(folder: Path, progress: Progress) -> Iterator[tuple[Path, list[str], list[Path]]]:
    """Each folder in a folder that may hold cases, with the names of those in it and the paths of its files."""
    for place, names, files in os.walk(folder):
        progress.check()
        names[:] = sorted(name for name in names if not name.startswith(".") and name.lower() not in _TEST_FOLDERS)
        yield Path(place), names, [Path(place, name) for name in sorted(files) if not name.startswith(".")]


def _is_dicom_folder(folder: Path) -> bool:
    """Whether the first file in a folder that is not an image of another format is one of DICOM, and no label."""
    files = (file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith("."))
    others = (file for file in files if not ending_of(file) and file.stat().st_size)
    first = next((file for file in others if not is_dicom_label(file)), None)
    return first is not None and is_dicom(first_bytes(first))


def _classify(path: Path, folder: Path) -> _File:
    """Whether a file is an image or a label, and of which case: what is left of its name without the words for that."""
    if path == folder:
        return _File(path, folder.name, folder.name, False, "training")
    stem = path.name[: len(path.name) - len(ending_of(path))]
    is_label = stem.lower().endswith(".seg")
    stem = re.sub(r"\.seg$", "", stem, flags=re.IGNORECASE).removesuffix("_0000")
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
    of_patient = [part for part in kept if part.lower() not in _SPLITS]
    case, patient = ("_".join(parts) or folder.name for parts in (kept, of_patient))
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
