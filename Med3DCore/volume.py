"""Volumes and label maps: an array and where its voxels lie in the patient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry, Triple

if TYPE_CHECKING:
    import SimpleITK as sitk

    from Med3DCore.labels import Label


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar image in physical space. Never changed in place.

    Args:
        array: Voxel values ``[z, y, x]``; HU for CT.
        geometry: The grid; its size must match the array.
        name: What to call the volume in messages, usually the file's name.
        modality: DICOM modality, such as ``"CT"``, or None where nobody knows: most files do not say it.

    Raises:
        VolumeError: The array is not 3D or does not fit the geometry.

    Examples:
        >>> volume = Volume(np.zeros((2, 3, 4), np.int16), Geometry((4, 3, 2), (0.8, 0.8, 5.0)))
        >>> volume.spacing
        (0.8, 0.8, 5.0)
    """

    array: np.ndarray
    geometry: Geometry
    name: str = "volume"
    modality: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise VolumeError(f"{self.name} has {self.array.ndim} dimensions; Med3D needs a 3D volume.")
        if self.array.shape != self.geometry.shape:
            raise VolumeError(
                f"{self.name}: the array is {self.array.shape} but its geometry says {self.geometry.shape} (z, y, x)."
            )

    @property
    def spacing(self) -> Triple:
        """Spacing (x, y, z) in mm."""
        return self.geometry.spacing

    def with_array(self, array: np.ndarray) -> Volume:
        """The same place in the patient with other values."""
        return Volume(array, self.geometry, self.name, modality=self.modality)

    @classmethod
    def from_sitk(cls, image: sitk.Image, name: str = "volume") -> Volume:
        """Take over a SimpleITK image (3D, scalar). Copies the values."""
        import SimpleITK as sitk

        return cls(sitk.GetArrayFromImage(image), geometry_from_sitk(image), name)

    def to_sitk(self) -> sitk.Image:
        """A SimpleITK image with the same values and geometry. Copies the values."""
        import SimpleITK as sitk

        array = self.array.astype(np.uint8) if self.array.dtype == bool else self.array
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.geometry.spacing)
        image.SetOrigin(self.geometry.origin)
        image.SetDirection(self.geometry.direction)
        return image

    def sampled(self, target: Geometry, fill: float, nearest: bool = False) -> np.ndarray:
        """The values at the voxels of another grid, by SimpleITK: linear, or those of the nearest voxel.

        Args:
            target: Wanted grid; where it is coarser nothing is averaged.
            fill: Value outside of the volume.
            nearest: Never mix two values.

        Returns:
            Array ``[z, y, x]`` of the volume's type.
        """
        import SimpleITK as sitk

        resampler = sitk.ResampleImageFilter()
        resampler.SetSize(target.size)
        resampler.SetOutputSpacing(target.spacing)
        resampler.SetOutputOrigin(target.origin)
        resampler.SetOutputDirection(target.direction)
        resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
        resampler.SetDefaultPixelValue(float(fill))
        return sitk.GetArrayFromImage(resampler.Execute(self.to_sitk()))


@dataclass(frozen=True, eq=False)
class LabelMap(Volume):
    """A uint8 volume whose value ``n`` means ``labels[n - 1]``; 0 is background.

    Where labels overlap, as a lesion and its organ do, a value above those of the labels means several at once.

    Args:
        labels: What the values 1, 2, ... mean, in this order.
        overlaps: ``overlaps[i]`` are the values of the labels that the value ``len(labels) + 1 + i`` means.
    """

    labels: tuple[Label, ...] = field(default=())
    overlaps: tuple[tuple[int, ...], ...] = field(default=())

    def mask(self, name: str) -> np.ndarray:
        """Boolean array ``[z, y, x]`` of the label called ``name``, where others are, too, included.

        Raises:
            KeyError: No label has that name.
        """
        value = self.value(name)
        return self.mask_of((value,)) if self.overlaps else self.array == value

    def mask_of(self, values: Iterable[int]) -> np.ndarray:
        """Boolean array ``[z, y, x]`` of where one of some labels is, by their values."""
        table = np.zeros(256, bool)
        table[list(self.with_overlaps(values))] = True
        return table[self.array]

    def with_overlaps(self, values: Iterable[int]) -> tuple[int, ...]:
        """Values of labels, and the values that mean them and others at once."""
        wanted = {value for value in values if not self.overlaps or value <= len(self.labels)}
        beyond = enumerate(self.overlaps, start=len(self.labels) + 1)
        return (*sorted(wanted), *(value for value, members in beyond if wanted & set(members)))

    def members(self, value: int) -> tuple[int, ...]:
        """The values of the labels that a value means: itself, or several."""
        index = value - len(self.labels) - 1
        return self.overlaps[index] if 0 <= index < len(self.overlaps) else (value,)

    def value(self, name: str) -> int:
        """The number that stands for the label called ``name`` alone."""
        for value, label in enumerate(self.labels, start=1):
            if label.name == name:
                return value
        raise KeyError(name)

    def volume_ml(self, name: str) -> float:
        """Volume of a label in millilitres."""
        return float(np.count_nonzero(self.mask(name))) * self.geometry.voxel_volume_ml


def geometry_from_sitk(image: sitk.Image) -> Geometry:
    """The grid of a 3D SimpleITK image."""
    return Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
