"""Brains without skull in four MR contrasts, with tumours of three parts: necrosis, enhancing rim and oedema.

Simpler than the torso: folds are a random field, and contrasts are a table in arbitrary units, since all that a network
can learn here is how the parts of a tumour look beside each other in the four contrasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from Med3DCore.geometry import Geometry, Triple, triple
from Med3DCore.phantom.fields import SmoothField, stream

CONTRASTS = ("t1", "t1ce", "t2", "flair")
CORE, OEDEMA, ENHANCING = "core", "oedema", "enhancing"
_SIZE = (72, 88, 68)  # x, y, z
_RADII = np.array([64.0, 79.0, 59.0])  # of the brain, mm
# Rows: contrasts; columns: values of the tissues, as bright beside each other as in a textbook.
_TISSUES = ("white", "grey", "fluid", "vessel", CORE, OEDEMA, ENHANCING, "scar")
_VALUES = {
    "t1": (110, 82, 30, 60, 50, 74, 80, 95),
    "t1ce": (110, 84, 30, 175, 52, 74, 185, 95),
    "t2": (72, 98, 190, 40, 150, 138, 115, 115),
    "flair": (78, 98, 28, 40, 85, 165, 118, 150),
}


@dataclass(frozen=True)
class Tumour:
    """A tumour of a brain.

    Args:
        centre: Its middle, mm from the middle of the brain.
        radius: Of its solid part, mm.
        necrosis: Part of the radius that is dead tissue, or not enhancing.
        oedema: How far the oedema reaches beyond it, mm.
        enhances: Whether its rim does.
    """

    centre: Triple
    radius: float
    necrosis: float
    oedema: float
    enhances: bool = True


def brain_grid(spacing: float = 2.0) -> Geometry:
    """The grid of a brain, axes to the left, back and head, with its middle at 0."""
    size = triple(round(n * 2.0 / spacing) for n in _SIZE)
    origin = triple(-(n - 1) * spacing / 2 for n in size)
    return Geometry(size, (spacing,) * 3, origin)


def make_brain(
    seed: int, tumours: list[Tumour], contrasts: tuple[str, ...] = CONTRASTS, spacing: float = 2.0
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A brain with its tumours.

    Args:
        seed: The patient.
        tumours: What grows in it.
        contrasts: Of ``CONTRASTS``, which are made.
        spacing: Voxel size in mm.

    Returns:
        Contrast to int16 ``[z, y, x]``, 0 outside of the brain; and part of a tumour, ``"core"``, ``"oedema"`` or
        ``"enhancing"``, to bool ``[z, y, x]``. Parts do not overlap.
    """
    rng = stream(seed, "brain")
    z, y, x = _axes(brain_grid(spacing))
    folds, lobes = SmoothField(stream(seed, "folds"), 5.0, 48), SmoothField(stream(seed, "lobes"), 22.0, 24)
    fold, lobe = folds(x, y, z), lobes(x, y, z)
    radii = _RADII * rng.uniform(0.94, 1.04, 3)
    depth = (1 - np.sqrt((x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2)) * radii.min() + 1.5 * lobe
    inside = depth > 0
    tissue = np.zeros(depth.shape, np.int8)  # white matter
    tissue[depth < 7 + 2.5 * fold] = 1
    tissue[(depth < 4) & (np.abs(fold) < 0.12) | (np.abs(x) < 1.2) & (depth < 18)] = 2
    for side in (-1, 1):
        ventricle = ((x - side * 12) / 7) ** 2 + ((y - 4 - side * x / 9) / 27) ** 2 + ((z - 6) / 9) ** 2
        tissue[ventricle + 0.25 * lobe < 1] = 2
    scars = SmoothField(stream(seed, "scars"), 6.0, 48)(x, y, z)  # spots that are bright in FLAIR, too, and no tumour
    tissue[(tissue == 0) & (scars > 2.9)] = 7
    vessels = SmoothField(stream(seed, "vessels"), 4.0, 64)(x, y, z)
    tissue[(tissue != 2) & (np.abs(vessels) < 0.05) & (np.abs(lobe) < 0.08)] = 3
    parts = _parts(seed, tumours, (z, y, x), inside & (tissue != 2))
    for name in (OEDEMA, CORE, ENHANCING):
        tissue[parts[name]] = _TISSUES.index(name)
    return {name: _picture(seed, name, tissue, inside, (z, y, x)) for name in contrasts}, parts


def _axes(grid: Geometry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions z, y, x in mm, which broadcast to the grid."""
    x, y, z = ((np.arange(n) * s + o) for n, s, o in zip(grid.size, grid.spacing, grid.origin, strict=True))
    return z[:, None, None], y[None, :, None], x[None, None, :]


def _parts(seed: int, tumours: list[Tumour], axes: tuple[np.ndarray, ...], room: np.ndarray) -> dict[str, np.ndarray]:
    z, y, x = axes
    rough, spread = (SmoothField(stream(seed, topic), mm, 40) for topic, mm in (("rough", 7.0), ("spread", 12.0)))
    uneven, far = rough(x, y, z), spread(x, y, z)
    parts = {name: np.zeros(room.shape, bool) for name in (CORE, OEDEMA, ENHANCING)}
    for tumour in tumours:
        cx, cy, cz = tumour.centre
        distance = np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) + 0.12 * tumour.radius * uneven
        solid = (distance < tumour.radius) & room
        core = (distance < tumour.necrosis * tumour.radius) & room if tumour.enhances else solid
        swollen = distance + 0.35 * tumour.oedema * far < tumour.radius + tumour.oedema
        parts[OEDEMA] |= swollen & room
        parts[CORE] = (parts[CORE] & ~solid) | core
        parts[ENHANCING] = (parts[ENHANCING] & ~core) | (solid & ~core)
    parts[OEDEMA] &= ~(parts[CORE] | parts[ENHANCING])
    return parts


def _picture(
    seed: int, contrast: str, tissue: np.ndarray, inside: np.ndarray, axes: tuple[np.ndarray, ...]
) -> np.ndarray:
    """The scanner's picture: a gain and a shading of its own, blur and noise; int16, 0 outside of the brain."""
    from scipy import ndimage

    rng, (z, y, x) = stream(seed, f"scan {contrast}"), axes
    values = np.array(_VALUES[contrast], np.float32) * rng.uniform(0.94, 1.06, len(_TISSUES)).astype(np.float32)
    picture = ndimage.gaussian_filter(np.where(inside, values[tissue], 0), 0.5)
    shading = 1 + 0.06 * SmoothField(stream(seed, f"shading {contrast}"), 60.0, 8)(x, y, z)
    picture = picture * shading + rng.normal(0, 5, picture.shape)
    gain = rng.uniform(2.0, 9.0)
    return np.where(inside, np.clip(picture * gain, 1, 32000), 0).astype(np.int16)
