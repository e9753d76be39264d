"""The files of an Auto3DSeg model: ``model.pt``, and the ``labels.csv`` that SlicerMONAIAuto3DSeg puts beside it."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from Med3DCore.errors import ModelError
from Med3DCore.io.label_names import described_label
from Med3DCore.labels import Code, Label
from Med3DCore.models.archive import TEXT_LIMIT, WEIGHTS_LIMIT, require_plain_file
from Med3DCore.models.nnunet.checkpoint import OpenFile

Name = TypeVar("Name", str, Path)

_MODEL, _LABELS = "model.pt", "labels.csv"
_CODES = ("Category", "Type", "TypeModifier")


@dataclass(frozen=True)
class ModelFiles:
    """An open ``model.pt`` and what is told beside it.

    Args:
        file: The checkpoint.
        name: What to call it in messages.
        title: What the model is called: its folder, zip or file.
        table: Text of labels.csv; empty if there is none.
    """

    file: OpenFile
    name: str
    title: str
    table: str


@contextmanager
def open_model(path: Path) -> Iterator[ModelFiles]:
    """The files of a model.

    Args:
        path: ``model.pt``, a folder that holds it, or a zip of one as SlicerMONAIAuto3DSeg downloads it.

    Raises:
        ModelError: There is none, there are several, or one cannot be read.
    """
    try:
        if path.is_file() and path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                yield _in_zip(archive, path)
            return
        file = _only(sorted(path.rglob(_MODEL)), path) if path.is_dir() else path
        require_plain_file(file)
        table = file.with_name(_LABELS)
        text = table.read_bytes()[:TEXT_LIMIT].decode("utf-8-sig", "replace") if table.is_file() else ""
        title = file.parent.resolve().name if file.name == _MODEL else file.stem
        with file.open("rb") as opened:
            yield ModelFiles(opened, file.name, title, text)
    except FileNotFoundError as error:
        raise ModelError(f"There is no file or folder {path}; check the name.") from error
    except OSError as error:
        raise ModelError(f"Cannot read {path.name}: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path.name} is damaged or no zip; download it again.") from error


def _in_zip(archive: zipfile.ZipFile, path: Path) -> ModelFiles:
    names = archive.namelist()
    model = _only([name for name in names if PurePosixPath(name).name == _MODEL], path)
    if archive.getinfo(model).file_size > WEIGHTS_LIMIT:
        raise ModelError(f"{path.name} is refused: {model} in it is larger than any model; download it again.")
    table = str(PurePosixPath(model).with_name(_LABELS))
    text = ""
    if table in names and archive.getinfo(table).file_size <= TEXT_LIMIT:
        text = archive.read(table).decode("utf-8-sig", "replace")
    return ModelFiles(io.BytesIO(archive.read(model)), f"{path.name}/{model}", path.stem, text)


def _only(found: Sequence[Name], path: Path) -> Name:
    if len(found) == 1:
        return found[0]
    what = f"several {_MODEL}" if found else f"no {_MODEL}"
    raise ModelError(f"{path.name} holds {what}; give the one that Auto3DSeg wrote, or the folder of one model.")


def described_labels(table: str) -> dict[int, Label]:
    """The labels of a labels.csv by their values; its codes are those of DICOM.

    Raises:
        ValueError, KeyError: It is no such table.
    """
    found = {}
    for position, row in enumerate(csv.DictReader(io.StringIO(table))):
        category, kind, modifier = (_code(row, f"SegmentedProperty{part}CodeSequence") for part in _CODES)
        codes = (category, kind, modifier) if category and kind else None
        found[int(row["LabelValue"])] = described_label(row["Name"], position, codes, None)
    return found


def _code(row: dict[str, str], field: str) -> Code | None:
    scheme, value, meaning = (
        (row.get(f"{field}.{part}") or "").strip() for part in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning")
    )
    return (scheme, value, meaning) if scheme and value and meaning else None
