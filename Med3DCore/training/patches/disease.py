"""Disease painted into labelled patches: an organ brighter or darker than usual, lesions in it, fluid around it.

Few labelled patients are ill, and a network that has seen none leaves tumours out. Amounts are in HU for CT; shapes and
sizes are ours, no copy of a published method.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from Med3DCore.geometry import Triple

SMALLEST_MM, LARGEST_MM = 2.5, 60.0
"""Radii of lesions."""
MOST_LESIONS = 12
_LAYER_MM = (3.0, 12.0)
_FLOOD_MM = (0.0, 40.0)
_WAVE_MM = (30.0, 120.0)  # how far apart a layer of fluid is thick and thin
_FAT_HU = (-150.0, -30.0)
_ROUGHEST_FLUID_HU = 10.0  # its noise: smooth fluid in a noisy scan would give itself away
_FAINTEST = 0.2  # part of the largest contrast that a lesion has at least
_ROUGH = 0.25  # how much the border of a lesion goes in and out, part of its radius


def shift_organ(image: np.ndarray, inside: np.ndarray, amount: float) -> None:
    """Make an organ brighter or darker than its surroundings, in place, as fat, iron or another phase of contrast do.

    Args:
        image: float32 ``[z, y, x]``.
        inside: bool of the same shape, the organ.
        amount: Added inside; at the border, as wide as a voxel, half of it.
    """
    image += np.float32(amount) * ndimage.gaussian_filter(inside.astype(np.float32), 0.7, truncate=3.0)


def surround_with_fluid(
    image: np.ndarray, inside: np.ndarray, spacing: Triple, value: float, rng: np.random.Generator
) -> np.ndarray:
    """Let an organ shrink and fluid fill the gap and the fat around, in place, as in ascites.

    The layer is of uneven thickness, here and there none. Of the fat only what hangs together with the organ's place is
    flooded, so that most of what lies under the skin stays; where there is no organ, parts of all of it.

    Args:
        image: float32 ``[z, y, x]``, in HU.
        inside: bool of the same shape, the organ; may be empty.
        spacing: Size (x, y, z) of a voxel in mm.
        value: Of the fluid.
        rng: Source of randomness.

    Returns:
        bool of the same shape: what is left of the organ.
    """
    mm = np.asarray(spacing[::-1])
    uneven = 1 + rng.uniform(0, 1.3) * bumps(inside.shape, rng.uniform(*_WAVE_MM) / mm, rng)
    layer = inside & (_distance(inside, mm) < rng.uniform(*_LAYER_MM) * uneven)
    low, high = _FAT_HU
    fat = ~inside & (image > low) & (image < high)
    if inside.any():
        flooded = fat & (_distance(~inside, mm) < rng.uniform(*_FLOOD_MM) * uneven)
        parts, _ = ndimage.label(flooded | inside)
        flooded &= np.isin(parts, np.unique(parts[inside]))
    else:
        flooded = fat & (uneven > 1)
    share = ndimage.gaussian_filter((layer | flooded).astype(np.float32), 0.6, truncate=3.0)
    rough = np.float32(rng.uniform(0, _ROUGHEST_FLUID_HU)) * rng.standard_normal(image.shape, np.float32)
    image += share * (np.float32(value) + rough - image)
    return inside & ~layer


def _distance(inside: np.ndarray, mm: np.ndarray) -> np.ndarray:
    """Of each voxel inside to the nearest outside, in mm; what is inside goes on beyond the patch."""
    if inside.all():
        return np.full(inside.shape, np.inf)
    return ndimage.distance_transform_edt(inside, sampling=mm)


def paint_lesions(
    image: np.ndarray, inside: np.ndarray, spacing: Triple, contrast: float, rng: np.random.Generator
) -> None:
    """Paint one to many lesions into an organ, in place; what is outside of the organ does not change.

    Most are darker than the organ. Many are small, few are large, some have another core; a few alike ones come
    together, as metastases do.

    Args:
        image: float32 ``[z, y, x]``.
        inside: bool of the same shape, the organ.
        spacing: Size (x, y, z) of a voxel in mm.
        contrast: Largest difference to the organ.
        rng: Source of randomness.
    """
    places = np.flatnonzero(inside)
    if not len(places):
        return
    count = int(np.exp(rng.uniform(0, np.log(MOST_LESIONS + 1))))
    largest = np.exp(rng.uniform(np.log(2 * SMALLEST_MM), np.log(LARGEST_MM)))
    alike = _difference(contrast, rng)
    for number, place in enumerate(places[rng.integers(len(places), size=count)]):
        centre = np.array(np.unravel_index(place, inside.shape))
        radius = np.exp(rng.uniform(np.log(SMALLEST_MM), np.log(largest))) if number else largest
        difference = alike * rng.uniform(0.7, 1.3) if rng.random() < 0.7 else _difference(contrast, rng)
        _paint(image, inside, centre, radius, spacing, difference, rng)


def _difference(contrast: float, rng: np.random.Generator) -> float:
    sign = -1 if rng.random() < 0.75 else 1
    return float(sign * contrast * rng.uniform(_FAINTEST, 1))


def _paint(
    image: np.ndarray,
    inside: np.ndarray,
    centre: np.ndarray,
    radius: float,
    spacing: Triple,
    difference: float,
    rng: np.random.Generator,
) -> None:
    """One lesion: an ellipsoid with a rough, soft border; in large ones often a core of its own."""
    voxel = np.asarray(spacing[::-1])
    radii = radius * np.exp(rng.uniform(-0.3, 0.3, 3))
    reach = np.ceil(radii * (1 + _ROUGH) / voxel).astype(int) + 2
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, image.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    axes = [(np.arange(a, b) - c) * mm / r for a, b, c, mm, r in zip(low, high, centre, voxel, radii, strict=True)]
    distance = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2)
    distance += _ROUGH * bumps(distance.shape, radii / voxel / 2, rng)
    soft = float(np.mean(voxel)) / radius  # a border as wide as a voxel
    share = np.clip(0.5 + (1 - distance) / soft, 0, 1)
    profile = np.full_like(distance, difference)
    if radius > 3 * SMALLEST_MM and rng.random() < 0.4:
        core = np.clip(0.5 + (rng.uniform(0.4, 0.85) - distance) / soft, 0, 1)
        profile += core * rng.uniform(-1, 0.5) * abs(difference)
    profile *= 1 + 0.2 * bumps(distance.shape, radii / voxel / 4, rng)
    image[box] += (profile * share * inside[box]).astype(np.float32)


def bumps(shape: tuple[int, ...], size: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth random values float ``[z, y, x]`` about -1 to 1, with bumps of so many voxels along each axis."""
    knots = [max(2, int(np.ceil(n / max(1.0, s))) + 1) for n, s in zip(shape, size, strict=True)]
    field = rng.uniform(-1, 1, knots)
    for axis, n in enumerate(shape):
        at = np.linspace(0, knots[axis] - 1, n)
        first = np.minimum(at.astype(int), knots[axis] - 2)
        part = (at - first).reshape([-1 if a == axis else 1 for a in range(3)])
        field = np.take(field, first, axis) * (1 - part) + np.take(field, first + 1, axis) * part
    return field
