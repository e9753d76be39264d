"""Is this a file that can be an image at all? Answered from its name and first bytes, before ITK sees it."""

from __future__ import annotations

import os
from pathlib import Path

from Med3DCore.errors import Med3DError, VolumeError

FORMATS = {
    ".nii.gz": "NIfTI",
    ".nii": "NIfTI",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
}
# The tags that a DICOM file without a preamble begins with, little endian.
_FIRST_TAGS = (b"\x02\0\0\0", b"\x08\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0")
_GZIP = b"\x1f\x8b"
_SIGNATURES = {
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a rar archive",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"II*\x00": "a TIFF picture",
    b"MM\x00*": "a TIFF picture",
    b"\x89HDF": "an HDF5 file",
    # PKCS #7, in which DICOM security profiles wrap a file, and OpenSSL's own wrapping
    b"\x30\x82": "an encrypted file",
    b"\x30\x83": "an encrypted file",
    b"\x30\x84": "an encrypted file",
    b"Salted__": "an encrypted file",
}


def as_path(path: str | Path) -> Path:
    """A path in which ``~`` is the home folder; a name such as ``~backup.nii.gz``, of no user, stays as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def require_text(path: Path, error: type[Med3DError] = VolumeError) -> None:
    """Refuse a name that is no text. On Linux it can be any bytes, and SimpleITK ends the process when given such.

    Raises:
        Med3DError: Of the given class.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode(errors="replace")
        raise error(f"The name of {shown} holds bytes that are no text; rename it, or the folder it is in.") from None


def ending_of(path: Path) -> str:
    """The image ending of a file name in lower case, such as ``".nii.gz"``; empty if it is none of FORMATS."""
    return next((ending for ending in FORMATS if path.name.lower().endswith(ending)), "")


def first_bytes(path: Path) -> bytes:
    """The first 512 bytes of a file.

    Raises:
        VolumeError: It is missing, empty, not a file, or may not be read, or its name is no text.
    """
    require_text(path)
    try:
        if path.exists() and not path.is_file():
            raise VolumeError(f"{path} is neither a file nor a folder; give an image file or a DICOM folder.")
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise VolumeError(f"There is no file or folder {path}; check the name.") from None
    except PermissionError:
        raise VolumeError(f"{path} may not be read; ask its owner for permission or copy it elsewhere.") from None
    except OSError as error:
        raise VolumeError(f"{path} cannot be opened: {error.strerror}; copy it to this computer first.") from None
    if not head:
        raise VolumeError(f"{path} is empty (0 bytes); copy or export it again.")
    return head


def is_dicom(head: bytes) -> bool:
    """Whether the first bytes are those of a DICOM file, with or without its 128-byte preamble."""
    return head[128:132] == b"DICM" or head[:4] in _FIRST_TAGS


def may_be_cropped(path: Path) -> bool:
    """Whether a label map may lie on a part of its scan's grid: 3D Slicer and DICOM SEG store only what is marked."""
    return path.name.lower().endswith(".seg.nrrd") or (
        path.is_file() and not ending_of(path) and is_dicom(first_bytes(path))
    )


def require_image(path: Path) -> None:
    """Refuse a file whose content cannot be the image that its name promises.

    Raises:
        VolumeError: It is missing, empty, not readable, an archive, encrypted, a picture, or of an unknown format.
    """
    head = first_bytes(path)
    kind = next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), None)
    if kind == "a zip archive" and head[6] & 1:
        raise VolumeError(f"{path} is a password-protected zip archive; unpack it and give the image or folder inside.")
    if kind == "an encrypted file":
        raise VolumeError(f"{path} is {kind}; decrypt it or export the image again without encryption.")
    if kind is not None:
        raise VolumeError(f"{path} is {kind}, not a 3D image; give NIfTI, NRRD, MetaImage or a DICOM folder.")
    ending = ending_of(path)
    if not ending:
        raise VolumeError(
            f"{path} is not an image that Med3D knows; give NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr), "
            "MetaImage (.mha, .mhd) or a DICOM folder."
        )
    if ending == ".nii.gz" and not head.startswith(_GZIP):
        raise VolumeError(f"{path} is not compressed although its name says so; rename it to end in .nii.")
    if ending == ".nii" and head.startswith(_GZIP):
        raise VolumeError(f"{path} is compressed although its name does not say so; rename it to end in .nii.gz.")
