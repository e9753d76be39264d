"""Scans made ill or noisy, each in one way, with labels that still hold: for ``sick_scans.py``.

Written apart from what training paints (``Med3DCore/training/patches/disease.py``), so that a network is not measured
with the very lesions that it learned; treated tumours, calcium and ascites training does not paint at all.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from hard_scans import Scan
from scipy import ndimage

from Med3DCore.geometry import Geometry, triple
from Med3DCore.preprocessing import resample

# Noise of thin slices is made on a grid of 1 mm, in grains as in the two scans of the data folder's native/: there the
# correlation falls to a half within 0.6 mm in the plane and 2 mm between slices of 2 mm.
_THIN_MM = 1.0
_GRAIN_MM = 0.6
_FLUID_HU = 10.0


def _random(scan: Scan, kind: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{scan.volume.name} {kind}".encode()))


def _with(scan: Scan, array: np.ndarray, truth: np.ndarray | None = None) -> Scan:
    array = np.clip(np.rint(array), -1024, 3071).astype(np.int16)
    return replace(scan, volume=scan.volume.with_array(array), truth=scan.truth if truth is None else truth)


def thin_noise(scan: Scan, hu: float) -> Scan:
    """As from 1 mm slices with noise of so many HU, on the scan's own grid, which averages it as the network's does."""
    grid = scan.volume.geometry
    size = triple(max(1, round(n * mm / _THIN_MM)) for n, mm in zip(grid.size, grid.spacing, strict=True))
    white = _random(scan, "noise").standard_normal(size[::-1], dtype=np.float32)
    grains = ndimage.gaussian_filter(white, _GRAIN_MM / _THIN_MM)
    thin = Geometry(size, (_THIN_MM,) * 3)
    noise = resample(grains / grains.std(), thin, Geometry(grid.size, grid.spacing))
    return _with(scan, scan.volume.array + hu * noise)


def windowed(scan: Scan) -> Scan:
    """As 8-bit pictures of a liver window."""
    steps = np.rint((np.clip(scan.volume.array, -160, 240) + 160) / 400 * 255)
    return _with(scan, np.where(steps > 0, steps / 255 * 400 - 160, -1000))


def brightened(scan: Scan, hu: float) -> Scan:
    """The organ alone darker (fat) or brighter (iron, amiodarone, another phase) by so many HU."""
    soft = ndimage.gaussian_filter(scan.truth.astype(np.float32), 0.6)
    return _with(scan, scan.volume.array + hu * soft)


def lesions(
    scan: Scan, kind: str, count: int, radius_mm: float, hu: float, where: str = "inside", core: float = 0.0
) -> Scan:
    """So many lesions: lumps of a smooth random surface, with a texture, perhaps a core of ``hu + core``.

    Args:
        scan: The scan.
        kind: Seeds the places and shapes.
        count: How many.
        radius_mm: Their mean radius; each differs by up to a half.
        hu: Difference to the organ; above 200 it is the value itself, as of metal.
        where: ``"inside"`` for anywhere in the organ, ``"border"`` for centres within 6 mm of its surface.
        core: Difference of the inner half.
    """
    rng, array = _random(scan, kind), scan.volume.array.astype(np.float32)
    voxel = np.array(scan.volume.spacing[::-1])
    depth = ndimage.distance_transform_edt(scan.truth, sampling=voxel)
    places = np.argwhere((depth > 0) & (depth < 6) if where == "border" else depth > min(radius_mm, depth.max()) / 2)
    for centre in places[rng.integers(len(places), size=count)]:
        radius = radius_mm * rng.uniform(0.5, 1.5) if count > 1 else radius_mm
        _lump(array, scan.truth, centre, radius, voxel, hu, core, rng)
    return _with(scan, array)


def _lump(
    array: np.ndarray,
    organ: np.ndarray,
    centre: np.ndarray,
    radius: float,
    voxel: np.ndarray,
    hu: float,
    core: float,
    rng: np.random.Generator,
) -> None:
    reach = np.ceil(1.6 * radius / voxel).astype(int) + 1
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, array.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    away = (np.indices(high - low) + (low - centre)[:, None, None, None]) * voxel[:, None, None, None]
    lumpy = ndimage.gaussian_filter(rng.standard_normal(high - low), radius / 2 / voxel)
    lumpy *= 0.25 * radius / max(float(lumpy.std()), 1e-6)
    depth = radius - np.sqrt((away**2).sum(axis=0)) + lumpy
    share = np.clip(0.5 + depth / voxel.mean(), 0, 1) * organ[box]
    wanted = np.where(depth > radius / 2, hu + core, hu) * (1 + 0.1 * rng.standard_normal(depth.shape))
    values = array[box]
    values += share * (wanted - values if hu > 200 else wanted)


def ascites(scan: Scan, mm: float) -> Scan:
    """Fluid around a liver that has shrunk by so many mm; what is fluid now is no longer liver."""
    voxel = scan.volume.spacing[::-1]
    left = ndimage.distance_transform_edt(scan.truth, sampling=voxel) > mm
    fluid = ndimage.gaussian_filter((scan.truth & ~left).astype(np.float32), 0.5)
    texture = 8 * _random(scan, "ascites").standard_normal(scan.truth.shape)
    return _with(scan, scan.volume.array * (1 - fluid) + fluid * (_FLUID_HU + texture), left)


def several(scan: Scan) -> Scan:
    """A fatty liver with metastases in a noisy scan."""
    return thin_noise(lesions(brightened(scan, -40), "several", 10, 14, -35), 40)


SICK: dict[str, Callable[[Scan], Scan]] = {
    "noise, 1 mm, 30 HU": lambda scan: thin_noise(scan, 30),
    "noise, 1 mm, 60 HU": lambda scan: thin_noise(scan, 60),
    "noise, 1 mm, 90 HU": lambda scan: thin_noise(scan, 90),
    "8-bit window": windowed,
    "liver -60 HU": lambda scan: brightened(scan, -60),
    "liver -40 HU": lambda scan: brightened(scan, -40),
    "liver +40 HU": lambda scan: brightened(scan, 40),
    "liver +60 HU": lambda scan: brightened(scan, 60),
    "30 dark lesions, 6 mm": lambda scan: lesions(scan, "small", 30, 6, -50),
    "8 dark lesions, 18 mm": lambda scan: lesions(scan, "middle", 8, 18, -50),
    "6 bright lesions, 18 mm": lambda scan: lesions(scan, "bright", 6, 18, 50),
    "6 dark lesions at the border": lambda scan: lesions(scan, "border", 6, 16, -55, "border"),
    "one lesion, 8 cm, necrotic": lambda scan: lesions(scan, "large", 1, 40, -30, core=-50),
    "one lesion, 12 cm, necrotic": lambda scan: lesions(scan, "huge", 1, 60, -30, core=-50),
    "oil of chemoembolisation": lambda scan: lesions(scan, "oil", 3, 12, 500),
    "ascites, 8 mm": lambda scan: ascites(scan, 8),
    "fatty, metastases, noise 40 HU": several,
}
"""Kind of change to the function that makes it; for scans of the liver."""
