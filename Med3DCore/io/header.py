"""What an image file says of itself, checked before its voxels are read."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.files import FORMATS, as_path, ending_of, require_image
from Med3DCore.io.itk import captured, short_reason
from Med3DCore.io.text_header import require_spacing

SHEAR_TOLERANCE = 1e-3
_READERS = {"NIfTI": "NiftiImageIO", "NRRD": "NrrdImageIO", "MetaImage": "MetaImageIO"}


@dataclass(frozen=True)
class Header:
    """The header of a 3D image file.

    Args:
        path: The file.
        format: ``"NIfTI"``, ``"NRRD"`` or ``"MetaImage"``.
        geometry: The grid.
        pixel: How a voxel is stored, in ITK's words, such as ``"16-bit signed integer"``.
        components: Values a voxel: 1, 3 for colour, the number of layers for a layered segmentation.
        metadata: All other fields of the header.
        frame: Which of several volumes in the file is meant.
    """

    path: Path
    format: str
    geometry: Geometry
    pixel: str
    components: int = 1
    metadata: dict[str, str] = field(default_factory=dict, repr=False)
    frame: int = 0

    @property
    def stored_bytes(self) -> int:
        """Size of the voxels in memory as they are stored."""
        bits = int(re.search(r"(\d+)-bit", self.pixel).group(1))
        return int(np.prod(self.geometry.size, dtype=np.int64)) * self.components * bits // 8

    def require_scalar(self) -> None:
        """Refuse several values a voxel.

        Raises:
            VolumeError: A colour image, a vector field, or several volumes in one file.
        """
        if self.metadata.get("NRRD_kinds[pixel]") in ("list", "time", "domain"):
            raise _several_volumes(self.path, self.components)
        if self.components > 1:
            raise VolumeError(
                f"{self.path} has {self.components} values in each voxel (a colour image or vector field); "
                "Med3D needs one value a voxel, as in a CT."
            )


def read_header(path: str | Path, frame: int | None = None) -> Header:
    """Read and check the header of a NIfTI, NRRD or MetaImage file.

    The grid is ITK's reading of the header, so it is the one that Slicer shows.

    Args:
        path: The file.
        frame: Which volume of a 4D NIfTI file is meant, from 0; without, such a file is refused.

    Raises:
        VolumeError: The file is not such an image, is not 3D, or says nonsense about its grid.
    """
    import SimpleITK as sitk

    path = as_path(path)
    require_image(path)
    format_name = FORMATS[ending_of(path)]
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_READERS[format_name])
    reader.SetFileName(str(path))
    with captured():
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            reason = short_reason(error).replace(str(path), "it")
            if "orthonormal" in reason:
                raise _sheared(path) from None
            raise VolumeError(
                f"{path} cannot be read as {format_name} ({reason}); it may be damaged, copy or export it again."
            ) from None
    metadata = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    pixel = sitk.GetPixelIDValueAsString(reader.GetPixelIDValue())
    if "-bit" not in pixel or "complex" in pixel:
        raise VolumeError(f"The voxels of {path} are stored as {pixel}; convert them to whole or real numbers.")
    if format_name == "NIfTI":
        _check_nifti(path, metadata)
    size = reader.GetSize()
    frames = int(np.prod(size[3:], dtype=np.int64))
    if frames > 1 and (format_name != "NIfTI" or frame not in range(frames)):
        raise _several_volumes(path, frames)
    geometry = _geometry(path, size, reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())
    if format_name != "NIfTI":
        require_spacing(path, format_name)
    components, frame = reader.GetNumberOfComponents(), frame or 0
    return Header(path, format_name, geometry, pixel, components, metadata, frame if frames > 1 else 0)


def _geometry(path: Path, size: tuple, spacing: tuple, origin: tuple, direction: tuple) -> Geometry:
    dimensions = len(size)
    if dimensions < 3:
        raise VolumeError(f"{path} is a 2D picture; Med3D needs a 3D volume.")
    if min(size) < 1:
        raise VolumeError(f"{path} holds no voxels (its size is {' x '.join(map(str, size))}); export it again.")
    matrix = np.asarray(direction, dtype=np.float64).reshape(dimensions, dimensions)[:3, :3]
    require_grid(path, spacing[:3], origin[:3], matrix)
    return Geometry(tuple(size[:3]), tuple(spacing[:3]), tuple(origin[:3]), tuple(float(v) for v in matrix.ravel()))


def require_grid(path: Path, spacing: tuple, origin: tuple, direction: np.ndarray) -> None:
    """Refuse a grid that is not a grid of boxes.

    Args:
        path: The file, for the message.
        spacing: (x, y, z) in mm.
        origin: LPS mm.
        direction: 3x3, its columns are the axes.

    Raises:
        VolumeError: A spacing is not above zero, a number is not finite, or axes are not at right angles.
    """
    if not all(np.isfinite(spacing)) or min(spacing) <= 0:
        shown = " x ".join(f"{value:g}" for value in spacing)
        raise VolumeError(
            f"{path} has a spacing of {shown} mm, which cannot be; correct its header or export it again."
        )
    if not (np.all(np.isfinite(direction)) and np.all(np.isfinite(origin))):
        raise VolumeError(f"{path} does not say where its voxels lie (its axes or origin are NaN); export it again.")
    if np.abs(direction.T @ direction - np.eye(3)).max() > SHEAR_TOLERANCE:
        raise _sheared(path)


def _check_nifti(path: Path, metadata: dict[str, str]) -> None:
    """What ITK passes over without a word: a pixdim of zero, taken as 1 mm, and a sheared or contradicting sform."""
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            head = file.read(92)
    except (EOFError, OSError, zlib.error):
        head = b""
    if len(head) < 92:
        raise VolumeError(f"{path} is truncated or damaged; copy or export it again.")
    order = "<" if int.from_bytes(head[:4], "little") == 348 else ">"
    pixdim = np.frombuffer(head, f"{order}f4", 3, 80)[: int(metadata["dim[0]"])]
    if not pixdim.min() > 0:
        raise _impossible_spacing(path, pixdim)
    if int(metadata["sform_code"]) <= 0 or len(pixdim) < 3:
        return
    rows = np.array([[float(value) for value in metadata[f"srow_{axis}"].split()[:3]] for axis in "xyz"])
    lengths = np.linalg.norm(rows, axis=0)
    if not np.all(lengths > 0):
        return  # NaN or zero columns; ITK falls back on the qform or fails the check of the grid
    axes = rows / lengths
    if np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR_TOLERANCE:
        raise _sheared(path)
    if not np.allclose(lengths, pixdim, rtol=0.01):
        shown = " x ".join(f"{value:g}" for value in lengths)
        other = " x ".join(f"{value:g}" for value in pixdim)
        raise VolumeError(
            f"The header of {path} contradicts itself: the spacing is {other} mm by its pixdim and {shown} mm by its "
            "sform; correct it or export the image again."
        )


def _sheared(path: Path) -> VolumeError:
    return VolumeError(
        f"The axes of {path} are not at right angles (a sheared grid, as after an affine registration, or a damaged "
        "header); resample it onto a straight grid first."
    )


def _impossible_spacing(path: Path, spacing: Sequence[float]) -> VolumeError:
    shown = " x ".join(f"{value:g}" for value in spacing)
    return VolumeError(f"{path} has a spacing of {shown} mm, which cannot be; correct its header or export it again.")


def _several_volumes(path: Path, frames: int) -> VolumeError:
    return VolumeError(f"{path} holds {frames} volumes (a 4D image); save the one to be used in a file of its own.")
