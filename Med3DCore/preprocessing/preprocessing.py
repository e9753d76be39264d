"""From a scan to what a network sees, and back: one object that a model carries with it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry, Triple, triple
from Med3DCore.preprocessing.intensity import Intensity, Window, intensity_from_dict, intensity_to_dict
from Med3DCore.preprocessing.resample import resample
from Med3DCore.preprocessing.spacing import world_grid
from Med3DCore.volume import Volume

Box = tuple[np.ndarray, np.ndarray]

EDGE_MM = 20.0
"""How far a network sees the outermost voxels of a scan go on: lung that ends in air would look like air outside."""

# Scores brought back to the scan's grid at a time: 16 MiB.
_BLOCK_VOXELS = 1 << 22


@dataclass(frozen=True)
class Preprocessing:
    """Resampling to a fixed spacing along the patient's axes, then intensity normalisation.

    Args:
        spacing: Spacing (x, y, z) in mm that the network works at.
        intensity: Normalisation method.
        channels: Names of the images that the network takes of a patient, each normalised by itself; none for one.

    Examples:
        >>> preprocessing = Preprocessing((5.0, 5.0, 5.0), Window(-160, 240))
        >>> volume = Volume(np.zeros((10, 20, 20), np.int16), Geometry((20, 20, 10), (1.0, 1.0, 3.0)))
        >>> preprocessing.apply(volume).array.shape
        (6, 4, 4)
    """

    spacing: Triple
    intensity: Intensity = field(default_factory=Window)
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.spacing) != 3 or not all(np.isfinite(self.spacing)) or min(self.spacing) <= 0:
            raise SettingError(f"The spacing must be three positive numbers in mm, not {self.spacing}.")

    def apply(self, volume: Volume, box: Box | None = None) -> Volume:
        """The volume as the network sees it.

        Args:
            volume: Any scan, in any orientation.
            box: Lowest and highest LPS mm to take; beyond the scan its edge goes on for :data:`.EDGE_MM`, then there is
                air. None takes the scan.

        Returns:
            float32 volume along the patient's axes.
        """
        statistics = self.intensity.measure(volume)
        grid = world_grid(volume.geometry, self.spacing, box)
        clip = (statistics.low, statistics.high) if np.isfinite(statistics.low) else None
        array = resample(volume.array, volume.geometry, grid, clip, statistics.floor, EDGE_MM)
        return Volume(self.intensity.apply(array, statistics), grid, volume.name)

    def to_dict(self) -> dict:
        """Plain values for a model's JSON."""
        several = {"channels": list(self.channels)} if self.channels else {}
        return {"spacing": list(self.spacing), "intensity": {**intensity_to_dict(self.intensity), **several}}

    @classmethod
    def from_dict(cls, spec: dict) -> Preprocessing:
        """The inverse of :meth:`to_dict`.

        Raises:
            SettingError: A part is missing or makes no sense.
        """
        if origin := {"nnunet": "nnU-Net", "monai": "MONAI"}.get(spec.get("name", "")):
            raise SettingError(
                f"This model was imported from {origin}, so it can segment, be shown and be fine-tuned, but no more."
            )
        try:
            spacing = triple(float(v) for v in spec["spacing"])
            intensity = dict(spec["intensity"])
            channels = intensity.pop("channels", [])
            if not isinstance(channels, list | tuple) or not all(isinstance(name, str) for name in channels):
                raise TypeError
            return cls(spacing, intensity_from_dict(intensity), tuple(channels))
        except (KeyError, TypeError, ValueError) as error:
            raise SettingError(f"This is not a description of a preprocessing: {spec}.") from error


def blocks_inside(native: Geometry, grid: Geometry) -> list[tuple[tuple[slice, slice, slice], Geometry]]:
    """The part of a scan's own grid that another grid covers, in blocks small enough to bring values back to.

    Args:
        native: The scan's own grid.
        grid: Such as the grid that :meth:`Preprocessing.apply` returned.

    Returns:
        Where each block lies in the native array ``[z, y, x]``, and its grid. Together the blocks cover the native
        voxels that may lie inside ``grid``, each once.
    """
    start, stop = voxels_inside(native, grid.bounds())
    if any(a >= b for a, b in zip(start, stop, strict=True)):
        return []
    rows = max(1, _BLOCK_VOXELS // ((stop[0] - start[0]) * (stop[1] - start[1])))
    blocks = []
    for z in range(start[2], stop[2], rows):
        low, high = (start[0], start[1], z), (stop[0], stop[1], min(z + rows, stop[2]))
        blocks.append((triple(slice(low[i], high[i]) for i in (2, 1, 0)), native.crop(low, high)))
    return blocks


def voxels_inside(geometry: Geometry, box: Box) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Index range (x, y, z) of the voxels whose centres may lie in a box of LPS mm: start included, stop excluded."""
    corners = np.array([[box[i][0], box[j][1], box[k][2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    to_index = np.linalg.inv(geometry.index_to_physical)
    indices = corners @ to_index[:3, :3].T + to_index[:3, 3]
    start = np.maximum(np.ceil(indices.min(axis=0) - 1e-3), 0).astype(int)
    stop = np.minimum(np.floor(indices.max(axis=0) + 1e-3) + 1, geometry.size).astype(int)
    return triple(int(v) for v in start), triple(int(v) for v in stop)
