"""The DICOM images among many files. What cannot be read is named, never just missing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from Med3DCore.errors import VolumeError
from Med3DCore.io.dicom.image import DicomImage, read_images
from Med3DCore.io.files import first_bytes, is_dicom
from Med3DCore.progress import Progress

# SOP classes of CT, MR and PET images, after the bytes of the tag (0002,0002): these should be readable.
_SCANS = tuple(b"1.2.840.10008.5.1.4.1.1." + end for end in (b"2\0", b"2.", b"4\0", b"4.", b"128"))
_ENDINGS = (".dcm", ".ima")


def files_below(folder: Path, unreadable: list[Path], progress: Progress | None = None) -> Iterator[Path]:
    """All files in a folder and the folders below it, links to folders followed, by name.

    Args:
        folder: Any folder.
        unreadable: Gets the folders that cannot be read.
        progress: Can cancel: somebody may have chosen the folder of all patients.
    """
    seen, folders = set(), [folder]
    while folders:
        here = folders.pop()
        try:
            status = here.stat()
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            unreadable.append(here)
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue  # a link back
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if progress is not None:
                progress.check()
            if not entry.is_dir():
                yield Path(entry.path)
        folders += [Path(entry.path) for entry in reversed(entries) if entry.is_dir()]


def images_in(paths: Iterable[Path], unreadable: list[Path]) -> list[DicomImage]:
    """The slices in the DICOM images among files, by their headers only; under 1 ms a slice.

    Args:
        paths: Any files; those that are no DICOM images are passed over.
        unreadable: Gets those that should be images but cannot be read.
    """
    images = []
    for path in paths:
        head = b""
        try:
            head = first_bytes(path)
            if is_dicom(head):
                images += read_images(path)
            elif path.suffix.lower() in _ENDINGS or not head.strip(b"\0"):
                unreadable.append(path)
        except (OSError, VolumeError):
            if _should_be_image(path, head):
                unreadable.append(path)
    return images


def warnings_of(unreadable: Sequence[Path]) -> list[str]:
    """A sentence for each folder that cannot be read, or in which there are files that cannot be read, by name."""
    folders = [path for path in unreadable if path.is_dir()]
    files = [path for path in unreadable if path not in folders]
    sentences = [f"The folder {folder} cannot be read; what is in it was left out." for folder in folders]
    for folder in dict.fromkeys(path.parent for path in files):
        here = [path for path in files if path.parent == folder]
        what = "1 DICOM image" if len(here) == 1 else f"{len(here)} DICOM images"
        why = "cannot be read (truncated, encrypted, or no permission) and left out"
        sentences.append(f"{what} in {folder} {why}: {named(here)}.")
    return sentences


def named(paths: Sequence[Path], most: int = 100) -> str:
    """Names of files, those with consecutive numbers as ``im07.dcm to im19.dcm``, and how many more there are."""
    runs: list[list[str]] = []
    for name in (path.name for path in paths):
        if runs and _number_after(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    runs = [piece for run in runs for piece in ([run] if len(run) > 2 else [[name] for name in run])]
    shown = [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs[:most]]
    more = sum(len(run) for run in runs[most:])
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _number_after(name: str, other: str) -> bool:
    """Whether two names differ by 1 in their last number alone."""
    first, second = (re.fullmatch(r"(.*?)(\d+)(\D*)", one) for one in (name, other))
    if not first or not second or (first[1], first[3]) != (second[1], second[3]):
        return False
    return len(first[2]) < 20 and int(second[2][:20]) == int(first[2]) + 1


def _should_be_image(path: Path, head: bytes) -> bool:
    """Whether a file that cannot be read was meant to be an image, by its name and first bytes, if there are any."""
    if not head:
        return path.suffix.lower() in ("", *_ENDINGS)
    marked = head[128:132] == b"DICM" and path.name.upper() != "DICOMDIR"
    return marked or any(scan in head for scan in _SCANS)
