"""Draw the icon of the extension and the thumbnails of its sample data from phantoms: ``python tools/draw_icons.py``.

Writes to ``Med3DSegmentation/Resources/Icons``; run it again only if the pictures shall change.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from Med3DCore.labels import find_labels
from Med3DCore.phantom import PhantomSettings, make_phantom

ICONS = Path(__file__).resolve().parent.parent / "Med3DSegmentation" / "Resources" / "Icons"
ICON_SIZE, THUMBNAIL_SIZE = 128, (260, 280)  # thumbnail: width, height, as Slicer's own
LIGHT = np.array([-0.45, -0.75, 0.5])  # towards the light: left, front and top of the picture
LABELS = ("liver", "left_lung", "right_lung")
COLOURS = {"liver": (221, 130, 101), "left_lung": (122, 190, 232), "right_lung": (122, 190, 232)}
SLATE = np.array([[35, 52, 84], [17, 26, 46]]) / 255  # top and bottom of the icon's ground


def main() -> None:
    """Write all pictures."""
    ICONS.mkdir(parents=True, exist_ok=True)
    phantom = make_phantom(4, PhantomSettings(spacing=(1.5, 1.5, 1.5), region=(-140.0, 350.0), labels=LABELS))
    save("Med3DSegmentation.png", icon(phantom.labels.array))
    save("Med3DPhantom.png", thumbnail(phantom, labelled=False))
    save("Med3DTrainingSet.png", thumbnail(phantom, labelled=True))


def save(name: str, picture: np.ndarray) -> None:
    """Write an RGB or RGBA picture of values from 0 to 1."""
    matplotlib.image.imsave(ICONS / name, np.clip(picture, 0, 1), metadata={"Software": None})


def icon(labels: np.ndarray) -> np.ndarray:
    """The organs from the front, lit, on a rounded square; RGBA."""
    fine = 4 * ICON_SIZE
    ground = np.linspace(*SLATE, fine)[:, None].repeat(fine, 1)
    found = np.argwhere(labels > 0)
    low, high = found.min(0), found.max(0) + 1
    organs = np.flip(labels[low[0] : high[0], :, low[2] : high[2]], axis=0)  # head up
    scale = 0.8 * fine / max(organs.shape[0], organs.shape[2])
    # From back to front: the liver lies below the lungs' domes.
    for value in (2, 3, 1):
        shade, cover = lit(organs == value, scale)
        colour = np.array(COLOURS[LABELS[value - 1]]) / 255
        place = tuple(slice((fine - n) // 2, (fine - n) // 2 + n) for n in cover.shape)
        painted = shade[..., None] * colour + 0.35 * np.maximum(shade - 0.9, 0)[..., None]
        ground[place] += cover[..., None] * (painted - ground[place])
    picture = np.dstack([ground, rounded(fine)])
    return picture.reshape(ICON_SIZE, 4, ICON_SIZE, 4, 4).mean((1, 3))


def lit(mask: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and cover [0..1] of an organ seen from the front, ``scale`` picture elements a voxel."""
    depth = np.where(mask.any(1), mask.argmax(1), mask.shape[1]).astype(float)
    outside = ~mask.any(1)
    depth[outside] = depth[~outside].max()
    depth, cover = (zoom(values, scale, order=1) for values in (depth * scale, (~outside).astype(float)))
    depth = gaussian_filter(depth, 9)
    down, right = np.gradient(depth)
    normal = np.stack([right, -np.ones_like(depth), -down], -1)  # towards the viewer is -y
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    brightness = 0.38 + 0.72 * np.clip(normal @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    return brightness, np.clip((gaussian_filter(cover, 4) - 0.5) * 6 + 0.5, 0, 1)


def rounded(size: int) -> np.ndarray:
    """Alpha of a square with round corners."""
    radius = 0.18 * size
    across = np.abs(np.arange(size) + 0.5 - size / 2) - (size / 2 - radius)
    distance = np.hypot(*np.meshgrid(np.maximum(across, 0), np.maximum(across, 0)))
    return np.clip(radius - distance + 0.5, 0, 1)


def thumbnail(phantom, labelled: bool) -> np.ndarray:
    """A coronal slice through the organs, with or without them in colour; RGB."""
    array, labels = (np.flip(volume.array, axis=0) for volume in (phantom.ct, phantom.labels))
    row = int(np.argmax([(labels[:, y] == 1).sum() * (labels[:, y] > 1).sum() for y in range(labels.shape[1])]))
    grey = np.clip((array[:, row].astype(float) + 700) / 1050, 0, 1)
    picture = grey[..., None].repeat(3, -1)
    if labelled:
        for value, label in enumerate(find_labels(LABELS), start=1):
            cover = 0.6 * (labels[:, row] == value)[..., None]
            picture += cover * (np.array(label.colour) / 255 - picture)
    return fitted(picture, *THUMBNAIL_SIZE)


def fitted(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Enlarged to fill a size, and cut to it around the middle."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    large = zoom(picture, (scale, scale, 1), order=1)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


if __name__ == "__main__":
    main()
