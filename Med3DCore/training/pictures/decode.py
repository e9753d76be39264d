"""From the bytes of a file to a picture: PNG, JPEG, 16-bit PNG, DICOM.

Pillow reads the first three: it decodes a JPEG at an eighth to all of its size, as much as is needed, and lets other
threads work meanwhile. DICOM files go through the same reader as scans.
"""

from __future__ import annotations

import io
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.errors import DataError, SettingError, VolumeError
from Med3DCore.io.dicom.image import read_images
from Med3DCore.io.dicom.read import read_slice

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = (".png", ".jpg", ".jpeg")
DICOM = (".dcm", ".dicom", ".ima")
_MOST_PIXELS = 64_000_000
_PERCENTILES = (0.5, 99.5)
# What Pillow and its codecs meet broken files with.
_BROKEN = (OSError, ValueError, SyntaxError, IndexError, OverflowError)


def require_pillow() -> None:
    """Find out whether pictures can be read.

    Raises:
        SettingError: Pillow is not installed.
    """
    if find_spec("PIL") is None:
        raise SettingError("Reading pictures needs the Python package Pillow; pip install pillow.")


def open_picture(data: bytes, name: str, keep_numbers: bool = False) -> Image:
    """A picture, colours or grey, 8 bits a channel.

    Only its header is read where the format allows; the pixels follow when somebody asks for them, perhaps at a smaller
    size (JPEG). 16-bit and DICOM pictures have no fixed range, so their own percentiles 0.5 and 99.5 become 0 and 255.

    Args:
        data: The file's content.
        name: Of the file, for messages; its ending says what is DICOM.
        keep_numbers: Whether 16-bit numbers stay as they are, as those of a mask must.

    Raises:
        DataError: It is no such picture, it is damaged, or it has more than 64 million pixels.
    """
    if name.lower().endswith(DICOM):
        return _grey(_read_dicom(data, name), name)
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
    except UnidentifiedImageError as error:
        raise DataError(f"{name} is no PNG and no JPEG, whatever its name says; remove or replace it.") from error
    except Image.DecompressionBombError as error:
        raise _gigantic(name, "") from error
    except _BROKEN as error:
        raise _damaged(name, error) from error
    if picture.width * picture.height > _MOST_PIXELS:
        raise _gigantic(name, f" ({picture.width} x {picture.height})")
    if not keep_numbers and (picture.mode.startswith("I") or picture.mode == "F"):
        return _grey(pixels_of(picture, name).astype(np.float32), name)
    return picture


def load(picture: Image, name: str) -> Image:
    """The picture with its pixels in memory, as RGB or 8-bit grey.

    Raises:
        DataError: It is damaged.
    """
    try:
        picture.load()
        return picture if picture.mode in ("RGB", "L") else picture.convert("RGB")
    except _BROKEN as error:
        raise _damaged(name, error) from error


def pixels_of(picture: Image, name: str) -> np.ndarray:
    """The stored numbers ``[y, x]`` or ``[y, x, colours]``: of a palette its indices, of 16 bits all of them.

    Raises:
        DataError: It is damaged.
    """
    try:
        return np.array(picture)
    except _BROKEN as error:
        raise _damaged(name, error) from error


def _read_dicom(data: bytes, name: str) -> np.ndarray:
    """Pixel values float32 ``[y, x]``, rescaled as the file says."""
    with tempfile.TemporaryDirectory(prefix="med3d-picture-") as folder:
        path = Path(folder) / "picture.dcm"
        path.write_bytes(data)
        try:
            frames = read_images(path)
            if len(frames) != 1:
                raise DataError(f"{name} holds {len(frames)} pictures; only DICOM files of one can be used.")
            fault = frames[0].pixels.fault or frames[0].rescale.fault
            if fault:
                raise DataError(f"{name} {fault}; only grey DICOM pictures can be used.")
            if frames[0].pixels.rows * frames[0].pixels.columns > _MOST_PIXELS:
                raise _gigantic(name, "")
            return read_slice(frames[0], Path(folder)).astype(np.float32)
        except (VolumeError, OSError) as error:
            raise DataError(f"{name} is no DICOM picture that can be read; remove or replace it.") from error


def _grey(array: np.ndarray, name: str) -> Image:
    from PIL import Image

    if not np.isfinite(array).all():
        raise DataError(f"{name} has pixels that are no numbers; remove or replace it.")
    low, high = np.percentile(array, _PERCENTILES)
    scaled = (array - low) * (255 / (high - low)) if high > low else np.zeros_like(array)
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


def _gigantic(name: str, size: str) -> DataError:
    limit = _MOST_PIXELS // 1_000_000
    return DataError(f"{name} is gigantic{size}: more than {limit} million pixels; make it smaller or remove it.")


def _damaged(name: str, error: Exception) -> DataError:
    return DataError(f"{name} is damaged ({error}); remove or replace it.")
