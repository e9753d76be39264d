"""Findings of a report on a chest CT, painted into a phantom: named as the columns of CT-RATE's table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from Med3DCore.phantom.voxel_paint import blend, rough_ball

LABELS = ("right_lung", "left_lung", "heart", "aorta")
"""Organs that a phantom must have labelled, in this order."""

_PARENCHYMA_HU = -700.0  # darker than vessels and their edges
_FAT_HU = (-150.0, -40.0)


@dataclass
class ChestScan:
    """A chest CT that is painted into.

    Args:
        hu: float32 ``[z, y, x]``, axes to the head, back and left; changed in place.
        organs: uint8 of the same shape: ``LABELS`` from 1.
        spacing: Voxel size (x, y, z) in mm.
        rng: Source of randomness.
    """

    hu: np.ndarray
    organs: np.ndarray
    spacing: tuple[float, float, float]
    rng: np.random.Generator

    def mask(self, *names: str) -> np.ndarray:
        """Where organs are, bool."""
        return np.isin(self.organs, [LABELS.index(name) + 1 for name in names])

    @cached_property
    def lungs(self) -> np.ndarray:
        """Both lungs, bool."""
        return self.mask("right_lung", "left_lung")

    @cached_property
    def lung_depth(self) -> np.ndarray:
        """How deep in a lung, mm."""
        return ndimage.distance_transform_edt(self.lungs, self.spacing[::-1])

    def lung_place(self, depth_mm: float, lowest: float = 0.0, highest: float = 1.0) -> np.ndarray:
        """A random voxel (z, y, x) of a lung, so deep if there is one, between parts of the lungs' height."""
        heights = np.flatnonzero(self.lungs.any(axis=(1, 2)))
        low, high = heights[0] + np.array([lowest, highest]) * np.ptp(heights)
        depth = self.lung_depth[round(low) : round(high) + 1]
        places = np.argwhere(depth >= min(depth_mm, 0.9 * float(depth.max())))
        return places[self.rng.integers(len(places))] + [round(low), 0, 0]


def paint_findings(scan: ChestScan, wanted: Mapping[str, bool]) -> dict[str, np.ndarray]:
    """Paint what a scan shall show.

    Args:
        scan: The scan, changed in place.
        wanted: Of each name in ``FINDINGS``, whether it is there; others are not.

    Returns:
        Where each is, bool ``[z, y, x]``.
    """
    return {name: paint(scan) for name, paint in FINDINGS.items() if wanted.get(name)}


def _cardiomegaly(scan: ChestScan) -> np.ndarray:
    """A heart that reaches 10 to 18 mm further into the lungs and the fat around it."""
    heart = scan.mask("heart")
    away = ndimage.distance_transform_edt(~heart, scan.spacing[::-1])
    fat = (scan.hu > _FAT_HU[0]) & (scan.hu < _FAT_HU[1]) & (away < 8)
    larger = (away > 0) & (away < scan.rng.uniform(10, 18)) & (scan.lungs | fat)
    blend(scan.hu, larger | (heart & ~ndimage.binary_erosion(heart)), 45.0)  # without the former heart's edge
    return larger


def _lung_nodules(scan: ChestScan) -> np.ndarray:
    """One to three solid balls of 10 to 26 mm."""
    where = np.zeros(scan.hu.shape, bool)
    for _ in range(int(scan.rng.integers(1, 4))):
        radius = float(scan.rng.uniform(5, 13))
        share = rough_ball(scan.hu.shape, scan.spacing, scan.lung_place(radius), radius, 0.15, scan.rng) * scan.lungs
        blend(scan.hu, share, float(scan.rng.uniform(0, 60)))
        where |= share > 0.5
    return where


def _lung_opacity(scan: ChestScan) -> np.ndarray:
    """One to four patches of ground glass, in which vessels can still be seen."""
    where = np.zeros(scan.hu.shape, bool)
    for _ in range(int(scan.rng.integers(1, 5))):
        radius = float(scan.rng.uniform(16, 38))
        share = rough_ball(scan.hu.shape, scan.spacing, scan.lung_place(6.0), radius, 0.3, scan.rng) * scan.lungs
        added = scan.rng.uniform(200, 380) * share
        scan.hu += np.where(scan.hu < _PARENCHYMA_HU, added, 0.3 * added).astype(np.float32)
        where |= share > 0.5
    return where


