"""What an image file says of itself, checked before its voxels are read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from Med3DCore.errors import SettingError, VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.stored_voxels import StoredVoxels

_VOLUMES = ("list", "time", "domain", "space")


@dataclass(frozen=True)
class Header:
    """The header of a 3D image file.

    Args:
        path: The file.
        format: ``"NIfTI"``, ``"NRRD"`` or ``"MetaImage"``.
        geometry: The grid.
        voxels: Where the voxels lie.
        kind: What the components of a voxel are, in NRRD's words: ``"list"`` or ``"time"`` for volumes or layers.
        metadata: Fields that belong to no format, such as those of a segmentation.
        orientation_note: Why it is not sure how the patient lies (not given, or given in two ways), a sentence; or
            None.
        is_oriented: Whether it says how the patient lies.
        notes: What else to warn of, sentences.
    """

    path: Path
    format: str
    geometry: Geometry
    voxels: StoredVoxels
    kind: str = ""
    metadata: dict[str, str] = field(default_factory=dict, repr=False)
    orientation_note: str | None = None
    is_oriented: bool = True
    notes: tuple[str, ...] = ()

    @property
    def pixel(self) -> str:
        """How a value is stored, such as ``"16-bit signed integer"``."""
        return self.voxels.type_name

    @property
    def components(self) -> int:
        """Values a voxel: 1, 3 for colour, the number of layers for a layered segmentation, of volumes if 4D."""
        return self.voxels.components

    def of_frame(self, frame: int | None) -> Header:
        """The header of one volume, from 0, of a 4D file; of a file with one volume, 0 is that.

        Raises:
            SettingError: There is one volume only, and not that one was wanted.
            VolumeError: There is no such volume.
        """
        if self.kind not in _VOLUMES or self.components == 1:
            if frame:
                raise SettingError(f"{self.path} holds one volume only, so its frame cannot be {frame}.")
            return self
        if frame is None:
            return self
        if not 0 <= frame < self.components:
            raise VolumeError(f"{self.path} has no volume {frame}; it holds {self.components}, counted from 0.")
        return replace(self, voxels=replace(self.voxels, frame=frame))

    def require_scalar(self) -> None:
        """Refuse several values a voxel.

        Raises:
            VolumeError: A colour image, a vector field, or several volumes in one file.
        """
        if self.components > 1 and self.kind in _VOLUMES:
            raise VolumeError(
                f"{self.path} holds {self.components} volumes (a 4D image); choose one, such as --frame 0 for the "
                "first, or save it in a file of its own."
            )
        if self.kind == "complex":
            raise VolumeError(f"The voxels of {self.path} are stored as complex numbers; convert them to real numbers.")
        if self.components > 1:
            raise VolumeError(
                f"{self.path} has {self.components} values in each voxel (a colour image or vector field); "
                "Med3D needs one value a voxel, as in a CT."
            )
