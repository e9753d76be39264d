"""The preprocessing of any stage: our own, or that of the program that it was imported from."""

from __future__ import annotations

from Med3DCore.errors import SettingError
from Med3DCore.preprocessing.monai import MonaiPreprocessing
from Med3DCore.preprocessing.nnunet.preprocessing import NnunetPreprocessing
from Med3DCore.preprocessing.preprocessing import Preprocessing

NNUNET, MONAI = "nnunet", "monai"
"""What the preprocessing of a stage is called that was imported from each program."""

ImportedPreprocessing = NnunetPreprocessing | MonaiPreprocessing
_IMPORTED: dict[str, type[ImportedPreprocessing]] = {NNUNET: NnunetPreprocessing, MONAI: MonaiPreprocessing}


def imported_preprocessing(spec: dict) -> ImportedPreprocessing:
    """That of an imported stage.

    Raises:
        SettingError: It is none, or a part is missing or makes no sense.
    """
    kind = _IMPORTED.get(spec.get("name", ""))
    if kind is None:
        raise SettingError(f"This is not a description of an imported model's preprocessing: {spec}.")
    return kind.from_dict(spec)


def any_preprocessing(spec: dict) -> ImportedPreprocessing | Preprocessing:
    """That of any stage.

    Raises:
        SettingError: As :func:`imported_preprocessing`.
    """
    return imported_preprocessing(spec) if spec.get("name") in _IMPORTED else Preprocessing.from_dict(spec)
