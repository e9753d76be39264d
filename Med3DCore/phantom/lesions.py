"""Lesions put into a CT, made-up or real: where they may lie, how they look, and the box that a reader would draw.

In lung they are solid or ground glass; elsewhere brighter or darker than the tissue around. Easy ones stand out, hard
ones hardly exceed the noise. Diameters are 3 to 40 mm, as many from 3 to 6 as from 20 to 40.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from Med3DCore.boxes import Box, overlaps
from Med3DCore.geometry import Triple

SMALLEST_MM, LARGEST_MM = 3.0, 40.0
MARGIN = 5.0
"""Pixels that DeepLesion's boxes have around what was measured."""

_LUNG_HU = (-950.0, -650.0)
_SOFT_HU = (0.0, 180.0)
_AIR_HU = -400.0
_EVEN_HU = {"lung": 90.0, "soft tissue": 35.0}  # largest spread of HU around a place
_NEAR_MM = 4.0  # what "around" means
# Part of the air that a lesion of the lung fills; HU that one of soft tissue adds.
_FILLED = {False: (0.9, 1.0), True: (0.25, 0.45)}
_ADDED_HU = {False: (45.0, 90.0), True: (15.0, 30.0)}
_SOLID_HU = (0.0, 60.0)
_ROUGH = 0.15  # how far a border goes in and out, part of the radius


@dataclass(frozen=True)
class PaintedLesion:
    """A lesion as a reader would mark it in the slice that shows it best.

    Args:
        box: Around it, 5 pixels wider on each side, in pixels.
        ends: Ends of its longest diameter and of the widest one across, x and y of each in pixels.
        diameters: Longest diameter and the widest one across, pixels.
        tissue: ``"lung"`` or ``"soft tissue"``.
        hard: Whether it is hard to see.
    """

    box: Box
    ends: tuple[float, ...]
    diameters: tuple[float, float]
    tissue: str
    hard: bool


def paint_lesions(
    hu: np.ndarray, spacing: Triple, key: int, count: int, hard: float, rng: np.random.Generator
) -> list[PaintedLesion]:
    """Put lesions into a slab of a CT, in place; none touches another.

    Args:
        hu: float32 ``[z, y, x]``.
        spacing: Voxel size (x, y, z), mm.
        key: The slice in which all of them can be seen.
        count: How many at most; fewer where there is no place.
        hard: Share of hard ones, 0..1.
        rng: Source of randomness.
    """
    tissues = _tissues(hu[key], spacing)
    noise = _noise(hu[key], tissues["soft tissue"])
    painted: list[PaintedLesion] = []
    for _ in range(count):
        names = [name for name, mask in tissues.items() if mask.any()]
        if not names:
            break
        tissue, is_hard = str(rng.choice(names)), bool(rng.random() < hard)
        places = np.argwhere(tissues[tissue])
        y, x = places[rng.integers(len(places))] + rng.uniform(-0.5, 0.5, 2)
        radius = np.exp(rng.uniform(np.log(SMALLEST_MM), np.log(LARGEST_MM))) / 2
        z = key + rng.uniform(-0.3, 0.3) * radius / spacing[2]
        share = _share(hu.shape, (z, y, x), radius, spacing, rng)
        lesion = _marked(share[key] > 0.5, tissue, is_hard)
        if lesion is None or any(overlaps(np.array([lesion.box]), np.array([o.box])).any() for o in painted):
            continue
        _fill(hu, share, tissue, is_hard, noise, rng)
        painted.append(lesion)
    return painted


def _tissues(picture: np.ndarray, spacing: Triple) -> dict[str, np.ndarray]:
    """Where the middle of a lesion may lie, by tissue: within the body, in even surroundings of its HU."""
    pixels = [_NEAR_MM / spacing[1], _NEAR_MM / spacing[0]]
    mean = ndimage.gaussian_filter(picture, pixels)
    spread = np.sqrt(np.maximum(ndimage.gaussian_filter(picture**2, pixels) - mean**2, 0))
    body = _body(picture, max(1, round(min(pixels))))
    return {
        name: body & (mean > low) & (mean < high) & (spread < _EVEN_HU[name])
        for name, (low, high) in (("lung", _LUNG_HU), ("soft tissue", _SOFT_HU))
    }


