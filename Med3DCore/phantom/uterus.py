"""Uteri in 3D ultrasound: the normal shape and four congenital anomalies, with speckle, gain and a sector.

Shapes follow the drawings that textbooks have of the coronal plane: what tells the anomalies apart is how far cavity
and outer contour are divided. The picture is that of a log-compressed envelope: scatterers that cannot be told apart
add up with random phases, which is what speckle is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy import ndimage

from Med3DCore.geometry import Geometry
from Med3DCore.phantom.shapes import (
    Points,
    Shape,
    capsule,
    ellipsoid,
    endless,
    intersection,
    outside,
    turned,
    union,
)
from Med3DCore.volume import Volume

_SIZE = (72, 54, 84)  # x (across the uterus), y (depth, from the probe), z (to the fundus)
_SPACING = 1.2  # mm
_CERVIX, _FUNDUS = -38.0, 34.0  # mm along the uterus
_TISSUE_DB = {"around": 0.0, "muscle": -8.0, "lining": 8.0, "fluid": -35.0}
_RANGE_DB = (46.0, 62.0)  # from black to white
_COMPOUND = 4  # views from different angles whose mean a scanner shows

Parts = tuple[Shape, Shape, Shape]
"""Outer contour, cavity, and where the anomaly is seen best."""


def _normal(rng: np.random.Generator) -> Parts:
    top = _FUNDUS - rng.uniform(11, 14)
    body = union(_cervix(0.0), ellipsoid((0, 0, 7), (26, 17, 27)), blend=14.0)
    return body, _triangle(top, rng.uniform(13, 16)), ellipsoid((0, 0, top), (12, 8, 8))


def _septate(rng: np.random.Generator) -> Parts:
    """A wall in the cavity, and an outer contour as of a normal uterus."""
    body, whole, _ = _normal(rng)
    low, wide = rng.uniform(-14, 4), rng.uniform(3.0, 5.5)
    wall = endless(lambda p: np.maximum(np.abs(p.x) - wide * np.clip((p.z - low) / 30 + 0.4, 0.4, 1.2), low - p.z))
    return body, intersection(whole, outside(wall)), ellipsoid((0, 0, (low + 22) / 2), (9, 9, (22 - low) / 2 + 4))


def _bicornuate(rng: np.random.Generator) -> Parts:
    """Two horns on one neck, with a cleft between them."""
    fork, spread = rng.uniform(-12, 0), rng.uniform(17, 23)
    horns = [capsule((side * 5, 0, fork), (side * spread, 0, 24), 13, 11) for side in (-1, 1)]
    body = union(_cervix(0.0), ellipsoid((0, 0, -6), (16, 13, 15)), union(*horns, blend=5.0), blend=8.0)
    cavity = [_canal((0, 0, fork - 6), (side * (spread - 1), 0, 23), 2.0, 4.5) for side in (-1, 1)]
    neck = _canal((0, 0, _CERVIX), (0, 0, fork - 6), 1.8, 2.0)
    return body, union(neck, *cavity), ellipsoid((0, 0, 22), (16, 14, 16))


def _unicornuate(rng: np.random.Generator) -> Parts:
    """One horn, bent to its side."""
    side, far = rng.choice([-1, 1]), rng.uniform(13, 19)
    body = union(_cervix(0.0), capsule((0, 0, -10), (side * far, 0, 24), 13, 11), blend=8.0)
    cavity = union(
        _canal((0, 0, _CERVIX), (0, 0, -12), 1.8, 2.2), _canal((0, 0, -12), (side * (far + 1), 0, 24), 2.2, 4.0)
    )
    return body, cavity, ellipsoid((side * far / 2, 0, 8), (20, 14, 24))


def _didelphys(rng: np.random.Generator) -> Parts:
    """Two uteri, each with a neck."""
    spread, apart = rng.uniform(19, 25), rng.uniform(8.5, 10.5)
    bodies, cavities = [], []
    for side in (-1, 1):
        neck, bend, end = (side * apart, 0, _CERVIX), (side * (apart + 1), 0, -12), (side * spread, 0, 23)
        bodies.append(union(capsule(neck, bend, 9, 9.5), capsule(bend, end, 10, 12), blend=4.0))
        cavities += [_canal(neck, bend, 1.8, 2.2), _canal(bend, end, 2.2, 4.5)]
    return union(*bodies, blend=1.5), union(*cavities), ellipsoid((0, 0, 5), (14, 14, 32))


ANOMALIES: Mapping[str, Callable[[np.random.Generator], Parts]] = {
    "normal": _normal,
    "septate": _septate,
    "bicornuate": _bicornuate,
    "unicornuate": _unicornuate,
    "didelphys": _didelphys,
}


def make_uterus(anomaly: str, rng: np.random.Generator) -> tuple[Volume, np.ndarray]:
    """A 3D ultrasound of a uterus.

    Args:
        anomaly: One of ``ANOMALIES``.
        rng: Source of randomness.

    Returns:
        uint8, 0 outside of the sector; and where the anomaly is seen best, bool ``[z, y, x]``.
    """
    origin = tuple(-(n - 1) * _SPACING / 2 for n in _SIZE)
    grid = Geometry(_SIZE, (_SPACING,) * 3, (origin[0], origin[1], origin[2]))
    place = np.stack(np.meshgrid(*map(_axis, _SIZE[::-1]), indexing="ij")[::-1], axis=-1)  # [z, y, x, (x, y, z)]
    turn = turned(*rng.uniform(-12, 12, 3))
    own = (place - rng.uniform(-4, 4, 3)) @ turn.T / rng.uniform(0.85, 1.1) / rng.uniform(0.95, 1.05, 3)
    uneven = [_pattern(6.0, own.shape[:3], rng) for _ in range(3)]
    own += 1.2 * np.stack(uneven, axis=-1)
    x, y, z = (own[..., axis].astype(np.float32) for axis in range(3))
    points = Points(x, y, z, {})
    body, cavity, seen_best = (shape.distance(points) for shape in ANOMALIES[anomaly](rng))
    envelope = _speckle(_echoes(body, cavity, place, rng), rng)
    picture = _compressed(envelope, place, rng)
    picture[~_sector(place, origin[1], rng)] = 0
    return Volume(picture, grid, f"uterus, {anomaly}"), seen_best < 0


def _axis(n: int) -> np.ndarray:
    return (np.arange(n) - (n - 1) / 2) * _SPACING


def _cervix(x: float) -> Shape:
    return capsule((x, 0, _CERVIX), (x, 0, -12), 11, 13)


def _triangle(top: float, half: float) -> Shape:
    """A normal cavity: a flat triangle that narrows to the canal of the neck."""

    def distance(p: Points) -> np.ndarray:
        width = 2.0 + (half - 2.0) * np.clip((p.z + 12) / (top + 12), 0, 1) ** 1.3
        ends = np.maximum(p.z - top, _CERVIX - p.z)
        return np.maximum(np.maximum(np.abs(p.x) - width, np.abs(p.y) - 3.5), ends)

    return endless(distance)


def _canal(start: tuple[float, ...], stop: tuple[float, ...], radius: float, end_radius: float) -> Shape:
    return capsule(start, stop, radius, end_radius)


def _pattern(mm: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A random field of deviation 1 whose details are about twice as large as so many mm."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), mm / _SPACING)
    return field / field.std()


def _echoes(body: np.ndarray, cavity: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mean amplitude of the echoes."""
    decibel = _TISSUE_DB["around"] + rng.uniform(-2, 3) + 3.0 * _pattern(4.5, body.shape, rng)
    muscle = _TISSUE_DB["muscle"] + rng.uniform(-2, 2) + 1.2 * _pattern(3.6, body.shape, rng)
    decibel = np.where(body < 0, muscle, decibel)
    decibel += 8.0 * np.exp(-((body / 1.2) ** 2))  # the outer surface reflects
    lining = _TISSUE_DB["lining"] + rng.uniform(-3, 2)
    decibel = np.where(cavity < 0, lining, decibel)
    if rng.random() < 0.4:  # the bladder, beside the uterus and nearer to the probe
        away = (place - [0.0, -29.0, rng.uniform(-37, -10)]) / [27.0, 11.0, 20.0]
        decibel = np.where(((away**2).sum(axis=-1) < 1) & (body > 1), _TISSUE_DB["fluid"], decibel)
    return 10 ** (decibel / 20)


