"""Draw a segmentation over its scan: one axial, coronal and sagittal slice. Needs matplotlib (the ``cli`` extra)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.drawing.figure import drawn
from Med3DCore.geometry import Geometry, triple
from Med3DCore.preprocessing import resample
from Med3DCore.volume import LabelMap, Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WINDOW_HU = (-160.0, 240.0)
VIEWS = (("axial", 0), ("coronal", 1), ("sagittal", 2))


def write_picture(volume: Volume, labels: LabelMap, path: Path, pixel_mm: float = 1.0) -> None:
    """Write a PNG with the three slices that show most of what was found, outlines and volumes.

    Args:
        volume: The scan.
        labels: The result, on the same grid.
        path: The PNG, written beside and renamed.
        pixel_mm: Size of a pixel.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    centre = _telling_point(labels)
    with drawn(path, (12, 4.4), facecolor="black") as figure:
        for axes, (title, axis) in zip(figure.subplots(1, 3), VIEWS, strict=True):
            _draw_slice(axes, volume, labels, axis, centre, pixel_mm)
            axes.set_title(title, color="white", fontsize=10)
        entries = [
            figure.axes[0].plot([], [], color=_rgb(label.colour), linewidth=4, label=f"{label.title} {ml:.0f} mL")[0]
            for label in labels.labels
            if (ml := labels.volume_ml(label.name)) > 0
        ]
        if entries:
            figure.legend(handles=entries, loc="outside lower center", ncols=4, frameon=False, labelcolor="white")


def _telling_point(labels: LabelMap) -> np.ndarray:
    """LPS mm through which each slice shows as much as possible of all labels together; else the scan's middle."""
    index = (np.asarray(labels.geometry.size) - 1) / 2
    for axis in range(3):
        others = tuple(2 - a for a in range(3) if a != axis)
        areas = [np.count_nonzero(labels.array == value, axis=others) for value in range(1, len(labels.labels) + 1)]
        shares = sum(area / area.max() for area in areas if area.any())
        if np.any(shares):
            index[axis] = np.argmax(shares)
    return (labels.geometry.index_to_physical @ np.append(index, 1.0))[:3]


def _draw_slice(axes: Axes, volume: Volume, labels: LabelMap, axis: int, centre: np.ndarray, pixel_mm: float) -> None:
    """One slice along the patient's axes, head up and the patient's right on the left, as radiologists look at it."""
    grid = slice_grid(volume.geometry, axis, centre, pixel_mm)
    flip = slice(None, None, -1) if axis else slice(None)
    image = np.squeeze(resample(volume.array, volume.geometry, grid, _WINDOW_HU, _WINDOW_HU[0]), axis)[flip]
    axes.imshow(image, cmap="gray", vmin=_WINDOW_HU[0], vmax=_WINDOW_HU[1], interpolation="bilinear")
    for value, label in enumerate(labels.labels, start=1):
        mask = _crop_mask(labels, value, grid)
        if mask is None:
            continue
        mask = np.squeeze(mask, axis)[flip]
        if mask.max() > 0.5:
            tint = np.zeros((*mask.shape, 4))
            tint[..., :3] = _rgb(label.colour)
            tint[..., 3] = 0.35 * (mask > 0.5)
            axes.imshow(tint, interpolation="nearest")
            axes.contour(mask, [0.5], colors=[_rgb(label.colour)], linewidths=1.2)
    axes.set_axis_off()


def _crop_mask(labels: LabelMap, value: int, grid: Geometry) -> np.ndarray | None:
    mask = labels.array == value
    return resample(mask.view(np.uint8), labels.geometry, grid) if mask.any() else None


def slice_grid(geometry: Geometry, axis: int, centre: np.ndarray, pixel_mm: float) -> Geometry:
    """A one-voxel-thick grid along the patient's axes through a point; ``axis`` is that of the array, 0 = z."""
    low, high = geometry.bounds()
    size = [max(1, round((high[i] - low[i]) / pixel_mm)) for i in range(3)]
    origin = [low[i] + pixel_mm / 2 for i in range(3)]
    thin = 2 - axis
    size[thin], origin[thin] = 1, float(centre[thin])
    return Geometry(triple(size), (pixel_mm,) * 3, triple(float(v) for v in origin))


def _rgb(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    return triple(c / 255 for c in colour)
