"""The zip file of a model package: written the same way each time, read with suspicion.

Members are stored without compression (weights hardly compress), so the bytes do not depend on a compression library,
and no member can be larger than the file itself: a zip bomb is impossible and need not be unpacked to be found.
Members are read into memory and never extracted to disk.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from Med3DCore.errors import ModelError
from Med3DCore.io.write import written_beside

SUFFIX = ".med3d.zip"
DOCUMENT = "model.json"
TEXT_LIMIT = 16 << 20
WEIGHTS_LIMIT = 4 << 30

_NAME = re.compile(r"model\.json|card\.md|weights/[a-z0-9_-]+\.pt")
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = (stat.S_IFREG | 0o644) << 16
_ENCRYPTED = 0x1
# What zipfile raises on broken archives, depending on which bytes are broken.
_ZIP_ERRORS = (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, struct.error, OverflowError)


def write_archive(path: Path, members: dict[str, bytes]) -> None:
    """Write the members in the given order; equal members give equal bytes.

    Raises:
        OutputError: The file cannot be written.
    """
    with written_beside(path) as temporary, zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, _FIXED_DATE)
            info.create_system = 3  # "Unix" on every platform
            info.external_attr = _PLAIN_FILE
            archive.writestr(info, data)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a model package and check its table of contents.

    Raises:
        ModelError: The file is missing, not a whole zip, or holds something a model package must not hold.
    """
    require_plain_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            check_stored(archive, path.stat().st_size, path.name)
            _check_members(archive, path.name)
            yield archive
    except FileNotFoundError as error:
        raise ModelError(f"There is no model package {path}; check the name.") from error
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror or error}.") from error
    except _ZIP_ERRORS as error:
        raise ModelError(
            f"{path.name} is damaged, incomplete or no model package ({SUFFIX}); get the file again."
        ) from error


def require_plain_file(path: Path) -> None:
    """Refuse what is there and no file, such as a named pipe, which would be waited for without end.

    Raises:
        ModelError: It is none.
    """
    if path.exists() and not path.is_file():
        raise ModelError(f"Cannot read {path}: it is no file, but a folder or a pipe; give a file on a disk.")


def read_document(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of ``model.json``, of which nobody else knows the hash."""
    return archive.read(_find(archive, DOCUMENT, name))


def read_member(archive: zipfile.ZipFile, member: dict, name: str) -> bytes:
    """The bytes of a member, after a check of its size and SHA-256.

    Args:
        archive: An archive that was opened with :func:`open_archive`.
        member: Its entry in ``model.json``: name, bytes, sha256.
        name: What to call the package in messages.

    Raises:
        ModelError: The member is missing or is not what ``model.json`` says.
    """
    check_size(archive, member, name)
    data = archive.read(member["name"])
    if hashlib.sha256(data).hexdigest() != member["sha256"]:
        raise ModelError(
            f"{name} was damaged or changed: {member['name']} does not match its SHA-256 checksum; get the file again."
        )
    return data


def check_size(archive: zipfile.ZipFile, member: dict, name: str) -> None:
    """Raise ModelError unless the member is there and as long as ``model.json`` says."""
    info = _find(archive, member["name"], name)
    if info.file_size != member["bytes"]:
        raise ModelError(
            f"{name} was damaged or changed: {info.filename} has {info.file_size} bytes instead of {member['bytes']};"
            " get the file again."
        )


def check_stored(archive: zipfile.ZipFile, file_size: int, name: str) -> None:
    """Raise ModelError unless every member is stored as it is and all of them together fit into the file."""
    for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
            raise ModelError(
                f"{name} is refused: {info.filename} is compressed or encrypted, which a model package never is;"
                " get the original file."
            )
    if sum(info.file_size for info in archive.infolist()) > file_size:
        raise ModelError(f"{name} is refused: it says to hold more than the file's size; get the original file.")


def describe_member(name: str, data: bytes) -> dict:
    """The entry of a member in ``model.json``."""
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def sha256_of(stream: io.BufferedIOBase) -> str:
    """SHA-256 of an open file, as hexadecimal text."""
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_members(archive: zipfile.ZipFile, name: str) -> None:
    """Only plain files with the names a package knows: no absolute paths, ``..``, backslashes, folders or links.

    And none too large, as all are read into memory.
    """
    seen = set()
    for info in archive.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if not _NAME.fullmatch(info.orig_filename) or kind not in (0, stat.S_IFREG) or info.orig_filename in seen:
            raise ModelError(
                f"{name} is refused: {info.orig_filename!r} is not part of a model package; get the original file."
            )
        seen.add(info.orig_filename)
        limit = WEIGHTS_LIMIT if info.filename.endswith(".pt") else TEXT_LIMIT
        if info.file_size > limit:
            raise ModelError(f"{name} is refused: {info.filename} is larger than {limit >> 20} MB.")


def _find(archive: zipfile.ZipFile, member: str, name: str) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(member)
    except KeyError as error:
        raise ModelError(f"{name} is incomplete: {member} is missing; get the file again.") from error