def _consolidation(scan: ChestScan) -> np.ndarray:
    """A part of a lung without air but in its bronchi."""
    radius = float(scan.rng.uniform(18, 36))
    share = rough_ball(scan.hu.shape, scan.spacing, scan.lung_place(10.0, 0.0, 0.7), radius, 0.3, scan.rng)
    share = np.minimum(1.0, 1.4 * share) * scan.lungs
    bronchi = ndimage.gaussian_filter(scan.rng.standard_normal(scan.hu.shape, dtype=np.float32), 1.0)
    blend(scan.hu, share * (bronchi < 2.2 * bronchi.std()), float(scan.rng.uniform(20, 55)))
    return share > 0.5


def _pleural_effusion(scan: ChestScan) -> np.ndarray:
    """Fluid at the back of one or both lungs."""
    where = np.zeros(scan.hu.shape, bool)
    sides = ("right_lung", "left_lung")
    for side in sides if scan.rng.random() < 0.4 else [str(scan.rng.choice(sides))]:
        lung = scan.mask(side)
        backs = np.nonzero(lung)[1]
        if not len(backs):
            continue
        heights = np.arange(len(lung)) - float(np.nonzero(lung)[0].mean())
        level = np.quantile(backs, 1 - scan.rng.uniform(0.06, 0.2)) + scan.rng.uniform(0, 0.25) * heights
        where |= lung & (np.arange(lung.shape[1])[None, :, None] > level[:, None, None])
    blend(scan.hu, where, float(scan.rng.uniform(5, 22)))
    return where


def _calcified_aorta(scan: ChestScan) -> np.ndarray:
    """Plaques in the wall of the aorta."""
    aorta = scan.mask("aorta")
    wall = aorta & ~ndimage.binary_erosion(aorta)
    pattern = ndimage.gaussian_filter(scan.rng.standard_normal(scan.hu.shape, dtype=np.float32), 1.2)
    if not wall.any():
        return wall
    plaques = wall & (pattern > np.quantile(pattern[wall], 1 - scan.rng.uniform(0.08, 0.25)))
    blend(scan.hu, plaques, float(scan.rng.uniform(500, 1100)))
    return plaques


def _medical_material(scan: ChestScan) -> np.ndarray:
    """A pacemaker under the skin, or wires through the breastbone."""
    body = ndimage.binary_opening(scan.hu > -300, iterations=2)
    front, lungs = body.argmax(axis=1), np.flatnonzero(scan.lungs.any(axis=(1, 2)))
    middle = int(np.median(np.nonzero(scan.lungs)[2]))
    steps, where = np.array(scan.spacing[::-1]), np.zeros(scan.hu.shape, bool)
    if scan.rng.random() < 0.6:
        z = round(np.quantile(lungs, scan.rng.uniform(0.72, 0.88)))
        x = middle + round(scan.rng.choice([-1, 1]) * scan.rng.uniform(62, 88) / scan.spacing[0])
        x = int(np.clip(x, 0, front.shape[1] - 1))
        pacemaker = np.array([z, front[z, x] + scan.rng.uniform(8, 14) / scan.spacing[1], x])
        radii = np.array([22.0, 5.0, 24.0])
        axes = np.ogrid[tuple(slice(0, n) for n in scan.hu.shape)]
        parts = [((axis - c) * s / r) ** 2 for axis, c, s, r in zip(axes, pacemaker, steps, radii, strict=True)]
        where |= parts[0] + parts[1] + parts[2] < 1
        heart = np.argwhere(scan.mask("heart")).mean(axis=0)
        for part in np.linspace(0, 1, 160):
            where[tuple(np.rint(pacemaker + part * (heart - pacemaker)).astype(int))] = True
    else:
        for part in np.linspace(0.3, 0.8, int(scan.rng.integers(4, 7))):
            z = round(np.quantile(lungs, part))
            y = round(front[z, middle] + scan.rng.uniform(14, 20) / scan.spacing[1])
            where[z, y : y + 2, middle - 1 : middle + 2] = True
    blend(scan.hu, where, 2900.0)
    return where


FINDINGS: Mapping[str, Callable[[ChestScan], np.ndarray]] = {
    "Cardiomegaly": _cardiomegaly,
    "Lung nodule": _lung_nodules,
    "Lung opacity": _lung_opacity,
    "Consolidation": _consolidation,
    "Pleural effusion": _pleural_effusion,
    "Arterial wall calcification": _calcified_aorta,
    "Medical material": _medical_material,
}
"""Painters by name, in the order in which they paint."""
