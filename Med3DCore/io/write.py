"""Writing volumes: beside the target first, then in one step into its place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from Med3DCore.errors import OutputError
from Med3DCore.io.files import as_path, ending_of, require_text
from Med3DCore.io.itk import captured, short_reason
from Med3DCore.io.nifti import write_nifti
from Med3DCore.io.voxels import smallest_type
from Med3DCore.system.leftovers import own_name, remove_leftovers
from Med3DCore.volume import Volume

WRITABLE = (".nii.gz", ".nii", ".nrrd", ".mha")
# A label map of 105 million voxels takes 0.1 s at level 1, 2 or 6, but is three times as large at level 1; a CT takes
# twice as long at level 2 as at 1 and is a quarter smaller.
_LEVEL = 2
_UNFINISHED = ".med3d-"
# What ITK's writer of NRRD says then.
_SHORT_OF_DISK = ("failed to write to file", "failed to flush pending data")
_CURE = "choose a folder that is yours and has space"
# Bytes that file systems take.
_LONGEST_NAME = 255
DISK_FULL = "the disk is full, or no more of it may be used"
"""What to say of it where a library does not: its reason, for a sentence."""


def write_volume(volume: Volume, path: str | Path) -> None:
    """Write a volume in the format that the ending of ``path`` says: .nii.gz, .nii, .nrrd or .mha.

    All but .nii are compressed. Voxels are stored as uint8, int16 or float32, see :func:`.stack_slices`. An existing
    file is replaced only once the new one is complete; after an error it is still there and nothing else is.

    Args:
        volume: Any volume.
        path: In a folder that exists.

    Raises:
        OutputError: The ending is unknown, the folder is missing or read-only, or the disk is full.
    """
    with fields_written(volume, {}, path):
        pass


@contextmanager
def fields_written(volume: Volume, fields: dict[str, str], path: str | Path) -> Iterator[None]:
    """Like :func:`.write_volume`, with header fields of one's own, which only .nrrd and .mha keep.

    The file takes its place when the block ends well, so that of several all do or none.
    """
    path = as_path(path)
    check_output(path)
    volume = volume.with_array(smallest_type(volume.array))
    with written_beside(path) as temporary:
        if ending_of(path).startswith(".nii"):
            write_nifti(volume, temporary)
        else:
            _write_with_itk(volume, fields, temporary)
        yield


def check_output(path: Path, endings: Sequence[str] = WRITABLE) -> None:
    """Find out whether a file can be written, before the work whose result it is to hold.

    Args:
        path: The file.
        endings: What its name may end in, the usual one first.

    Raises:
        OutputError: The ending is none of ``endings``, the folder is missing, it or the file is read-only, or the name
            is a folder's.
    """
    require_text(path, OutputError)
    if len(path.name.encode()) > _LONGEST_NAME:
        raise OutputError(f"The name {path.name[:40]}... is too long for a file; give a shorter one.")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file in it, such as {path / ('scan' + endings[0])}.")
    if not path.name.lower().endswith(tuple(endings)):
        raise OutputError(
            f"The ending of {path} chooses no format that can be written; possible: {', '.join(endings)}."
        )
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written because there is no folder {path.parent}; create it first.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"{path} cannot be written because you may not write to {path.parent}; choose another folder."
        )
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f"{path} exists and is protected from writing; choose another name.")


@contextmanager
def written_beside(path: Path, ending: str | None = None, cure: str = _CURE) -> Iterator[Path]:
    """A temporary name in the folder of ``path``; what is written there takes its place when the block ends well.

    Args:
        path: The file to be written.
        ending: The temporary name ends so, since writers choose the format by it; by default as ``path`` does.
        cure: What to do if that fails, as the end of a sentence.

    Raises:
        OutputError: For every OSError in the block or in the renaming. Nothing is left behind then.
    """
    ending = ending or ending_of(path) or path.suffix
    temporary = path.with_name(own_name(_UNFINISHED, ending))
    remove_unfinished(path.parent)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}; {cure}.") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@lru_cache
def remove_unfinished(folder: Path) -> None:
    """Delete what killed processes were writing in a folder; looked for once, since folders may be large."""
    remove_leftovers(folder, _UNFINISHED)


def _write_with_itk(volume: Volume, fields: dict[str, str], path: Path) -> None:
    import SimpleITK as sitk

    image = volume.to_sitk()
    for key, value in fields.items():
        image.SetMetaData(key, value)
    with captured():
        try:
            sitk.WriteImage(image, str(path), useCompression=True, compressionLevel=_LEVEL)
        except RuntimeError as error:
            reason = short_reason(error)
            raise OSError(DISK_FULL if reason in _SHORT_OF_DISK else reason) from None
    if ending_of(path) == ".nrrd":
        _require_end(path, volume.array.nbytes)


def _require_end(path: Path, length: int) -> None:
    """Refuse a file that lacks its end, since ITK does not look whether the last 4 KiB of an NRRD found room.

    A gzip stream ends with how long its content is, modulo 2^32 (RFC 1952, section 2.3.1).
    """
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        if file.read() != (length % (1 << 32)).to_bytes(4, "little"):
            raise OSError(DISK_FULL)
