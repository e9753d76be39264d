"""What a DICOM image file says of itself. Never who the patient is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom_frames import bytes_from_pixels_on, fault_of_frames
from Med3DCore.io.files import first_bytes, is_dicom
from Med3DCore.io.grid import require_grid
from Med3DCore.io.itk import captured

if TYPE_CHECKING:
    import SimpleITK as sitk

# SOP classes of CT, MR and PET images, after the bytes of the tag (0002,0002): these should be readable.
_SCANS = tuple(b"1.2.840.10008.5.1.4.1.1." + end for end in (b"2\0", b"2.", b"4\0", b"4.", b"128"))
# Little endian transfer syntaxes, with the bytes that end them: after others the size of the file says nothing.
_UNCOMPRESSED = (b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.1\0")
_ENDINGS = ("", ".dcm", ".ima")


@dataclass(frozen=True)
class DicomImage:
    """One DICOM image file: the fields that decide which volume it belongs to.

    Args:
        path: The file.
        series_uid: Series Instance UID (0020,000E).
        image_uid: SOP Instance UID (0008,0018).
        series_number: Series Number (0020,0011), or None.
        description: Series Description (0008,103E).
        modality: Modality (0008,0060), such as ``"CT"``.
        localizer: Whether Image Type (0008,0008) says that it is a scout.
        components: Values a voxel.
        geometry: Its grid; several slices only for a multi-frame file.
        fault: What is wrong with that grid, as the end of a sentence, or None.
    """

    path: Path
    series_uid: str
    image_uid: str
    series_number: int | None
    description: str
    modality: str
    localizer: bool
    components: int
    geometry: Geometry
    fault: str | None = None


def scan_images(paths: Iterable[Path], warn: Callable[[str], None]) -> list[DicomImage]:
    """The DICOM images among files, by their headers only; about 1 ms a file.

    Args:
        paths: Any files; those that are no DICOM images are passed over.
        warn: Told of CT, MR and PET images that cannot be read.
    """
    import SimpleITK as sitk

    images, unreadable = [], []
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    with captured():
        for path in paths:
            head = b""
            try:
                head = first_bytes(path)
                if is_dicom(head):
                    reader.SetFileName(str(path))
                    reader.ReadImageInformation()
                    images.append(_image(reader, path, head))
            except (RuntimeError, OSError, VolumeError):
                # Reports, plans and index files are no images either; an empty file without a name was one.
                if any(scan in head for scan in _SCANS) or (not head and path.suffix.lower() in _ENDINGS):
                    unreadable.append(path)
    if unreadable:
        warn(
            f"{len(unreadable)} DICOM images in {unreadable[0].parent} cannot be read (truncated, encrypted, or no "
            f"permission) and were left out; the first is {unreadable[0].name}."
        )
    return images


def _image(reader: sitk.ImageFileReader, path: Path, head: bytes) -> DicomImage:
    def text(tag: str) -> str:
        value = reader.GetMetaData(tag) if reader.HasMetaDataKey(tag) else ""
        return " ".join(value.encode("utf-8", "replace").decode().replace("\0", " ").split())

    def number(tag: str) -> float | None:
        try:
            return float(text(tag).split("\\")[0])
        except ValueError:
            return None

    _require_pixels(reader, path, head)
    geometry, fault = _grid(reader, path, number("0018|0050"))
    if geometry.size[2] == 1 and not min(_floats(text("0028|0030")), default=0) > 0:
        fault = "does not say how large its pixels are (PixelSpacing is missing or zero)"
    series_number = number("0020|0011")
    return DicomImage(
        path=path,
        series_uid=text("0020|000e"),
        image_uid=text("0008|0018"),
        series_number=None if series_number is None else int(series_number),
        description=text("0008|103e"),
        modality=text("0008|0060") or "image",
        localizer="LOCALIZER" in text("0008|0008").upper(),
        components=reader.GetNumberOfComponents(),
        geometry=geometry,
        fault=fault,
    )


def _grid(reader: sitk.ImageFileReader, path: Path, thickness: float | None) -> tuple[Geometry, str | None]:
    """The grid of an image and what is wrong with it, as the end of a sentence."""
    size, spacing, axes = reader.GetSize(), reader.GetSpacing(), np.reshape(reader.GetDirection(), (3, 3))
    if size[2] == 1:
        spacing = (*spacing[:2], thickness or spacing[2])
    elif spacing[2] < 0:  # frames from head to foot: so GDCM says that the axis runs the other way
        spacing, axes = (*spacing[:2], -spacing[2]), axes * (1, 1, -1)
    try:
        require_grid(path, spacing, reader.GetOrigin(), axes)
    except VolumeError as error:
        return Geometry(size), f"cannot be placed: {str(error).rstrip('.')}"
    geometry = Geometry(size, spacing, reader.GetOrigin(), tuple(axes.ravel()))
    return geometry, fault_of_frames(path, geometry) if size[2] > 1 else None


def _require_pixels(reader: sitk.ImageFileReader, path: Path, head: bytes) -> None:
    """Refuse a file that ends before its uncompressed pixels do: GDCM reads on in memory that is not its own."""
    if any(syntax in head for syntax in _UNCOMPRESSED):
        bits = int(reader.GetMetaData("0028|0100")) if reader.HasMetaDataKey("0028|0100") else 8
        needed = int(np.prod(reader.GetSize(), dtype=np.int64)) * reader.GetNumberOfComponents() * bits // 8
        if bytes_from_pixels_on(path) < needed:
            raise VolumeError(f"{path} is truncated; copy or export the series again.")


def _floats(text: str) -> list[float]:
    try:
        return [float(value) for value in text.split("\\") if value]
    except ValueError:
        return []