def _speckle(strength: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Envelope of echoes with random phases, blurred by the beam: finer along the depth (y) than across."""
    beam = (rng.uniform(0.75, 1.0), rng.uniform(0.4, 0.6), rng.uniform(0.75, 1.0))
    parts = [
        ndimage.gaussian_filter(rng.standard_normal(strength.shape) * strength, beam) for _ in range(2 * _COMPOUND)
    ]
    return np.sqrt(np.mean(np.square(parts), axis=0))


def _compressed(envelope: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grey values of an envelope: attenuation that the gain does not quite make up for, shadows, a logarithm."""
    decibel = 20 * np.log10(envelope / np.median(envelope) + 10**-2.5)
    depth = place[..., 1] - place[0, 0, 0, 1]
    decibel += rng.uniform(-0.12, 0.08) * depth
    for _ in range(int(rng.integers(0, 3))):  # gas lets little through
        angle = rng.uniform(0, np.pi)
        line = place[..., 0] * np.cos(angle) + place[..., 2] * np.sin(angle) - rng.uniform(-36, 36)
        decibel -= rng.uniform(4, 12) * np.exp(-((line / rng.uniform(2, 4.5)) ** 2)) * (depth > rng.uniform(5, 30))
    grey = 255 * (0.5 + (decibel + rng.uniform(-6, 8)) / rng.uniform(*_RANGE_DB))
    return np.clip(grey, 1, 255).astype(np.uint8)


def _sector(place: np.ndarray, front: float, rng: np.random.Generator) -> np.ndarray:
    """What the probe sees: a pyramid with a rounded end."""
    apex = front - rng.uniform(35, 50)
    depth = place[..., 1] - apex
    wide, high = np.tan(np.deg2rad(rng.uniform(36, 46))), np.tan(np.deg2rad(rng.uniform(42, 52)))
    reach = np.sqrt(place[..., 0] ** 2 + place[..., 2] ** 2 + depth**2)
    inside = (np.abs(place[..., 0]) < wide * depth) & (np.abs(place[..., 2]) < high * depth)
    return inside & (reach < _SIZE[1] * _SPACING - apex + front + rng.uniform(8, 14))