def _body(picture: np.ndarray, shell: int) -> np.ndarray:
    """The body with its lungs: what is thicker than the shell of a table, and all that it encloses."""
    solid = ndimage.binary_opening(picture > _AIR_HU, iterations=shell)
    return ndimage.binary_erosion(ndimage.binary_fill_holes(solid), iterations=shell)


def _noise(picture: np.ndarray, soft: np.ndarray) -> float:
    """Standard deviation of neighbouring pixels' differences in soft tissue, as noise without structure has it."""
    both = soft[:, 1:] & soft[:, :-1]
    return float(np.std(np.diff(picture, axis=1)[both]) / np.sqrt(2)) if both.any() else 10.0


def _share(
    shape: tuple[int, ...], centre: tuple[float, float, float], radius: float, spacing: Triple, rng: np.random.Generator
) -> np.ndarray:
    """How much of each voxel an uneven ellipsoid fills, 0 to 1, with a border as wide as a voxel."""
    radii = radius * np.exp(rng.uniform(-0.25, 0.25, 3))
    radii *= radius / radii[1:].max()  # its longest diameter in the slice is the one that was asked for
    z, y, x = ((np.arange(n) - c) * mm / r for n, c, mm, r in zip(shape, centre, spacing[::-1], radii, strict=True))
    turn = rng.uniform(0, np.pi)
    along, across = (
        np.cos(turn) * x[None] * radii[2] + np.sin(turn) * y[:, None] * radii[1],
        -np.sin(turn) * x[None] * radii[2] + np.cos(turn) * y[:, None] * radii[1],
    )
    distance = np.sqrt(z[:, None, None] ** 2 + (along / radii[2]) ** 2 + (across / radii[1]) ** 2)
    waves = np.arctan2(across, along)
    distance *= 1 + _ROUGH * rng.uniform(0, 1) * np.sin(rng.integers(3, 7) * waves + rng.uniform(0, 2 * np.pi))
    return np.clip(0.5 + (1 - distance) * radius / np.mean(spacing[:2]), 0, 1).astype(np.float32)


def _fill(hu: np.ndarray, share: np.ndarray, tissue: str, hard: bool, noise: float, rng: np.random.Generator) -> None:
    """Change the HU where the lesion is, in place."""
    if tissue == "lung":
        filled = np.float32(rng.uniform(*_FILLED[hard]))
        solid = rng.uniform(*_SOLID_HU) + noise * rng.standard_normal(hu.shape, dtype=np.float32)
        hu += share * filled * (solid - hu)
    else:
        hu += share * np.float32(rng.choice([-1, 1]) * rng.uniform(*_ADDED_HU[hard]))


def _marked(mask: np.ndarray, tissue: str, hard: bool) -> PaintedLesion | None:
    """What a reader measures of a lesion in its slice; None where nothing can be seen or the box leaves the picture."""
    height, width = mask.shape
    points = np.argwhere(mask & ~ndimage.binary_erosion(mask))[:, ::-1].astype(float)
    if not len(points):
        return None
    low, high = points.min(axis=0) - 0.5 - MARGIN, points.max(axis=0) + 0.5 + MARGIN
    if low.min() < 0 or high[0] > width - 1 or high[1] > height - 1:
        return None
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    first, second = np.unravel_index(apart.argmax(), apart.shape)
    longest = apart[first, second] + 1
    along = (points[second] - points[first]) / max(apart[first, second], 1e-9) if apart.any() else np.array([1.0, 0.0])
    across = (points - points[first]) @ np.array([-along[1], along[0]])
    one, other = points[across.argmin()], points[across.argmax()]
    ends = (*points[first], *points[second], *one, *other)
    box = (*low, *high)
    return PaintedLesion(
        tuple(float(v) for v in box),  # type: ignore[arg-type] # four of them
        tuple(float(v) for v in ends),
        (float(longest), float(np.ptp(across) + 1)),
        tissue,
        hard,
    )
