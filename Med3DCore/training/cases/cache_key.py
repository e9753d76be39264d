"""What a prepared case is known by: a hash of the bytes of its files, of what their values mean, and of the code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.io import find_scan
from Med3DCore.io.dicom import Series
from Med3DCore.io.files import first_bytes, is_dicom, may_be_cropped
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.prepared import HEADROOM

# Raise it when an entry holds something else than before.
_FORMAT = 1


def case_key(case: Case, preprocessing: Preprocessing, labels: Sequence[str]) -> str:
    """Hash of all that a prepared case depends on; neither its name nor where its files are."""
    meaning = {
        "label": None if case.label is None else [content(case.label), may_be_cropped(case.label)],
        "values": {name: np.atleast_1d(case.values[name]).tolist() for name in sorted(case.values)},
        "annotated": sorted(case.annotated),
        "absent": sorted(case.absent),
        "ignore": case.ignore,
        "frame": case.frame,
        "preprocessing": preprocessing.to_dict(),
        "labels": list(labels),
    }
    if preprocessing.channels:
        others = case.channels[: len(preprocessing.channels) - 1]
        meaning["channels"] = [image_digest(file, "blake2b") for file in others]
    return entry_key(image_digest(case.image, "blake2b"), meaning)


def entry_key(image: str, meaning: dict) -> str:
    """Key of an entry.

    Args:
        image: The image's :func:`content`.
        meaning: All else that the entry depends on besides the code, as plain values for JSON.
    """
    known = {"format": _FORMAT, "code": _code(), "headroom": HEADROOM, "image": image, **meaning}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]


@lru_cache
def _code() -> str:
    """Hash of the source code that prepares a case: arrays made by an older one may differ in the last bit, or more."""
    cases = Path(__file__).parent
    engine = cases.parent.parent
    files = [
        *(engine / "preprocessing").rglob("*.py"),
        *(cases / f"{name}.py" for name in ("case", "label", "prepared")),
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()


def content(path: Path) -> str:
    """Hash of a file's bytes, or of all in a DICOM folder.

    Raises:
        DataError: It cannot be read.
    """
    return digest(path, "blake2b")


def image_digest(path: Path, algorithm: str) -> str:
    """As :func:`digest`; of a slice of a DICOM series that of all its slices, since all of them are read.

    Raises:
        DataError: It cannot be read.
        VolumeError: It is no series.
    """
    series = find_scan(path, progress=Progress()) if path.is_file() and is_dicom(first_bytes(path)) else None
    if not isinstance(series, Series):
        return digest(path, algorithm)
    return hashlib.new(algorithm, "".join(digest(file, algorithm) for file in series.files).encode()).hexdigest()


def digest(path: Path, algorithm: str) -> str:
    """Hash of a file's bytes, as programs for that give it; of a folder, of the hashes of its files by name.

    Raises:
        DataError: It cannot be read.
    """
    try:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            return hashlib.new(algorithm, "".join(digest(file, algorithm) for file in files).encode()).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
