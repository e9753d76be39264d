"""Which file is the reference of which prediction."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from Med3DCore.errors import DataError, SettingError
from Med3DCore.evaluation.same_series import dicom_pairs
from Med3DCore.geometry import Geometry
from Med3DCore.io.files import ending_of
from Med3DCore.io.organ_files import SEGMENTATIONS, folder_of_organs


class CaseFiles(NamedTuple):
    """A case's name, its prediction and its reference; the grid of the DICOM series that they belong to, if known."""

    case: str
    prediction: Path
    reference: Path
    grid: Geometry | None = None


def match_files(prediction: Path, reference: Path) -> tuple[list[CaseFiles], list[str]]:
    """Pair two files, or the label maps of two folders that have the same name, endings aside.

    A label map may be a folder with one file an organ: beside a file, or ``CASE/segmentations`` in a folder of cases.
    DICOM SEG and RTSTRUCT at any depth are paired by the series that both name, see :mod:`.same_series`.

    Returns:
        The files of each case, and sentences on files that stay alone.

    Raises:
        DataError: A path does not exist, no names match, or a folder has two files of one name.
        SettingError: One is a file and the other a folder.
    """
    for path in (prediction, reference):
        if not path.exists():
            raise DataError(f"{path} does not exist; check the path.")
    one, other = (folder_of_organs(path) if path.is_dir() else path for path in (prediction, reference))
    if prediction.is_file() or reference.is_file():
        if one is None or other is None:
            raise SettingError(
                f"{prediction} and {reference} must be two files or two folders, not one of each; only a folder with "
                "one file an organ can stand for a file."
            )
        return [CaseFiles(_case_name(prediction if prediction.is_file() else reference), one, other)], []
    pairs, lonely = dicom_pairs(prediction, reference)
    alone = [f"{path} was drawn on a series of which the other folder has no DICOM label." for path in sorted(lonely)]
    predictions, references = _label_maps(prediction), _label_maps(reference)
    cases = [CaseFiles(_case_below(reference, pair.reference), *pair) for pair in pairs] + [
        CaseFiles(case, predictions[case], references[case]) for case in sorted(predictions.keys() & references.keys())
    ]
    if not cases:
        raise DataError(
            f"No label map of {prediction} has the name of one of {reference} (endings aside), and no DICOM SEG or "
            "RTSTRUCT in both names the same series; rename them to match."
        )
    for folder, missing in (
        (prediction, references.keys() - predictions),
        (reference, predictions.keys() - references),
    ):
        if missing:
            alone.append(f"{folder} has no file for {', '.join(sorted(missing))}; not evaluated.")
    return cases, alone


def _label_maps(folder: Path) -> dict[str, Path]:
    """The images of a folder by case."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        label_map = path / SEGMENTATIONS if path.is_dir() else path
        if path.name.startswith(".") or not (label_map.is_dir() or ending_of(path)):
            continue
        if _case_name(path) in found:
            raise DataError(f"{folder} has both {found[_case_name(path)].name} and {path.name}; keep one of them.")
        found[_case_name(path)] = label_map
    return found


def _case_name(path: Path) -> str:
    """The file's name without its ending, be it ``.nii.gz`` or ``.seg.nrrd``."""
    return path.name[: len(path.name) - len(ending_of(path))].removesuffix(".seg")


def _case_below(folder: Path, path: Path) -> str:
    """The name of a DICOM label with the folders that it is in, which is all that tells ``RS.dcm`` of several apart."""
    name = path.relative_to(folder).as_posix()
    return re.sub(r"(\.seg|\.rtstruct)?\.dcm$", "", name, flags=re.IGNORECASE)
