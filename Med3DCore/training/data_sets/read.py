"""Which form a data set has, and its cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from Med3DCore.errors import DataError
from Med3DCore.io.warning import warner
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case, Values
from Med3DCore.training.cases.description import check_cases, parse_cases, read_json
from Med3DCore.training.data_sets.decathlon import decathlon_cases, is_decathlon
from Med3DCore.training.data_sets.names import Meanings, read_meanings
from Med3DCore.training.data_sets.nnunet import is_nnunet, nnunet_cases
from Med3DCore.training.data_sets.pairs import pair_cases
from Med3DCore.training.data_sets.table import table_cases


def read_data_set(path: Path, values: dict[str, Values] | None = None, progress: Progress | None = None) -> list[Case]:
    """The cases of a data set that can be trained with.

    Args:
        path: A folder of image and label pairs, also TotalSegmentator's; a folder of the Medical Segmentation Decathlon
            or of nnU-Net (raw), or its ``dataset.json``; a CSV table; or Med3D's own ``dataset.json``.
        values: What the values of label files mean where the data set does not say it; names of DICOM labels that are
            not known are explained in its ``labels.json``.
        progress: Takes the warnings about what is left out; may cancel.

    Raises:
        DataError: It has no such form, a file is missing, or a patient is in both splits.
    """
    cases = list_cases(path, values, progress)
    check_cases(cases, path, progress)
    return cases


def list_cases(path: Path, values: dict[str, Values] | None = None, progress: Progress | None = None) -> list[Case]:
    """Like :func:`.read_data_set`, whether or not the cases can be trained with.

    Raises:
        DataError: It has no such form.
    """
    path, warn, progress = Path(path), warner(progress), progress or Progress()
    if not path.exists():
        raise DataError(f"There is no file or folder {path}; check the name.")
    if path.is_dir():
        listed = [path / name for name in ("dataset.json", "dataset.csv") if (path / name).is_file()]
        if not listed:
            _refuse_several(path)
            return pair_cases(path, _meanings(path, values), progress)
        path = listed[0]
    if path.suffix.lower() == ".csv":
        return table_cases(path, _meanings(path.parent, values), warn, progress)
    description = read_json(path)
    if is_decathlon(description):
        return decathlon_cases(description, path, warn)
    if is_nnunet(description):
        return nnunet_cases(description, path, warn)
    if isinstance(description, list) or (isinstance(description, dict) and "cases" in description):
        return parse_cases(description, path)
    raise DataError(
        f'{path} is not a data set that Med3D knows: it is neither Med3D\'s own ("cases"), nor of the Medical '
        'Segmentation Decathlon ("training"), nor of nnU-Net 2 ("channel_names", "labels", "file_ending").'
    )


def _refuse_several(folder: Path) -> None:
    inside = sorted(file.parent.name for file in folder.glob("*/dataset.json"))
    if inside:
        raise DataError(f"{folder} is no data set but holds some: {', '.join(inside)}; give one of them.")


def _meanings(folder: Path, values: dict[str, Values] | None) -> Meanings:
    """What is said of the label files of a folder: in ``labels.json`` in it, or in a call, whose values come first."""
    path = folder / "labels.json"
    labels = read_json(path) if path.is_file() else None
    if labels is None:
        return Meanings(values or {}, {})
    if not isinstance(labels, dict):
        raise DataError(f'{path} does not say which value is which label; write such as {{"liver": 1}}.')
    said = read_meanings(labels, path)
    return replace(said, values=values or said.values)
