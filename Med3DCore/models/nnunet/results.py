"""The files of a trained model of nnU-Net v2: a results folder, or the zip that its export command writes."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from Med3DCore.errors import ModelError
from Med3DCore.models.archive import TEXT_LIMIT, WEIGHTS_LIMIT, require_plain_file
from Med3DCore.models.nnunet.checkpoint import OpenFile
from Med3DCore.progress import Progress

_CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")
_DOCUMENTS = {"plans.json", "dataset.json"}


class Results:
    """A results folder or zip, and the trained models in it.

    Args:
        path: The folder that holds plans.json, dataset.json and fold_N, a folder somewhere above it, or a zip of one.
        progress: May cancel: a folder somewhere above may be a whole disk.

    Attributes:
        name: What to call it in messages.
        models: Folders inside ``path`` that hold a model with a checkpoint; their names tell trainer, plans and
            configuration.
        folder: The model that is read; the only one, or see :meth:`choose`.

    Raises:
        ModelError: There is no such file, or no model in it.
    """

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        self.path, self.name = path, path.name
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            self._files = set(_files_below(path, progress or Progress()))
        else:
            self._zip = _open_zip(path)
            self._files = {PurePosixPath(name) for name in self._zip.namelist() if _is_ours(name.rpartition("/")[2])}
        self.models = self._models()
        self.folder = self.models[0]

    def close(self) -> None:
        """Close the zip, if it is one."""
        if self._zip is not None:
            self._zip.close()

    def choose(self, configuration: str | None = None, folder: str | None = None) -> None:
        """Say which of several models to read.

        Args:
            configuration: Such as ``"3d_fullres"``.
            folder: One of ``models``.

        Raises:
            ModelError: There is no such model, or there are several.
        """
        found = self.models
        if folder is not None:
            found = [model for model in found if model == PurePosixPath(folder)] or self._none_of(folder)
        if configuration is not None:
            fitting = [model for model in found if model.name.endswith(f"__{configuration}")]
            found = fitting or self._none_of(configuration)
        if len(found) > 1:
            names = ", ".join(model.name or str(self.path) for model in found)
            raise ModelError(f"{self.name} holds several models: {names}; give the folder of one of them.")
        self.folder = found[0]

    def _models(self) -> list[PurePosixPath]:
        whole = {file.parent for file in self._files if file.name == "plans.json"}
        found = sorted(folder for folder in whole if any(self._checkpoints_in(folder)))
        if not whole:
            raise ModelError(
                f"{self.name} holds no plans.json of nnU-Net v2{self._older()}; give the folder that holds plans.json, "
                "dataset.json and fold_0, or the zip that nnUNetv2_export_model_to_zip wrote."
            )
        if not found:
            raise ModelError(
                f"{self.name} holds no checkpoint: there is no fold_N/{_CHECKPOINTS[0]} beside plans.json; copy the "
                "folds, too."
            )
        return found

    def _none_of(self, wanted: str) -> list[PurePosixPath]:
        names = ", ".join(model.name for model in self.models)
        raise ModelError(f"{self.name} holds no model '{wanted}'; it holds {names}.")

    def _older(self) -> str:
        """A hint if this is what nnU-Net v1 wrote."""
        if self._zip is None:
            is_old = any(self.path.rglob("plans.pkl"))
        else:
            is_old = any(name.endswith("plans.pkl") for name in self._zip.namelist())
        return " (its plans.pkl is of nnU-Net v1, which is not read)" if is_old else ""

    @property
    def configuration(self) -> str | None:
        """Such as ``"3d_fullres"``, if the folder still has the name that nnU-Net gave it."""
        folder = self.folder.name or self.path.name
        return folder.rpartition("__")[2] if folder.count("__") == 2 else None

    def document(self, name: str) -> dict[str, Any]:
        """A JSON file of the model.

        Raises:
            ModelError: It is missing or no JSON object.
        """
        file = self.folder / name
        if file not in self._files:
            raise ModelError(f"{self.name} lacks {name}; copy the whole results folder of the model.")
        try:
            content = json.loads(self._read(file, TEXT_LIMIT))
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{name} of {self.name} is damaged: it is no JSON; copy it again.") from error
        if not isinstance(content, dict):
            raise ModelError(f"{name} of {self.name} is damaged: it is no JSON object; copy it again.")
        return content

    def folds(self, wanted: Sequence[str] | None = None) -> list[str]:
        """Names of the folds to use: the wanted ones, or all that were trained, or the one of all cases.

        Raises:
            ModelError: A wanted one is not there.
        """
        there = dict(self._checkpoints_in(self.folder))
        for fold in wanted or ():
            if fold not in there:
                raise ModelError(
                    f"{self.name} has no fold {fold} with a checkpoint; it has {', '.join(sorted(there))}."
                )
        numbered = sorted((fold for fold in there if fold.isdigit()), key=int)
        return list(dict.fromkeys(wanted)) if wanted else numbered or sorted(there)

    def checkpoint(self, fold: str) -> tuple[OpenFile, str]:
        """The open checkpoint of a fold, and what to call it in messages."""
        file = dict(self._checkpoints_in(self.folder))[fold]
        name = f"{file.parent.name}/{file.name} of {self.name}"
        if self._zip is None:
            require_plain_file(self.path / file)
            try:
                return (self.path / file).open("rb"), name
            except OSError as error:
                raise ModelError(f"Cannot read {name}: {error.strerror or error}.") from error
        return io.BytesIO(self._read(file, WEIGHTS_LIMIT)), name

    def _checkpoints_in(self, folder: PurePosixPath) -> list[tuple[str, PurePosixPath]]:
        """Each fold's name, and its final checkpoint or else its best."""
        found: dict[str, PurePosixPath] = {}
        for name in _CHECKPOINTS:
            for file in sorted(self._files):
                fold = re.fullmatch(r"fold_(\d+|all)", file.parent.name)
                if file.name == name and fold and file.parent.parent == folder:
                    found.setdefault(fold[1], file)
        return list(found.items())

    def _read(self, file: PurePosixPath, limit: int) -> bytes:
        try:
            if self._zip is None:
                require_plain_file(self.path / file)
                with (self.path / file).open("rb") as stream:
                    data = stream.read(limit + 1)
            else:
                with self._zip.open(str(file)) as member:
                    data = member.read(limit + 1)  # whatever size it says to have
        except OSError as error:
            raise ModelError(f"Cannot read {file.name} of {self.name}: {error.strerror or error}.") from error
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
            raise ModelError(f"{self.name} is damaged at {file}; copy the file again.") from error
        if len(data) > limit:
            raise ModelError(f"{self.name} is refused: {file} is larger than {limit >> 20} MB.")
        return data


def _files_below(folder: Path, progress: Progress) -> Iterator[PurePosixPath]:
    """What may belong to a model, relative to the folder; a folder that may not be read holds nothing."""
    for place, _, names in os.walk(folder):
        progress.check()
        below = PurePosixPath(Path(place).relative_to(folder).as_posix())
        yield from (below / name for name in names if _is_ours(name))


def _is_ours(name: str) -> bool:
    return name in _DOCUMENTS or name in _CHECKPOINTS


def _open_zip(path: Path) -> zipfile.ZipFile:
    require_plain_file(path)
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise ModelError(f"There is no folder or file {path}; check the name.") from error
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise ModelError(
            f"{path.name} is no results folder of nnU-Net v2 and no whole zip of one; copy the file again."
        ) from error
