"""Where pictures lie: a folder, or a zip of one, which is read without being unpacked."""

from __future__ import annotations

import os
import threading
import zipfile
from pathlib import Path, PurePosixPath
from typing import Protocol

from Med3DCore.errors import DataError

_MOST_BYTES = 512 * 2**20
_NOT_A_PICTURE = ("__MACOSX", "Thumbs.db")
# zlib.error comes from a damaged zip, NotImplementedError from a kind of packing that Python does not know.
_BROKEN = (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, ValueError)


class Source(Protocol):
    """A tree of files.

    Attributes:
        path: The folder or zip.
    """

    path: Path

    def names(self) -> list[str]:
        """All files, relative and with forward slashes, sorted; hidden ones are left out."""

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            DataError: It cannot be read.
        """


def open_source(path: Path) -> Source:
    """The folder or zip at a path.

    Raises:
        DataError: There is neither.
    """
    if path.is_dir():
        return _Folder(path)
    if not path.is_file():
        raise DataError(f"There is no folder and no zip {path}; check the name.")
    return _Zip(path)


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        found = []
        for folder, _, files in os.walk(self.path):
            inside = Path(folder).relative_to(self.path)
            found += [(inside / file).as_posix() for file in files]
        return sorted(filter(_is_shown, found))

    def read(self, name: str) -> bytes:
        path = self.path / name
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise _too_large(str(path))
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


class _Zip:
    def __init__(self, path: Path) -> None:
        self.path = path
        # A zip's file has one position, so threads that draw batches each need their own.
        self._own = threading.local()
        try:
            with zipfile.ZipFile(path) as archive:
                self._names = [item.filename for item in archive.infolist() if not item.is_dir()]
        except (*_BROKEN, OSError) as error:
            raise DataError(f"{path} is no folder and no zip that can be read; give a folder of pictures.") from error

    def names(self) -> list[str]:
        return sorted(filter(_is_shown, self._names))

    def read(self, name: str) -> bytes:
        import zlib

        try:
            if not hasattr(self._own, "archive"):
                self._own.archive = zipfile.ZipFile(self.path)
            if self._own.archive.getinfo(name).file_size > _MOST_BYTES:
                raise _too_large(f"{name} in {self.path}")
            return self._own.archive.read(name)
        except (*_BROKEN, OSError, KeyError, zlib.error) as error:
            raise DataError(f"{name} in {self.path} cannot be read: {error}.") from error

    def __getstate__(self) -> dict:
        return {"path": self.path, "_names": self._names}


def _is_shown(name: str) -> bool:
    return not any(part.startswith(".") or part in _NOT_A_PICTURE for part in PurePosixPath(name).parts)


def _too_large(name: str) -> DataError:
    return DataError(f"{name} has more than {_MOST_BYTES // 2**20} MB, which is no picture to learn from; remove it.")
